"""How far voices are behind a fast speaker who never pauses, with and without the governor.

The talk is fast_talk.txt again and again, cut into segments as recognition would. Its translations and voices
are made by the embedded engines; the lanes are the service's own. The clock is simulated, so that ten minutes
take as long as the engines do. What counts is the time from the end of a segment's speech to the beginning of
its clip, for somebody who hears every clip as soon as it is there, one after the other.
"""

import argparse
import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from bench.measures import Summary
from bench.quality.engine_thread import EngineThread, Said
from bench.quality.report import number, percent, table
from bench.quality.virtual_time import VirtualTimeLoop
from translation_svc.glossary import Glossary
from translation_svc.governor import MAX_PACE, VOICE_LAG_S
from translation_svc.lane import Lane
from translation_svc.segments import Answer, Segment, Speech, SpokenOver, Target
from translation_svc.sentences import split

TEXT = Path(__file__).with_name("fast_talk.txt")
RECOGNISED_AFTER_S = 0.9
"""From the end of a segment's speech to its final text: the median that was measured."""
PAUSE_S = 0.2
LONGEST_S = 5.0
"""`maxBufferTimeout` as it is usual: longer sentences are cut."""
_TOLERANCE_S = 0.1
"""What the simulated clock adds by the bench's own CPU time."""

