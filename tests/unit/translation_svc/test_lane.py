"""One language of one stream."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.errors import ErrorCode
from tests.traced import parent_of, recording, traceparent_of
from translation_svc.cost import Tally, uncounted
from translation_svc.failures import EngineDied
from translation_svc.glossary import Glossary
from translation_svc.lane import MAX_WAITING, Lane
from translation_svc.segments import (
    Answer,
    Clip,
    Component,
    Failure,
    Prosody,
    Segment,
    Speech,
    Target,
    Tier,
    Translation,
)
from translation_svc.turns import Urgency

ES = Target("es")
SPOKEN = Target("es", speak=True)


class Desk:
    """An interpreter in capitals; can be held back, and can fail."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.translated: list[tuple[str, Urgency]] = []
        self.contexts: list[str] = []
        self.fail_text = ""
        self.voice_fails = False
        self.encoded = 0

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
        self.translated.append((text, urgency))
        self.asked.set()
        self.contexts.append(context)
        await self.gate.wait()
        if text == self.fail_text:
            raise EngineDied("fake")
        return text.upper()

    async def speak(
        self,
        text: str,
        *,
        language: str,
        prosody: Prosody,
        tier: Tier = Tier.STANDARD,
        tally: Tally = uncounted,
    ) -> Clip:
        if self.voice_fails:
            raise EngineDied("voice")
        return Clip(text.encode("utf-16-le"), 16_000)

    async def opus(self, clip: Clip) -> bytes:
        self.encoded += 1
        return b"OggS"


def _lane(desk: Desk, answers: list[Answer], *, clock: float = 0.0, timeout_s: float = 10) -> Lane:
    async def emit(answer: Answer) -> None:
        answers.append(answer)

    return Lane(
        "es",
        source="en",
        glossary=Glossary(),
        interpreter=desk,
        emit=emit,
        segment_timeout_s=timeout_s,
        clock=lambda: clock,
    )


def _segment(number: int, text: str = "hi", *, revision: int = 1, final: bool = True) -> Segment:
    return Segment(number, revision, text, final, (ES,))


async def _run(lane: Lane) -> None:
    await lane.close()
    await lane.run()


async def test_finals_are_answered_in_order_with_speech_after_text() -> None:
    """Translations and speeches in order, each after its translation; Opus only where it is asked for."""
    desk, answers = Desk(), list[Answer]()
    lane = _lane(desk, answers)
    await lane.submit(_segment(1, "a"), SPOKEN)
    await lane.submit(_segment(2, "b"), ES)
    await lane.submit(_segment(3, "c"), Target("es", speak=True, opus=True))
    await _run(lane)
    assert [answer for answer in answers if isinstance(answer, Translation)] == [
        Translation(1, 1, "es", "A", is_final=True),
        Translation(2, 1, "es", "B", is_final=True),
        Translation(3, 1, "es", "C", is_final=True),
    ]
    speeches = [answer for answer in answers if isinstance(answer, Speech)]
    assert speeches == [
        Speech(1, "es", Clip(b"A\0", 16_000)),
        Speech(3, "es", Clip(b"C\0", 16_000), b"OggS"),
    ]
    assert answers.index(speeches[1]) == len(answers) - 1
    assert desk.encoded == 1


async def test_partials_are_never_spoken() -> None:
    """Even if asked for; and they are less urgent."""
    desk, answers = Desk(), list[Answer]()
    lane = _lane(desk, answers)
    await lane.submit(_segment(1, "a", final=False), SPOKEN)
    await _run(lane)
    assert answers == [Translation(1, 1, "es", "A", is_final=False)]
    assert desk.translated == [("a", Urgency.PARTIAL)]


async def test_only_the_newest_partial_waits() -> None:
    """Revisions and segments that came in between are left out."""
    desk, answers = Desk(), list[Answer]()
    lane = _lane(desk, answers)
    for revision in range(1, 4):
        await lane.submit(_segment(1, f"a{revision}", revision=revision, final=False), ES)
    await lane.submit(_segment(2, "b", final=False), ES)
    await _run(lane)
    assert [text for text, _ in desk.translated] == ["b"]


async def test_a_final_overtakes_its_partials() -> None:
    """Those that wait and those that come late; a later segment's partial stays."""
    desk, answers = Desk(), list[Answer]()
    lane = _lane(desk, answers)
    await lane.submit(_segment(1, "partial", final=False), ES)
    await lane.submit(_segment(1, "final", revision=2), ES)
    await lane.submit(_segment(1, "late", final=False), ES)
    await lane.submit(_segment(3, "next", final=False), ES)
    await lane.submit(_segment(2, "between"), ES)
    await _run(lane)
    assert [text for text, _ in desk.translated] == ["final", "next", "between"]


