"""Talks that go from gateway to gateway: processes that die or sleep, on one real bus."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.gateway.client import Client, Message
from tests.integration.gateway.fleet import Fleet, fleet_of
from tests.integration.gateway.stage import Talk, eventually
from tests.nats_server import NatsServer


@pytest.fixture
async def fleet(tmp_path: Path, mortal_nats: NatsServer) -> AsyncIterator[Fleet]:
    """Two gateways."""
    async with fleet_of(2, tmp_path, mortal_nats) as running:
        yield running


def chunk(number: int) -> bytes:
    """100 ms that can be told from others."""
    return bytes([number, 1]) * 1600


def chunks(*numbers: int) -> bytes:
    """Several, one after the other."""
    return b"".join(chunk(number) for number in numbers)


async def say(talk: Talk, *numbers: int) -> None:
    """Send numbered chunks, and wait until they were heard or refused."""
    for number in numbers:
        await talk.speaker.audio(chunk(number), sequence=number)


async def spoken(listener: Client, segment: int) -> Message:
    """Wait for a voice."""
    return await listener.until("translatedAudio", where=lambda m: m["segmentId"] == str(segment))


def heard(listener: Client) -> list[tuple[int, str, str]]:
    """All voices that a listener got."""
    return [(m["sequenceNumber"], m["segmentId"], m["transcript"]) for m in listener.all("translatedAudio")]


def read(listener: Client, kind: str = "caption") -> list[tuple[str, str]]:
    """All final texts that a listener got."""
    return [(m["segmentId"], m["text"]) for m in listener.all(kind) if m["isFinal"]]


async def test_the_owner_dies_in_mid_sentence(fleet: Fleet) -> None:
    """Every sentence once and in order in each language, no number left out, every word of a client that
    sends again; what was shown of the open sentence stays.
    """
    talk = await fleet.talk(0)
    spanish = await fleet.listener(talk, 1, "es")
    french = await fleet.listener(talk, 1, "fr")
    english = await fleet.listener(talk, 1, "en")
    await say(talk, *range(1, 11))
    await talk.hearing.heard(10 * 3200)
    talk.hearing.final(0, "One.", end_ms=250)
    talk.hearing.final(1, "Two.", end_ms=530)
    for listener in (spanish, french):
        await spoken(listener, 1)
    talk.hearing.partial(2, "And a third", stable="And a", end_ms=900)
    await english.until("transcript", where=lambda m: m["text"] == "And a third")

    fleet.gateways[0].kill()
    complete = await fleet.come_back(talk, 1)
    assert complete["lastAudioSequence"] == 5
    await say(talk, *range(6, 13))
    again = await fleet.opened(talk)
    assert (again.config.first_segment, again.config.start_offset_ms) == (2, 512)
    assert await again.heard(7 * 3200 - 12 * 32) == chunks(*range(6, 13))[12 * 32 :]
    again.partial(2, "and a", stable="", end_ms=900)
    again.final(2, "and a third.", end_ms=1000)
    again.final(3, "Four.", end_ms=1100)
    for listener in (spanish, french):
        await spoken(listener, 3)
        await listener.fence()
    await english.until("transcript", where=lambda m: m["segmentId"] == "3" and m["isFinal"])
    texts = ["One.", "Two.", "and a third.", "Four."]
    for listener, language in ((spanish, "es"), (french, "fr")):
        expected = [(number, f"[{language}] {text}") for number, text in enumerate(texts)]
        assert heard(listener) == [(number + 1, str(number), text) for number, text in expected]
        assert read(listener) == [(str(number), text) for number, text in expected]
    assert read(english, "transcript") == [(str(n), text) for n, text in enumerate(texts)]
    third = [m["revision"] for m in english.all("transcript") if m["segmentId"] == "2"]
    assert third == sorted(set(third))
    assert {m["type"] for m in english.seen} <= {"sessionJoined", "transcript"}


async def test_what_was_owed_is_made_by_the_next_owner(fleet: Fleet) -> None:
    """Sentences without translation, and one with its caption and without its voice."""
    talk = await fleet.talk(0)
    spanish = await fleet.listener(talk, 1, "es")
    french = await fleet.listener(talk, 1, "fr")
    await say(talk, 1, 2, 3)
    fleet.translation.script.hanging = {"fr"}
    fleet.translation.script.mute = {"es"}
    talk.hearing.final(0, "One.", end_ms=100)
    talk.hearing.final(1, "Two.", end_ms=200)
    await spanish.until("caption", where=lambda m: m["segmentId"] == "1")
    fleet.gateways[0].kill()
    fleet.translation.script.hanging = set()
    fleet.translation.script.mute = set()
    await fleet.come_back(talk, 1)
    for listener, language in ((spanish, "es"), (french, "fr")):
        await spoken(listener, 1)
        await listener.fence()
        assert heard(listener) == [(1, "0", f"[{language}] One."), (2, "1", f"[{language}] Two.")]
        assert read(listener) == [("0", f"[{language}] One."), ("1", f"[{language}] Two.")]


async def test_an_owner_that_wakes_up_publishes_nothing(fleet: Fleet) -> None:
    """A gateway that slept finds itself replaced: its speaker is sent away, its words reach nobody."""
    talk = await fleet.talk(0)
    spanish = await fleet.listener(talk, 1, "es")
    await say(talk, 1, 2)
    talk.hearing.final(0, "One.", end_ms=100)
    await spoken(spanish, 0)
    sleeper, old = talk.speaker, talk.hearing
    fleet.gateways[0].sleep()
    old.final(1, "Said by the one that slept.", end_ms=200)
    await fleet.come_back(talk, 1)
    await say(talk, 2, 3)
    new = await fleet.opened(talk)
    new.final(1, "Two.", end_ms=200)
    await spoken(spanish, 1)
    fleet.gateways[0].wake()
    assert (await sleeper.closed())[0] == 1011
    new.final(2, "Three.", end_ms=300)
    await spoken(spanish, 2)
    await spanish.fence()
    assert heard(spanish) == [(1, "0", "[es] One."), (2, "1", "[es] Two."), (3, "2", "[es] Three.")]
    assert [text for _, text in read(spanish)] == ["[es] One.", "[es] Two.", "[es] Three."]


async def test_there_and_back(fleet: Fleet) -> None:
    """Two gateways take a talk from each other again and again; it goes on, and each sentence comes once."""
    talk = await fleet.talk(0)
    listeners = [await fleet.listener(talk, number, "es") for number in (0, 1)]
    for number in range(6):
        await say(talk, number + 1)
        talk.hearing.final(number, f"Sentence {number}.", end_ms=100 * number + 90)
        for listener in listeners:
            await spoken(listener, number)
        await fleet.come_back(talk, (number + 1) % 2)
        await say(talk, number + 1)
        await fleet.opened(talk)
    for listener in listeners:
        assert heard(listener) == [(n + 1, str(n), f"[es] Sentence {n}.") for n in range(6)]


async def test_correcting_what_the_former_owner_said(fleet: Fleet) -> None:
    """A sentence from the log can be edited, and the correction is shown once and not spoken."""
    talk = await fleet.talk(0)
    spanish = await fleet.listener(talk, 1, "es")
    talk.hearing.final(0, "Won.")
    await spoken(spanish, 0)
    fleet.gateways[0].kill()
    await fleet.come_back(talk, 1)
    edited = await talk.speaker.ask(
        "transcript", action="editTranscript", segmentId="0", text="One.", requestId="e"
    )
    assert (edited["revision"], edited["requestId"]) == (1, "e")
    await spanish.until("caption", where=lambda m: m["text"] == "[es] One.")
    await spanish.fence()
    assert heard(spanish) == [(1, "0", "[es] Won.")]


@pytest.mark.parametrize("counting", [True, False])
async def test_a_client_that_does_not_send_again(fleet: Fleet, counting: bool) -> None:
    """The words that were shown are a sentence of their own, and what it says now begins the next."""
    talk = await fleet.talk(0)
    spanish = await fleet.listener(talk, 1, "es")
    await say(talk, *range(1, 6))
    await talk.hearing.heard(5 * 3200)
    talk.hearing.partial(0, "Good morning every", stable="Good morning", end_ms=400)
    await talk.speaker.until("transcript")
    fleet.gateways[0].kill()
    complete = await fleet.come_back(talk, 1)
    assert complete["lastAudioSequence"] == 0
    if counting:
        await say(talk, 9)
    else:
        await talk.speaker.socket.send(chunk(9))
    again = await fleet.opened(talk)
    assert again.config.first_segment == 1
    assert await again.heard(3200) == chunk(9)
    again.final(1, "How are you?", end_ms=100)
    await spoken(spanish, 1)
    assert [text for _, _, text in heard(spanish)] == ["[es] Good morning", "[es] How are you?"]


@pytest.mark.parametrize(("hide", "show"), [("mute", "unmute"), ("pause", "resume")])
async def test_what_was_not_to_be_heard_is_not_heard_later(fleet: Fleet, hide: str, show: str) -> None:
    """What was sent while the speaker was muted or paused is silence when it is sent again."""
    talk = await fleet.talk(0)
    english = await fleet.listener(talk, 1, "en")
    await say(talk, 1, 2)
    await talk.speaker.ask("broadcastControlled", action="controlBroadcast", controlAction=hide)
    await say(talk, 3, 4)
    await talk.speaker.ask("broadcastControlled", action="controlBroadcast", controlAction=show)
    await say(talk, 5)
    await talk.hearing.heard((3 if hide == "pause" else 5) * 3200)
    talk.hearing.partial(0, "Hello")  # a message of the same topic, after the checkpoint
    await english.until("transcript")
    fleet.gateways[0].kill()
    complete = await fleet.come_back(talk, 1)
    assert complete["lastAudioSequence"] == 0
    await say(talk, 1, 2, 3, 4, 5, 6)
    again = await fleet.opened(talk)
    assert await again.heard(6 * 3200) == chunks(1, 2) + bytes(2 * 3200) + chunks(5, 6)


async def test_languages_whose_listeners_were_there(fleet: Fleet) -> None:
    """They are made on: a listener whose gateway died comes back to all that was said meanwhile."""
    talk = await fleet.talk(1)
    client = await fleet.client(0)
    joined = await client.ask(
        "sessionJoined", action="joinSession", sessionId=talk.session_id, targetLanguage="es"
    )
    await talk.speaker.until("sessionStatus", where=lambda m: m["languageDistribution"].get("es"))
    talk.hearing.final(0, "One.")
    await spoken(client, 0)
    # what the record does when the gateway's lease runs out
    client.drop()
    await talk.speaker.until("sessionStatus", where=lambda m: not m["languageDistribution"])
    talk.hearing.final(1, "Two.")
    await eventually(lambda: fleet.translation.asked("es") == [0, 1])
    back = await fleet.client(1)
    await back.ask(
        "connectionRefreshComplete",
        action="refreshConnection",
        sessionId=talk.session_id,
        resumeToken=joined["resumeToken"],
        lastSequenceNumber=1,
    )
    await spoken(back, 1)
    assert heard(back) == [(2, "1", "[es] Two.")]


async def test_the_bus_is_away_when_the_owner_dies(fleet: Fleet, mortal_nats: NatsServer) -> None:
    """The speaker is taken over all the same; what is said waits, and is heard when the bus is back."""
    talk = await fleet.talk(0)
    spanish = await fleet.listener(talk, 1, "es")
    await say(talk, 1, 2)
    talk.hearing.final(0, "One.", end_ms=190)
    await spoken(spanish, 0)
    mortal_nats.kill()
    fleet.gateways[0].kill()
    complete = await fleet.come_back(talk, 1)
    assert "lastAudioSequence" not in complete
    await say(talk, 3, 4, 5)
    await talk.speaker.fence()
    mortal_nats.start()
    again = await fleet.opened(talk)
    assert again.config.first_segment == 1
    assert await again.heard(3 * 3200) == chunks(3, 4, 5)
    again.final(1, "Two.", end_ms=400)
    assert (await spoken(spanish, 1))["sequenceNumber"] == 2


async def test_a_pause_longer_than_what_the_bus_keeps(tmp_path: Path, mortal_nats: NatsServer) -> None:
    """The owner's checkpoints keep the numbers known; nothing is said twice, and no number either."""
    async with fleet_of(2, tmp_path, mortal_nats, RESUME_WINDOW_SECONDS="3") as fleet:
        talk = await fleet.talk(0)
        spanish = await fleet.listener(talk, 1, "es")
        await say(talk, *range(1, 6))
        await talk.hearing.heard(5 * 3200)
        talk.hearing.final(0, "One.", end_ms=400)
        await spoken(spanish, 0)
        await asyncio.sleep(5)  # a real bus forgets in real time
        fleet.gateways[0].kill()
        complete = await fleet.come_back(talk, 1)
        assert complete["lastAudioSequence"] == 3
        await say(talk, 4, 5, 6)
        again = await fleet.opened(talk)
        assert (again.config.first_segment, again.config.start_offset_ms) == (1, 384)
        again.final(1, "Two.", end_ms=500)
        assert (await spoken(spanish, 1))["sequenceNumber"] == 2
        ended = await talk.speaker.ask("sessionEnded", action="endSession")
        used = {use["component"]: use["amount"] for use in ended["usage"]["engines"]}
        assert used["transcription"] == pytest.approx(0.7)  # by both owners
