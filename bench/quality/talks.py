"""Long talks made of recordings: without a pause, with long ones, in two languages, in noise. Pure.

A talk is a row of pieces; what is said when is known from them, whatever is laid over the sound.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from babelcast.pcm import SAMPLE_RATE_HZ
from bench.degrade import babble, white, with_noise
from bench.quality.recordings import Recording
from transcription_svc.audio import Samples

LONG_PAUSE_S = 20.0
SNR_DB = 0.0
_PLAIN_PAUSE_S = 0.8
_LANGUAGE_PAUSE_S = 0.6
_FRAME = SAMPLE_RATE_HZ // 50
_BELOW_PEAK_DB = 32.0
"""A frame of 20 ms counts as silence when it is more than so far under the loud ones (95th percentile)."""
_KEPT_S = 0.06
"""Silence that stays on each side of a sound: without any, soft ends of words would go as well."""
_ROOM = 10 ** (-65 / 20)
"""Level of the noise in long pauses; no microphone delivers zeros."""
_PEAK = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A recording as part of a talk."""

    recording: Recording
    start_s: float

    @property
    def end_s(self) -> float:
        """Its end in the talk."""
        return self.start_s + self.recording.seconds


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """A sound, and what is said in it when."""

    name: str
    language: str
    """The one that the recogniser is told."""
    samples: Samples
    pieces: tuple[Piece, ...]

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def own_pieces(self) -> tuple[Piece, ...]:
        """Those in the language of the talk."""
        return tuple(piece for piece in self.pieces if piece.recording.language == self.language)

    @property
    def text(self) -> str:
        """What is said in the language of the talk."""
        return " ".join(piece.recording.text for piece in self.own_pieces)

    def pauses(self, *, at_least_s: float) -> list[tuple[float, float]]:
        """Start and end of the silences between pieces and after the last, s."""
        starts = [piece.start_s for piece in self.pieces[1:]] + [self.seconds]
        gaps = [(piece.end_s, start) for piece, start in zip(self.pieces, starts, strict=True)]
        return [(start, end) for start, end in gaps if end - start >= at_least_s]


def single(recording: Recording) -> Talk:
    """A talk of one recording."""
    return Talk(recording.name, recording.language, recording.samples, (Piece(recording, 0.0),))


def joined(
    name: str, recordings: Sequence[Recording], *, language: str, pause_s: float, seconds: float
) -> Talk:
    """The recordings one after the other, again and again, until `seconds` are full.

    Raises: ValueError without recordings.
    """
    if not recordings:
        raise ValueError("a talk needs a recording")
    pause = np.zeros(round(pause_s * SAMPLE_RATE_HZ), np.float32)
    parts: list[Samples] = []
    pieces: list[Piece] = []
    length = 0
    while length < seconds * SAMPLE_RATE_HZ:
        recording = recordings[len(pieces) % len(recordings)]
        pieces.append(Piece(recording, length / SAMPLE_RATE_HZ))
        parts += [recording.samples, pause]
        length += len(recording.samples) + len(pause)
    return Talk(name, language, np.concatenate(parts), tuple(pieces))


def hard(recordings: Sequence[Recording], random: np.random.Generator, *, seconds: float) -> Iterator[Talk]:
    """One talk of each kind in the first language; that of two languages only when there are two."""
    own = first_language(recordings)
    foreign = [recording for recording in recordings if recording.language != own[0].language]
    yield without_pauses(own, seconds=seconds)
    yield with_long_pauses(own, random, seconds=seconds)
    if foreign:
        yield in_two_languages(own, first_language(foreign), seconds=seconds)
    plain = joined("plain", own, language=own[0].language, pause_s=_PLAIN_PAUSE_S, seconds=seconds)
    yield plain
    yield in_white_noise(plain, random, snr_db=SNR_DB)
    yield in_babble(plain, foreign or own, random, snr_db=SNR_DB)


def first_language(recordings: Sequence[Recording]) -> list[Recording]:
    """The recordings in the language of the first."""
    return [recording for recording in recordings if recording.language == recordings[0].language]


def without_pauses(recordings: Sequence[Recording], *, seconds: float) -> Talk:
    """Somebody who never stops: all silence is cut out, within the recordings and between them."""
    tight = [replace(recording, samples=without_silence(recording.samples)) for recording in recordings]
    return joined("no pause", tight, language=recordings[0].language, pause_s=0.0, seconds=seconds)


def with_long_pauses(recordings: Sequence[Recording], random: np.random.Generator, *, seconds: float) -> Talk:
    """Twenty seconds of a quiet room after each recording."""
    language = recordings[0].language
    talk = joined("long pauses", recordings, language=language, pause_s=LONG_PAUSE_S, seconds=seconds)
    return replace(talk, samples=talk.samples + np.float32(_ROOM) * white(len(talk.samples), random))


def in_two_languages(own: Sequence[Recording], other: Sequence[Recording], *, seconds: float) -> Talk:
    """A recording in the one language, a recording in the other; the recogniser is told the first."""
    turns: list[Recording] = []
    for number in range(max(len(own), len(other))):
        turns += [own[number % len(own)], other[number % len(other)]]
    name = f"{own[0].language} and {other[0].language}"
    return joined(name, turns, language=own[0].language, pause_s=_LANGUAGE_PAUSE_S, seconds=seconds)


def in_white_noise(talk: Talk, random: np.random.Generator, *, snr_db: float) -> Talk:
    """The talk in white noise."""
    noisy = with_noise(talk.samples, white(len(talk.samples), random), snr_db)
    return replace(talk, name=f"white noise, {snr_db:g} dB", samples=_quieted(noisy))


def in_babble(talk: Talk, voices: Sequence[Recording], random: np.random.Generator, *, snr_db: float) -> Talk:
    """The talk among other voices."""
    crowd = babble([voice.samples for voice in voices], len(talk.samples), random)
    noisy = with_noise(talk.samples, crowd, snr_db)
    return replace(talk, name=f"babble, {snr_db:g} dB", samples=_quieted(noisy))


def without_silence(samples: Samples) -> Samples:
    """The sounds alone, by level."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    if not len(frames):
        return samples
    levels_db = 10 * np.log10(np.mean(np.square(frames, dtype=np.float64), axis=1) + 1e-12)
    loud = levels_db >= np.percentile(levels_db, 95) - _BELOW_PEAK_DB
    kept = round(_KEPT_S * SAMPLE_RATE_HZ / _FRAME)
    near = np.convolve(loud, np.ones(2 * kept + 1), mode="same") > 0
    return np.ascontiguousarray(frames[near]).reshape(-1)


def _quieted(samples: Samples) -> Samples:
    """Not louder than full scale."""
    peak = float(np.abs(samples).max(initial=_PEAK))
    return samples * np.float32(_PEAK / peak)