class BusyDesk(Desk):
    """An engine that is so busy with others' finals that no partial gets its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.finals = asyncio.Event()

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
        if urgency is Urgency.PARTIAL:
            self.asked.set()
            await asyncio.Event().wait()
        self.finals.set()
        return text.upper()


async def test_a_final_does_not_wait_for_its_partial_that_is_under_way() -> None:
    """That has no answer any more, not even a failure; a later segment's goes on."""
    desk, answers = BusyDesk(), list[Answer]()
    lane = _lane(desk, answers, timeout_s=1)
    running = asyncio.create_task(lane.run())
    await lane.submit(_segment(1, "partial", final=False), ES)
    await desk.asked.wait()
    await lane.submit(_segment(1, "final", revision=2), ES)
    async with asyncio.timeout(0.5):
        await desk.finals.wait()
    desk.asked.clear()
    await lane.submit(_segment(3, "next", final=False), ES)
    await desk.asked.wait()
    await lane.submit(_segment(2, "between"), ES)
    await lane.close()
    await running
    assert answers == [
        Translation(1, 2, "es", "FINAL", True),
        Failure(3, 1, "es", Component.TRANSLATION, ErrorCode.SERVICE_UNAVAILABLE, False),
        Translation(2, 1, "es", "BETWEEN", True),
    ]


async def test_a_repeated_final_is_answered_once_and_an_edited_one_again() -> None:
    """Segment and revision together are what is answered once."""
    desk, answers = Desk(), list[Answer]()
    lane = _lane(desk, answers)
    await lane.submit(_segment(1, "a"), ES)
    await lane.submit(_segment(1, "a"), ES)
    await lane.submit(_segment(1, "edited", revision=2), ES)
    await _run(lane)
    assert [answer.text for answer in answers if isinstance(answer, Translation)] == ["A", "EDITED"]


async def test_a_failed_segment_is_answered_by_a_failure_and_the_next_goes_on() -> None:
    """In its place."""
    desk, answers = Desk(), list[Answer]()
    desk.fail_text = "bad"
    lane = _lane(desk, answers)
    await lane.submit(_segment(1, "bad"), SPOKEN)
    await lane.submit(_segment(2, "good"), ES)
    await _run(lane)
    assert answers == [
        Failure(1, 1, "es", Component.TRANSLATION, ErrorCode.SERVICE_UNAVAILABLE, is_final=True),
        Translation(2, 1, "es", "GOOD", is_final=True),
    ]


async def test_a_failed_voice_leaves_the_text() -> None:
    """Translation, then a failure in the place of speech."""
    desk, answers = Desk(), list[Answer]()
    desk.voice_fails = True
    lane = _lane(desk, answers)
    await lane.submit(_segment(1, "a"), SPOKEN)
    await _run(lane)
    assert answers == [
        Translation(1, 1, "es", "A", is_final=True),
        Failure(1, 1, "es", Component.SPEECH, ErrorCode.SERVICE_UNAVAILABLE, is_final=True),
    ]


async def test_a_segment_that_takes_too_long_fails() -> None:
    """The deadline runs from its arrival."""
    desk, answers = Desk(), list[Answer]()
    desk.gate.clear()
    lane = _lane(desk, answers, timeout_s=0.05)
    await lane.submit(_segment(1, "a"), ES)
    await _run(lane)
    assert [type(answer) for answer in answers] == [Failure]


