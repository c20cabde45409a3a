"""A lane's voice, in simulated time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from bench.quality.virtual_time import VirtualTimeLoop
from translation_svc.cost import Tally, uncounted
from translation_svc.failures import EngineDied
from translation_svc.glossary import Glossary
from translation_svc.lane import Lane
from translation_svc.segments import (
    Answer,
    Clip,
    Component,
    Failure,
    Prosody,
    Segment,
    Speech,
    SpokenOver,
    Target,
    Tier,
    Translation,
)
from translation_svc.speaking import MAX_WAITING, blended
from translation_svc.turns import Urgency

ResultT = TypeVar("ResultT")

BOUND_S = 8.0
CHARACTERS_PER_S = 15.0
DELAY_S = 0.8
"""From the end of speech to its text, in these tests."""


@dataclass(slots=True)
class Desk:
    """Gives each text back, and a voice of 15 characters a second."""

    said: list[tuple[str, float]] = field(default_factory=list)
    failing: str = "no text has this"
    takes_s: float = 0.02
    encoded: int = 0

    def sources(self) -> list[str]:
        return ["en"]

    def voices(self, language: str) -> list[str]:
        return []

    def targets(self, source: str) -> list[str]:
        return ["es"] if source == "en" else []

    def warm(self, source: str, target: str | None) -> None:
        return None

    async def translate(
        self,
        text: str,
        *,
        source: str,
        target: str,
        glossary: Glossary,
        urgency: Urgency,
        tally: Tally = uncounted,
        context: str = "",
    ) -> str:
        return text

    async def speak(
        self,
        text: str,
        *,
        language: str,
        prosody: Prosody,
        tier: Tier = Tier.STANDARD,
        tally: Tally = uncounted,
    ) -> Clip:
        self.said.append((text, prosody.rate * prosody.pace))
        await asyncio.sleep(self.takes_s)
        if self.failing in text:
            raise EngineDied("voice")
        samples = round(len(text) / CHARACTERS_PER_S / (prosody.rate * prosody.pace) * 1_000)
        return Clip(b"\0\x20" * samples, 1_000)

    async def opus(self, clip: Clip) -> bytes:
        self.encoded += 1
        return b"OggS"


@dataclass(slots=True)
class Talk:
    """A lane with what it answered, and when, s."""

    desk: Desk = field(default_factory=Desk)
    bound_s: float = BOUND_S
    answers: list[tuple[float, Answer]] = field(default_factory=list)
    ended_s: dict[int, float] = field(default_factory=dict)
    lane: Lane = field(init=False)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()

        async def emit(answer: Answer) -> None:
            self.answers.append((loop.time(), answer))

        self.lane = Lane(
            "es",
            source="en",
            glossary=Glossary(),
            interpreter=self.desk,
            emit=emit,
            segment_timeout_s=10.0,
            voice_lag_s=self.bound_s,
            clock=loop.time,
        )

    async def say(
        self, number: int, seconds: float, *, revision: int = 1, target: Target | None = None
    ) -> None:
        """A sentence whose translation takes so long to say."""
        text = f"{number} ".ljust(round(seconds * CHARACTERS_PER_S), "a")
        self.ended_s.setdefault(number, asyncio.get_running_loop().time() - DELAY_S)
        target = target or Target("es", speak=True)
        segment = Segment(number, revision, text, is_final=True, targets=(target,), ended_ago_s=DELAY_S)
        await self.lane.submit(segment, target)

    async def hold(self, sentences: Sequence[tuple[float, float]]) -> None:
        """Speech that takes so long each, and whose translations take so long; then the end."""
        running = asyncio.create_task(self.lane.run())
        for number, (source_s, voice_s) in enumerate(sentences):
            await asyncio.sleep(source_s)
            await self.say(number, voice_s)
        await self.lane.close()
        await running

    @property
    def voices(self) -> list[Answer]:
        """All but texts."""
        return [answer for _, answer in self.answers if not isinstance(answer, Translation)]

    def lags_s(self) -> list[float]:
        """From the end of speech to its clip, for somebody who hears every clip as soon as it is there."""
        lags, free_s = [], 0.0
        for at_s, answer in self.answers:
            if isinstance(answer, Speech):
                begins_s = max(free_s, at_s)
                lags.append(begins_s - self.ended_s[answer.segment])
                free_s = begins_s + answer.clip.duration_ms / 1000
        return lags

    def fates(self) -> list[tuple[int, str]]:
        """What became of each sentence, in the order of the answers."""
        fates: list[tuple[int, str]] = []
        for answer in self.voices:
            if isinstance(answer, Speech):
                fates += [(answer.segment, "spoken"), *((number, "merged") for number in answer.merged)]
            else:
                fates.append((answer.segment, type(answer).__name__))
        return fates


def in_virtual_time(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Run `work` on a loop that skips the waits."""

    async def run() -> ResultT:
        return await work()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())


def test_ten_minutes_of_fast_talk_stay_within_the_bound() -> None:
    """Translations that take 1.6 times as long: each sentence once and in order, most of them heard."""

    async def talk() -> Talk:
        talk = Talk()
        await talk.hold([(2.0 + number % 5, 1.6 * (2.0 + number % 5)) for number in range(150)])
        return talk

    held = in_virtual_time(talk)
    assert [number for number, _ in held.fates()] == list(range(150))
    kinds = [kind for _, kind in held.fates()]
    assert set(kinds) == {"spoken", "merged", "SpokenOver"}
    left_out = sum(2.0 + number % 5 for number, kind in held.fates() if kind == "SpokenOver")
    assert left_out < 0.25 * 150 * 4.0  # 1 - 1.25 / 1.6 = 0.22 cannot be said in time
    assert max(held.lags_s()) <= BOUND_S + 0.1
    assert max(answer.pace for answer in held.voices if isinstance(answer, Speech)) == 1.25