HEADS = (
    "language", "voice / speech", "without: lag, s: p50 / p95 / most", "with: lag, s: p50 / p95 / most",
    "merged", "spoken over", "of the words", "pace: mean", "at full pace",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spoken:
    """A segment of the talk: how long it is said, and its translation at the usual pace, s."""

    said: Said
    source_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One talk in one language."""

    ratio: float
    """How much longer its voice takes than its speech."""
    without: Summary
    """Lags when everything is spoken at its usual pace."""
    governed: Summary
    """Lags of the service's voices."""
    merged: float
    spoken_over: float
    words_spoken_over: float
    paces: Sequence[float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subject's options."""
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the talk")
    parser.add_argument("--languages", nargs="+", default=["es", "fr", "pt"], help="target languages")
    parser.add_argument("--words-per-minute", type=float, default=210.0, help="of the speaker; 150 is usual")
    parser.add_argument(
        "--longer",
        type=float,
        default=1.6,
        help="in the second table, how much longer each translation takes to say than its original",
    )


def run(arguments: argparse.Namespace) -> bool:
    """Measure and print; whether no voice began too late."""
    texts = [
        piece
        for sentence in split(TEXT.read_text(), max_words=10_000)
        for piece in split(sentence, max_words=int(LONGEST_S * arguments.words_per_minute / 60))
    ]
    per_word_s = 60 / arguments.words_per_minute
    kept = True
    with EngineThread() as engines:
        talks = {
            language: [engines.said(text, language) for text in texts] for language in arguments.languages
        }
        spoken = {
            language: [Spoken(said, len(said.source.split()) * per_word_s) for said in talk]
            for language, talk in talks.items()
        }
        kept &= _measure(f"{arguments.words_per_minute:g} words a minute", spoken, engines, arguments.minutes)
        longer = {
            language: [Spoken(said, said.clip_s / arguments.longer - PAUSE_S) for said in talk]
            for language, talk in talks.items()
        }
        kept &= _measure(
            f"each translation {arguments.longer:g} times as long", longer, engines, arguments.minutes
        )
    return kept


def _measure(title: str, talks: dict[str, list[Spoken]], engines: EngineThread, minutes: float) -> bool:
    outcomes = {
        language: outcome(lengthened(talk, seconds=minutes * 60), engines, language)
        for language, talk in talks.items()
    }
    print(f"\n{title}, {minutes:g} minutes\n")
    print(table(HEADS, [row(language, found) for language, found in outcomes.items()]), flush=True)
    return all(found.governed.most_s <= VOICE_LAG_S + _TOLERANCE_S for found in outcomes.values())


def lengthened(talk: Sequence[Spoken], *, seconds: float) -> list[Spoken]:
    """The talk again and again, until so much is full."""
    whole: list[Spoken] = []
    for spoken in cycle(talk):
        if seconds <= 0:
            break
        seconds -= max(spoken.source_s, 0.0) + PAUSE_S
        whole.append(spoken)
    return whole


def outcome(talk: Sequence[Spoken], engines: EngineThread, language: str) -> Outcome:
    """What becomes of a talk."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        governed = runner.run(_held(talk, engines, language))
    over = {answer.segment for _, answer in governed.answers if isinstance(answer, SpokenOver)}
    speeches = [answer for _, answer in governed.answers if isinstance(answer, Speech)]
    words = [len(spoken.said.source.split()) for spoken in talk]
    return Outcome(
        ratio=sum(spoken.said.clip_s for spoken in talk) / sum(spoken.source_s + PAUSE_S for spoken in talk),
        without=Summary.of(_ungoverned_s(talk)),
        governed=Summary.of(governed.lags_s()),
        merged=sum(len(speech.merged) for speech in speeches) / len(talk),
        spoken_over=len(over) / len(talk),
        words_spoken_over=sum(words[segment] for segment in over) / sum(words),
        paces=[speech.pace for speech in speeches],
    )


def row(language: str, found: Outcome) -> list[str]:
    """A row under HEADS."""
    full = sum(pace >= MAX_PACE for pace in found.paces) / len(found.paces)
    return [
        language,
        number(found.ratio),
        _lags(found.without),
        _lags(found.governed),
        percent(found.merged),
        percent(found.spoken_over),
        percent(found.words_spoken_over),
        number(statistics.fmean(found.paces)),
        percent(full),
    ]


def _lags(lags: Summary) -> str:
    return " / ".join(number(lag, places=1) for lag in (lags.median_s, lags.p95_s, lags.most_s))


def _ungoverned_s(talk: Sequence[Spoken]) -> list[float]:
    """Lags when each clip is spoken as it is, after the one before."""
    lags_s: list[float] = []
    ended_s = free_s = 0.0
    for spoken in talk:
        ended_s += spoken.source_s + PAUSE_S
        begins_s = max(free_s, ended_s + RECOGNISED_AFTER_S)
        lags_s.append(begins_s - ended_s)
        free_s = begins_s + spoken.said.clip_s
    return lags_s


@dataclass(frozen=True, slots=True)
class _Held:
    ended_s: Sequence[float]
    answers: Sequence[tuple[float, Answer]]

    def lags_s(self) -> list[float]:
        """From the end of a segment's speech to its clip, for who hears all clips one after the other."""
        lags_s: list[float] = []
        free_s = 0.0
        for at_s, answer in self.answers:
            if isinstance(answer, Speech):
                begins_s = max(free_s, at_s)
                lags_s.append(begins_s - self.ended_s[answer.segment])
                free_s = begins_s + answer.clip.duration_ms / 1000
        return lags_s


async def _held(talk: Sequence[Spoken], engines: EngineThread, language: str) -> _Held:
    loop = asyncio.get_running_loop()
    answers: list[tuple[float, Answer]] = []

    async def emit(answer: Answer) -> None:
        answers.append((loop.time(), answer))

    lane = Lane(
        language,
        source="en",
        glossary=Glossary(),
        interpreter=engines,
        emit=emit,
        segment_timeout_s=60.0,
        clock=loop.time,
    )
    running = asyncio.create_task(lane.run())
    target = Target(language, speak=True)
    ended_s: list[float] = []
    due_s = loop.time()
    for segment, spoken in enumerate(talk):
        due_s += spoken.source_s + PAUSE_S
        ended_s.append(due_s)
        await asyncio.sleep(due_s + RECOGNISED_AFTER_S - loop.time())
        ago_s = loop.time() - due_s
        text = spoken.said.source
        await lane.submit(
            Segment(segment, 1, text, is_final=True, targets=(target,), ended_ago_s=ago_s), target
        )
    await lane.close()
    await running
    return _Held(ended_s, answers)
