"""Those who come late read what was said before."""

import asyncio

import pytest

from babelcast.errors import ServiceUnavailable
from babelcast.translation.v1 import translation_pb2 as mt
from tests.integration.gateway.client import Client
from tests.integration.gateway.stage import Stage, Talk


async def join(stage: Stage, talk: Talk, language: str, **wishes: object) -> Client:
    """A listener, whatever the owner knows of it."""
    client = await stage.client()
    await client.ask(
        "sessionJoined",
        **{"action": "joinSession", "sessionId": talk.session_id, "targetLanguage": language, **wishes},
    )
    return client


def read(listener: Client, kind: str = "caption") -> list[tuple[str, str]]:
    """All final texts that a listener got."""
    return [(m["segmentId"], m["text"]) for m in listener.all(kind) if m["isFinal"]]


async def said(talk: Talk, listener: Client, segment: int, text: str) -> None:
    """Have a sentence said, and wait until it was shown."""
    talk.hearing.final(segment, text)
    await listener.until("caption", where=lambda m: m["segmentId"] == str(segment))


async def test_history_comes_before_what_is_new(stage: Stage) -> None:
    """A late listener is shown the final captions of the time asked for, as corrected, in order, then those
    that come; one that does not ask is shown what comes alone.
    """
    talk = await stage.talk()
    first = await stage.listener(talk, "es")
    for segment, text in enumerate(("One.", "To.", "Three.")):
        await said(talk, first, segment, text)
    await talk.speaker.ask("transcript", action="editTranscript", segmentId="1", text="Two.", requestId="t")
    await first.until("caption", where=lambda m: m["text"] == "[es] Two.")
    late = await join(stage, talk, "es", history=60)
    modest = await join(stage, talk, "es")
    english = await join(stage, talk, "en", history=60)
    await said(talk, late, 3, "Four.")
    texts = ["One.", "Two.", "Three.", "Four."]
    assert read(late) == [(str(n), f"[es] {text}") for n, text in enumerate(texts)]
    assert [m["revision"] for m in late.all("caption")][1] > 0
    await english.until("transcript", where=lambda m: m["segmentId"] == "3")
    assert read(english, "transcript") == [(str(n), text) for n, text in enumerate(texts)]
    await modest.until("caption", where=lambda m: m["segmentId"] == "3")
    assert read(modest) == [("3", "[es] Four.")]
    assert late.seen[0]["type"] == "sessionJoined"


async def test_what_is_older_is_not_shown(stage: Stage) -> None:
    """Only so many seconds are."""
    talk = await stage.talk()
    first = await stage.listener(talk, "es")
    await said(talk, first, 0, "One.")
    await asyncio.sleep(1.1)  # the wall clock's
    await said(talk, first, 1, "Two.")
    late = await join(stage, talk, "es", history=1)
    await said(talk, late, 2, "Three.")
    assert read(late) == [("1", "[es] Two."), ("2", "[es] Three.")]


async def test_a_language_that_nobody_listened_in(stage: Stage) -> None:
    """What was said last is translated for the first one who asks in a language, without voice, as far as it
    was not before; who did not ask is not bothered with it, and it is in the transcript.
    """
    talk = await stage.talk()
    spanish = await stage.listener(talk, "es")
    await said(talk, spanish, 0, "One.")
    await said(talk, spanish, 1, "Two.")
    modest = await join(stage, talk, "fr")
    french = await join(stage, talk, "fr", history=300)
    await french.until("caption", where=lambda m: m["segmentId"] == "1")
    await said(talk, french, 2, "Three.")
    await french.until("translatedAudio")
    assert read(french) == [(str(n), f"[fr] {text}") for n, text in enumerate(("One.", "Two.", "Three."))]
    assert [m["segmentId"] for m in french.all("translatedAudio")] == ["2"]
    await modest.until("caption", where=lambda m: m["segmentId"] == "2")
    assert read(modest) == [("2", "[fr] Three.")]
    assert stage.translation.asked("fr") == [0, 1, 2]
    assert stage.translation.asked("es") == [0, 1, 2]
    again = await join(stage, talk, "fr", history=300)
    await said(talk, again, 3, "Four.")
    assert [number for number, _ in read(again)] == ["0", "1", "2", "3"]
    assert stage.translation.asked("fr") == [0, 1, 2, 3]


async def test_what_cannot_be_translated_late_does_not_stop_the_rest(stage: Stage) -> None:
    """Who comes late reads the speaker's own words instead, as everybody does."""
    talk = await stage.talk()
    spanish = await stage.listener(talk, "es")
    await said(talk, spanish, 0, "One.")
    await said(talk, spanish, 1, "Two.")
    stage.translation.script.failing = {"fr": mt.COMPONENT_TRANSLATION}
    french = await join(stage, talk, "fr", history=300)
    await french.until("caption", where=lambda m: m["segmentId"] == "1")
    assert read(french) == [("0", "One."), ("1", "Two.")]


async def test_without_archive_one_still_joins(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the bus has is shown then."""
    talk = await stage.talk()
    first = await stage.listener(talk, "es")
    await said(talk, first, 0, "One.")

    async def away(*_: object) -> None:
        raise ServiceUnavailable("The archive does not answer.")

    monkeypatch.setattr(stage.desk.archive, "read", away)
    late = await join(stage, talk, "es", history=60)
    await said(talk, late, 1, "Two.")
    assert read(late) == [("0", "[es] One."), ("1", "[es] Two.")]


@pytest.mark.parametrize("history", [-1, 601, "60"])
async def test_histories_that_are_none(stage: Stage, history: object) -> None:
    """Seconds from 0 to 600."""
    talk = await stage.talk()
    client = await stage.client()
    refused = await client.refused(
        action="joinSession", sessionId=talk.session_id, targetLanguage="es", history=history
    )
    assert refused["code"] == "INVALID_PARAMETER"
