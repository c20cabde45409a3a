"""Delays of a talk, measured from the sound itself. Pure."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import UNSET

from babelcast.pcm import BYTES_PER_SAMPLE
from babelcast.wav import Sound
from bench.talk import Heard, Talk

FRAME_S = 0.02
BELOW_PEAK_DB = 28.0
"""A frame counts as speech when it is at most so far under the loud ones (95th percentile)."""
BRIDGE_S = 0.12
"""Silence this short belongs to a word: the closure of a plosive."""
STAGES = ("transcribed", "translated", "synthesized", "sent")


@dataclass(frozen=True, slots=True)
class Span:
    """A spoken sentence in the talk's time, s."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Delay:
    """A delay in s, and when in the talk its sentence was over."""

    at_s: float
    delay_s: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Delays in short, s; NaN when there were none."""

    count: int
    median_s: float
    p95_s: float
    most_s: float

    @classmethod
    def of(cls, delays_s: Iterable[float]) -> "Summary":
        """Nearest-rank percentiles."""
        ordered = sorted(delays_s)
        if not ordered:
            return cls(0, math.nan, math.nan, math.nan)
        rank = math.ceil(0.95 * len(ordered)) - 1
        return cls(len(ordered), statistics.median(ordered), ordered[rank], ordered[-1])


def activity(sound: Sound) -> Sequence[bool]:
    """For each frame of FRAME_S: whether somebody speaks in it, by its level."""
    size = round(sound.sample_rate_hz * FRAME_S)
    samples = np.frombuffer(sound.pcm, dtype="<i2").astype(np.float64)
    if len(samples) < size:
        return []
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    levels_db = 10 * np.log10(np.mean(frames**2, axis=1) + 1.0)
    threshold_db = float(np.percentile(levels_db, 95)) - BELOW_PEAK_DB
    return [bool(level >= threshold_db) for level in levels_db]


def spans(talk: Talk, active: Sequence[bool]) -> dict[str, Span]:
    """Each sentence by its id: the service's own times, corrected by what the sound shows.

    The end is the last speech at or before the reported end, so that a late report cannot hide a delay. The
    first word begins where the speech around the reported start does, but not in the sentence before.
    """
    found: dict[str, Span] = {}
    before_s = 0.0
    for transcript in talk.finals():
        start_s = _first_word(active, transcript.start_time, not_before_s=before_s)
        end_s = _last_speech(active, transcript.end_time, not_before_s=start_s)
        found[transcript.segment_id] = Span(start_s, end_s)
        before_s = end_s
    return found


def voice_lags(heard: Heard, spoken: dict[str, Span]) -> list[Delay]:
    """From the end of each spoken sentence to its translated voice."""
    return [
        Delay(spoken[voice.message.segment_id].end_s, at_s - spoken[voice.message.segment_id].end_s)
        for at_s, voice in heard.voices
        if voice.message.segment_id in spoken
    ]


def voiced(heard: Heard) -> set[str]:
    """The segments that were spoken, alone or together with others."""
    found: set[str] = set()
    for _, voice in heard.voices:
        message = voice.message
        found.update([message.segment_id] if message.segment_ids is UNSET else message.segment_ids)
    return found


def first_transcripts(talk: Talk, spoken: dict[str, Span]) -> list[Delay]:
    """From each sentence's first word to the first of its words that the speaker sees."""
    return _firsts(((at_s, transcript.segment_id) for at_s, transcript in talk.transcripts), spoken)


def first_captions(heard: Heard, spoken: dict[str, Span]) -> list[Delay]:
    """From each sentence's first word to its first caption."""
    return _firsts(((at_s, caption.segment_id) for at_s, caption in heard.captions), spoken)


def stage_medians_ms(heard: Iterable[Heard]) -> dict[str, float]:
    """The median time that each stage took, by the messages' own `timing`."""
    took: dict[str, list[int]] = {stage: [] for stage in STAGES}
    for listener in heard:
        for _, voice in listener.voices:
            last = 0
            for stage in STAGES:
                reached: int = getattr(voice.message.timing, stage)
                took[stage].append(reached - last)
                last = reached
    return {stage: statistics.median(times) if times else math.nan for stage, times in took.items()}


def per_minute(delays: Iterable[Delay]) -> list[tuple[int, Summary]]:
    """Delays by the minute of the talk in which they fell."""
    minutes: dict[int, list[float]] = {}
    for delay in delays:
        minutes.setdefault(int(delay.at_s // 60), []).append(delay.delay_s)
    return [(minute, Summary.of(values)) for minute, values in sorted(minutes.items())]


def growth_s(delays: Iterable[Delay]) -> float:
    """By how much the median delay of the last third exceeds that of the first; NaN with too few."""
    ordered = [delay.delay_s for delay in sorted(delays, key=lambda delay: delay.at_s)]
    third = len(ordered) // 3
    if third == 0:
        return math.nan
    return statistics.median(ordered[-third:]) - statistics.median(ordered[:third])


def repeated(sounds: Sequence[Sound], *, seconds: float, pause_s: float = 0.8) -> Sound:
    """The sounds one after the other, again and again, for at least `seconds` (once when that is 0).

    Raises: ValueError when their sample rates differ.
    """
    rate_hz = sounds[0].sample_rate_hz
    if any(sound.sample_rate_hz != rate_hz for sound in sounds):
        raise ValueError("the sounds have different sample rates")
    pause = bytes(BYTES_PER_SAMPLE * round(rate_hz * pause_s))
    once = b"".join(sound.pcm + pause for sound in sounds)
    times = max(1, math.ceil(seconds * rate_hz * BYTES_PER_SAMPLE / len(once)))
    return Sound(once * times, rate_hz)


def _firsts(shown: Iterable[tuple[float, str]], spoken: dict[str, Span]) -> list[Delay]:
    seen: dict[str, float] = {}
    for at_s, segment in shown:
        seen.setdefault(segment, at_s)
    return [
        Delay(spoken[segment].end_s, at_s - spoken[segment].start_s)
        for segment, at_s in seen.items()
        if segment in spoken
    ]


def _first_word(active: Sequence[bool], start_s: float, *, not_before_s: float) -> float:
    frame = _frame(active, start_s)
    earliest = _frame(active, not_before_s)
    if frame < len(active) and not active[frame]:
        later = next((index for index in range(frame, len(active)) if active[index]), None)
        return start_s if later is None else later * FRAME_S
    bridge = round(BRIDGE_S / FRAME_S)
    while frame > earliest and any(active[max(earliest, frame - bridge) : frame]):
        frame -= 1
    while frame < len(active) and not active[frame]:
        frame += 1
    return frame * FRAME_S


def _last_speech(active: Sequence[bool], end_s: float, *, not_before_s: float) -> float:
    frame = min(_frame(active, end_s), len(active) - 1)
    first = _frame(active, not_before_s)
    while frame > first and not active[frame]:
        frame -= 1
    return min(end_s, (frame + 1) * FRAME_S)


def _frame(active: Sequence[bool], at_s: float) -> int:
    return min(max(0, int(at_s / FRAME_S)), len(active))
