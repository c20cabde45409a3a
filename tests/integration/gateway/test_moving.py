"""Replicas of transcription and translation that stop as planned: the talk moves and nobody is told."""

from babelcast.errors import Moving
from tests.integration.gateway.client import CHUNK
from tests.integration.gateway.stage import Stage, eventually


async def test_a_talk_moves_to_another_transcription(stage: Stage) -> None:
    """The new stream gets the sound since the last final result; neither side is told that anything broke."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    await talk.speaker.socket.send(CHUNK)
    await talk.hearing.heard(len(CHUNK))
    talk.hearing.partial(0, "Good", stable="Good", end_ms=50)
    talk.hearing.refuse(Moving())
    moved = await stage.transcription.opened()
    assert await moved.heard(len(CHUNK)) == CHUNK
    moved.final(0, "Good morning.")
    await listener.until("translatedAudio")
    await talk.speaker.fence()
    for client in (talk.speaker, listener):
        assert client.all("serviceDegraded") == client.all("systemRecovered") == []


async def test_a_replica_that_is_stopping_is_not_asked_again_in_vain(stage: Stage) -> None:
    """A stream that is refused because its replica stops is opened once more, at once and silently."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    stage.transcription.refusals.append(Moving())
    talk.hearing.refuse(Moving())
    moved = await stage.transcription.opened()
    moved.final(0, "Good morning.")
    await listener.until("translatedAudio")
    await talk.speaker.fence()
    for client in (talk.speaker, listener):
        assert client.all("serviceDegraded") == client.all("systemRecovered") == []


async def test_a_talk_moves_to_another_translation(stage: Stage) -> None:
    """What was not answered is asked of the other replica; neither side is told that anything broke."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    stage.translation.script.hanging.add("es")
    talk.hearing.final(0, "Good morning.")
    await eventually(lambda: stage.translation.asked("es") == [0])
    stage.translation.script.hanging.clear()
    stage.translation.script.refusals.append(Moving())
    stage.translation.refuse(Moving())
    assert (await listener.until("translatedAudio"))["transcript"] == "[es] Good morning."
    await talk.speaker.fence()
    for client in (talk.speaker, listener):
        assert client.all("serviceDegraded") == client.all("systemRecovered") == []