async def test_finals_wait_for_room_and_a_closed_lane_lets_go() -> None:
    """Back-pressure behind a dead engine, until the stream ends."""
    desk, answers = Desk(), list[Answer]()
    lane = _lane(desk, answers)
    for number in range(MAX_WAITING):
        await lane.submit(_segment(number), ES)
    waiting = asyncio.create_task(lane.submit(_segment(MAX_WAITING), ES))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    running = asyncio.create_task(lane.run())
    await waiting
    await lane.close()
    await running
    assert len(answers) == MAX_WAITING + 1
    await lane.submit(_segment(999), ES)
    assert len(answers) == MAX_WAITING + 1


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans(), st.booleans()), max_size=30))
def test_every_final_once_in_order_and_no_partial_after_its_final(
    events: list[tuple[int, int, bool, bool]],
) -> None:
    """Whatever comes in whatever order, interleaved with answers."""

    async def run() -> None:
        desk, answers = Desk(), list[Answer]()
        lane = _lane(desk, answers)
        running = asyncio.create_task(lane.run())
        expected: list[tuple[int, int]] = []
        newest: dict[int, int] = {}
        for number, revision, final, pause in events:
            await lane.submit(_segment(number, revision=revision, final=final), ES)
            if final and newest.get(number, -1) < revision:
                newest[number] = revision
                expected.append((number, revision))
            if pause:
                await asyncio.sleep(0)
        await lane.close()
        await running
        finals: set[int] = set()
        got: list[tuple[int, int]] = []
        for answer in answers:
            assert isinstance(answer, Translation)
            if answer.is_final:
                finals.add(answer.segment)
                got.append((answer.segment, answer.revision))
            else:
                assert answer.segment not in finals
        assert got == expected

    asyncio.run(run())


async def test_the_lane_ends_with_its_stream() -> None:
    """Cancelled in mid-sentence, it does not linger."""
    desk = Desk()
    desk.gate.clear()
    lane = _lane(desk, [])
    await lane.submit(_segment(1), ES)
    running = asyncio.create_task(lane.run())
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_the_sentence_before_is_context() -> None:
    """Of the next ones, partial and final; not of a correction of an old one."""
    desk = Desk()
    lane = _lane(desk, [])
    running = asyncio.create_task(lane.run())
    await lane.submit(_segment(1, "a"), ES)
    await lane.submit(_segment(2, "b", final=False), ES)
    while len(desk.contexts) < 2:  # noqa: ASYNC110 - a turn of the loop, lest the final overtake the partial
        await asyncio.sleep(0)
    await lane.submit(_segment(2, "b", revision=2), ES)
    await lane.submit(_segment(1, "edited", revision=2), ES)
    await lane.submit(_segment(3, "c"), ES)
    await lane.close()
    await running
    assert desk.contexts == ["", "a", "a", "", "b"]


SENTENCE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_a_traced_sentence_is_a_span_for_each_stage() -> None:
    """Its answers tell which; the voice is below the text. One that is not traced makes none."""
    desk, answers = Desk(), list[Answer]()
    with recording() as recorded:
        lane = _lane(desk, answers)
        await lane.submit(replace(_segment(1, "a"), traceparent=SENTENCE), SPOKEN)
        await lane.submit(_segment(2, "b"), SPOKEN)
        await _run(lane)
    text, voice = recorded.only("translate es"), recorded.only("speak es")
    told = {(type(answer), answer.segment): answer.traceparent for answer in answers}
    assert told == {
        (Translation, 1): traceparent_of(text),
        (Speech, 1): traceparent_of(voice),
        (Translation, 2): "",
        (Speech, 2): "",
    }
    assert parent_of(text) == int("00f067aa0ba902b7", 16)
    assert text.context is not None
    assert parent_of(voice) == text.context.span_id


async def test_a_stage_that_fails_is_marked_and_told() -> None:
    """The text, and the voice."""
    desk, answers = Desk(), list[Answer]()
    desk.fail_text, desk.voice_fails = "bad", True
    with recording() as recorded:
        lane = _lane(desk, answers)
        for number, text in enumerate(("bad", "good")):
            await lane.submit(replace(_segment(number, text), traceparent=SENTENCE), SPOKEN)
        await _run(lane)
    bad, good = (span for span in recorded.spans if span.name == "translate es")
    voice = recorded.only("speak es")
    assert bad.status.description == voice.status.description == "SERVICE_UNAVAILABLE"
    assert good.status.is_unset
    failures = [answer for answer in answers if isinstance(answer, Failure)]
    assert [failure.traceparent for failure in failures] == [traceparent_of(bad), traceparent_of(voice)]


async def test_a_stage_that_is_cut_off_is_marked_as_cancelled() -> None:
    """As when its stream's other side goes away."""
    desk = Desk()
    desk.gate.clear()
    with recording() as recorded:
        lane = _lane(desk, [])
        await lane.submit(replace(_segment(1, "a"), traceparent=SENTENCE), ES)
        running = asyncio.create_task(lane.run())
        async with asyncio.timeout(10):
            await desk.asked.wait()
        running.cancel()
        await asyncio.wait([running])
    assert (recorded.only("translate es").attributes or {})["babelcast.cancelled"] is True
