"""Lanes side by side."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from babelcast.channel import Channel
from babelcast.errors import ErrorCode, Moving, UnsupportedLanguage
from translation_svc.failures import EngineDied
from translation_svc.glossary import Glossary
from translation_svc.interpreter import EngineInterpreter
from translation_svc.segments import Answer, Component, Failure, Segment, Speech, Target, Translation
from translation_svc.stream import Stream, StreamCut, StreamSettings
from translation_svc.translators.base import Pair

if TYPE_CHECKING:
    from tests.unit.translation_svc.conftest import FakeTranslator


def _stream(
    interpreter: EngineInterpreter, answers: Channel[Answer], draining: asyncio.Event | None = None
) -> Stream:
    settings = StreamSettings(source="en", glossary=Glossary(), segment_timeout_s=10)
    return Stream(settings, interpreter=interpreter, emit=answers.send, draining=draining or asyncio.Event())


def _segment(number: int, *languages: str, text: str = "Hello.", speak: bool = False) -> Segment:
    return Segment(number, 1, text, is_final=True, targets=tuple(Target(code, speak) for code in languages))


async def _from(*segments: Segment) -> AsyncIterator[Segment]:
    for segment in segments:
        yield segment


async def _collect(
    stream: Stream, segments: AsyncIterator[Segment], answers: Channel[Answer]
) -> list[Answer]:
    await stream.run(segments)
    answers.close()
    return [answer async for answer in answers]


def _keys(answers: list[Answer], language: str) -> list[tuple[int, str]]:
    return [(answer.segment, type(answer).__name__) for answer in answers if answer.language == language]


async def test_each_language_gets_each_segment_once_in_order(interpreter: EngineInterpreter) -> None:
    """Text then speech."""
    answers: Channel[Answer] = Channel(100)
    got = await _collect(
        _stream(interpreter, answers),
        _from(*(_segment(n, "pt", "es", "fr", text=f"Number {n}.", speak=True) for n in range(5))),
        answers,
    )
    for language in ("pt", "es", "fr"):
        assert _keys(got, language) == [(n, kind) for n in range(5) for kind in ("Translation", "Speech")]


async def test_what_languages_share_is_done_once(
    interpreter: EngineInterpreter, model: "FakeTranslator", rules: "FakeTranslator"
) -> None:
    """One step into Portuguese, one on to Spanish, for three languages."""
    answers: Channel[Answer] = Channel(100)
    await _collect(_stream(interpreter, answers), _from(_segment(1, "pt", "es", "fr")), answers)
    assert [pair for _, pair, _ in model.calls] == [Pair("en", "pt")]
    assert [pair for _, pair, _ in rules.calls] == [Pair("pt", "es"), Pair("es", "fr")]


async def test_a_language_does_not_wait_for_another(
    interpreter: EngineInterpreter, rules: "FakeTranslator"
) -> None:
    """While Spanish hangs, Portuguese goes on; then Spanish follows, in order."""
    answers: Channel[Answer] = Channel(100)
    gate = rules.gates[Pair("pt", "es")] = asyncio.Event()
    running = asyncio.create_task(
        _stream(interpreter, answers).run(
            _from(_segment(1, "es", "pt", text="One."), _segment(2, "es", "pt", text="Two."))
        )
    )
    async with asyncio.timeout(5):
        first = [await answers.receive(), await answers.receive()]
    assert [(answer.segment, answer.language) for answer in first] == [(1, "pt"), (2, "pt")]
    gate.set()
    await running
    answers.close()
    rest = [answer async for answer in answers]
    assert [(answer.segment, answer.language) for answer in rest] == [(1, "es"), (2, "es")]


async def test_a_failing_language_hurts_nobody_else(
    interpreter: EngineInterpreter, rules: "FakeTranslator"
) -> None:
    """Its own failure, everybody else's text."""
    rules.failures[Pair("es", "fr")] = EngineDied("apertium")
    answers: Channel[Answer] = Channel(100)
    got = await _collect(
        _stream(interpreter, answers), _from(_segment(1, "pt", "es", "fr", speak=True)), answers
    )
    assert _keys(got, "fr") == [(1, "Failure")]
    assert _keys(got, "pt") == _keys(got, "es") == [(1, "Translation"), (1, "Speech")]