def test_a_talk_with_room_is_spoken_sentence_by_sentence() -> None:
    """At its own pace, and at once."""

    async def talk() -> Talk:
        talk = Talk()
        await talk.hold([(3.0, 2.8)] * 50)
        return talk

    held = in_virtual_time(talk)
    assert held.fates() == [(number, "spoken") for number in range(50)]
    assert {rate for _, rate in held.desk.said} == {1.0}
    assert max(held.lags_s()) <= DELAY_S + 0.2


def test_captions_do_not_wait_for_the_voice() -> None:
    """However far it is behind."""

    async def talk() -> Talk:
        talk = Talk()
        await talk.hold([(2.0, 5.0)] * 20)
        return talk

    held = in_virtual_time(talk)
    for at_s, answer in held.answers:
        if isinstance(answer, Translation):
            assert at_s - held.ended_s[answer.segment] <= DELAY_S + 0.1


def test_captions_do_not_wait_for_a_voice_that_hangs_without_a_bound() -> None:
    """With no bound of lag nothing is too late; of more than can wait, the oldest is spoken over."""

    async def talk() -> Talk:
        talk = Talk(Desk(takes_s=60.0), bound_s=0.0)
        await talk.hold([(2.0, 2.0)] * (2 * MAX_WAITING))
        return talk

    held = in_virtual_time(talk)
    for at_s, answer in held.answers:
        if isinstance(answer, Translation):
            assert at_s - held.ended_s[answer.segment] <= DELAY_S + 0.1
    assert sorted(number for number, _ in held.fates()) == list(range(2 * MAX_WAITING))
    assert {kind for _, kind in held.fates()} == {"Failure", "SpokenOver"}


def test_a_stream_that_is_opened_anew_knows_what_is_still_to_be_heard() -> None:
    """From its first sentence; what would be too late is spoken over."""

    async def talk() -> Talk:
        talk = Talk()
        running = asyncio.create_task(talk.lane.run())
        await talk.say(1, 2.0, target=Target("es", speak=True, unplayed_s=7.9))
        await talk.say(2, 2.0, target=Target("es", speak=True, unplayed_s=7.9))
        talk.ended_s[2] = asyncio.get_running_loop().time()
        await asyncio.sleep(1.0)
        await talk.say(3, 2.0)
        await talk.lane.close()
        await running
        return talk

    held = in_virtual_time(talk)
    assert held.fates() == [(1, "SpokenOver"), (2, "SpokenOver"), (3, "spoken")]


def test_a_sentence_that_is_corrected_while_it_waits_is_spoken_corrected_and_once() -> None:
    """In its place."""

    async def talk() -> Talk:
        talk = Talk()
        running = asyncio.create_task(talk.lane.run())
        await talk.say(1, 4.0)
        await asyncio.sleep(0.1)
        await talk.say(2, 2.0)
        await talk.say(3, 1.0)
        await asyncio.sleep(0.5)
        await talk.say(2, 1.0, revision=2)
        await talk.lane.close()
        await running
        return talk

    held = in_virtual_time(talk)
    assert [number for number, _ in held.fates()] == [1, 2, 3]
    assert sum(len(text) for text, _ in held.desk.said) == pytest.approx(6.0 * CHARACTERS_PER_S, abs=2)


def test_a_voice_that_fails_fails_for_all_that_were_merged() -> None:
    """One failure each, and the rest goes on."""

    async def talk() -> Talk:
        talk = Talk(Desk(failing="3 a"))
        await talk.hold([(1.0, 4.0), (0.5, 2.0), (0.5, 0.7), (0.3, 0.7), (0.3, 0.7), (9.0, 2.0)])
        return talk

    held = in_virtual_time(talk)
    failures = [answer for answer in held.voices if isinstance(answer, Failure)]
    assert 3 in {failure.segment for failure in failures}
    assert {failure.component for failure in failures} == {Component.SPEECH}
    assert [number for number, _ in held.fates()] == list(range(6))
    assert held.fates()[-1] == (5, "spoken")


def test_a_clip_that_was_made_too_slowly_is_spoken_over() -> None:
    """Better a caption in time than a voice that is late."""

    async def talk() -> Talk:
        talk = Talk(Desk(takes_s=9.0))
        await talk.hold([(2.0, 2.0)])
        return talk

    assert in_virtual_time(talk).voices == [SpokenOver(0, "es")]


def test_opus_is_made_when_any_of_the_merged_wants_it() -> None:
    """Once for all of them."""

    async def talk() -> Talk:
        talk = Talk()
        running = asyncio.create_task(talk.lane.run())
        await talk.say(1, 6.0)
        await asyncio.sleep(0.5)
        await talk.say(2, 1.0, target=Target("es", speak=True, opus=True))
        await talk.say(3, 1.0)
        await talk.lane.close()
        await running
        return talk

    held = in_virtual_time(talk)
    last = held.voices[-1]
    assert isinstance(last, Speech)
    assert (last.segment, last.merged, last.opus) == (2, (3,), b"OggS")
    assert held.desk.encoded == 1


def test_prosody_of_merged_texts_is_their_mean_and_the_strongest_emotion() -> None:
    """Weighed by length."""
    calm = Prosody(volume_db=-2.0, rate=0.8, emotion="calm", intensity=0.3)
    excited = Prosody(volume_db=4.0, rate=1.2, emotion="excited", intensity=0.6)
    both = blended([(calm, 10), (excited, 30)])
    assert both.rate == pytest.approx(1.1)
    assert (both.volume_db, both.emotion, both.intensity) == (2.5, "excited", 0.6)
    assert blended([(calm, 10)]) is calm