async def test_an_unsupported_target_fails_by_itself(interpreter: EngineInterpreter) -> None:
    """With the protocol's code."""
    answers: Channel[Answer] = Channel(100)
    got = await _collect(_stream(interpreter, answers), _from(_segment(1, "de", "pt")), answers)
    assert got[0] == Failure(1, 1, "de", Component.TRANSLATION, ErrorCode.UNSUPPORTED_LANGUAGE, is_final=True)
    assert _keys(got, "pt") == [(1, "Translation")]


async def test_the_source_itself_is_heard_as_it_is(interpreter: EngineInterpreter) -> None:
    """No steps, no changes."""
    answers: Channel[Answer] = Channel(100)
    got = await _collect(_stream(interpreter, answers), _from(_segment(1, "en", text="as it is")), answers)
    assert got == [Translation(1, 1, "en", "as it is", is_final=True)]


def test_an_unknown_source_is_refused_with_what_there_is(interpreter: EngineInterpreter) -> None:
    """Before the stream starts."""
    settings = StreamSettings(source="de", glossary=Glossary(), segment_timeout_s=10)
    with pytest.raises(UnsupportedLanguage) as refused:
        Stream(settings, interpreter=interpreter, emit=Channel[Answer](1).send, draining=asyncio.Event())
    assert refused.value.details["available"] == ["en", "es", "pt"]


async def test_engines_are_warmed_at_the_start_and_at_a_first_target(
    interpreter: EngineInterpreter,
    model: "FakeTranslator",
    rules: "FakeTranslator",
) -> None:
    """What several targets need when the stream opens, the rest when a language appears, each once."""
    answers: Channel[Answer] = Channel(100)
    await _collect(_stream(interpreter, answers), _from(_segment(1, "fr"), _segment(2, "fr")), answers)
    await interpreter.aclose()
    assert model.warmed == [Pair("en", "pt")]
    assert sorted(rules.warmed) == [Pair("es", "fr"), Pair("pt", "es")]


async def test_a_cut_stream_drops_what_is_open(
    interpreter: EngineInterpreter, rules: "FakeTranslator"
) -> None:
    """Nobody is there to read it."""
    rules.gates[Pair("pt", "es")] = asyncio.Event()
    answers: Channel[Answer] = Channel(100)

    async def cut() -> AsyncIterator[Segment]:
        yield _segment(1, "es")
        raise StreamCut

    with pytest.raises(ExceptionGroup) as group:
        await _stream(interpreter, answers).run(cut())
    assert group.group_contains(StreamCut)
    assert len(answers) == 0
    await interpreter.aclose()


async def test_partial_segments_can_be_left_out_for_a_language(interpreter: EngineInterpreter) -> None:
    """The other languages get theirs."""
    answers: Channel[Answer] = Channel(100)
    settings = StreamSettings(
        source="en",
        glossary=Glossary(),
        segment_timeout_s=10,
        translates_partials=lambda target: target == "pt",
    )
    stream = Stream(settings, interpreter=interpreter, emit=answers.send, draining=asyncio.Event())
    partial = Segment(1, 1, "Hello.", is_final=False, targets=(Target("pt"), Target("es")))
    got = await _collect(stream, _from(partial), answers)
    assert [(answer.language, type(answer)) for answer in got] == [("pt", Translation)]


async def test_draining_finishes_what_was_taken_and_then_says_so(interpreter: EngineInterpreter) -> None:
    """The owner repeats the rest elsewhere."""
    answers: Channel[Answer] = Channel(100)
    draining, more = asyncio.Event(), asyncio.Event()

    async def open_end() -> AsyncIterator[Segment]:
        yield _segment(1, "es", speak=True)
        draining.set()
        await asyncio.sleep(0)
        yield _segment(2, "es", "pt")
        await more.wait()

    with pytest.raises(ExceptionGroup) as group:
        await _stream(interpreter, answers, draining).run(open_end())
    assert group.group_contains(Moving)
    answers.close()
    got = [answer async for answer in answers]
    assert [type(answer) for answer in got] == [Translation, Speech]
