"""What a speaker's controls do to the sound, and that they outlive the connection."""

import array

import pytest

from tests.integration.gateway.client import CHUNK, Message
from tests.integration.gateway.stage import Stage, Talk

SILENCE = bytes(len(CHUNK))
ASIDE = b"\x00\x55" * (len(CHUNK) // 2)  # what is not meant to be heard
MUTE: Message = {"action": "muteBroadcast"}
ZERO: Message = {"action": "setVolume", "volumeLevel": 0}
BOTH: Message = {"action": "speakerStateChange", "state": {"isMuted": True, "volume": 0.5}}


async def heard(stage: Stage, talk: Talk, *, so_far: int = 0) -> bytes:
    """What transcription hears of a chunk that the speaker sends."""
    stage.clock.now_s += 1
    await talk.speaker.socket.send(CHUNK)
    return (await talk.hearing.heard(so_far + len(CHUNK)))[so_far:]


@pytest.mark.parametrize(
    ("off", "answer", "on"),
    [
        (MUTE, "broadcastControlled", {"action": "unmuteBroadcast"}),
        (ZERO, "volumeChanged", {"action": "setVolume", "volumeLevel": 1}),
        (
            BOTH,
            "speakerStateChanged",
            {"action": "speakerStateChange", "state": {"isMuted": False, "volume": 1}},
        ),
    ],
)
async def test_muted_and_without_volume_is_silence(
    stage: Stage, off: Message, answer: str, on: Message
) -> None:
    """Time goes on in transcription, and nothing of what is said is heard; afterwards all of it is."""
    talk = await stage.talk()
    await talk.speaker.ask(answer, **off)
    assert await heard(stage, talk) == SILENCE
    await talk.speaker.ask(answer, **on)
    assert await heard(stage, talk, so_far=len(CHUNK)) == CHUNK


async def test_volume_scales_what_is_heard(stage: Stage) -> None:
    """Every sample, from the answer on."""
    talk = await stage.talk()
    await talk.speaker.ask("volumeChanged", action="setVolume", volumeLevel=0.5)
    said, scaled = array.array("h", CHUNK), array.array("h", await heard(stage, talk))
    assert scaled == array.array("h", [int(sample * 0.5) for sample in said])


async def test_paused_is_nothing_at_all(stage: Stage) -> None:
    """What is said in a pause is not heard, not even later, and costs the speaker no error."""
    talk = await stage.talk()
    await talk.speaker.ask("broadcastControlled", action="pauseBroadcast")
    for _ in range(3):
        await talk.speaker.socket.send(ASIDE)
    await talk.speaker.ask("broadcastControlled", action="resumeBroadcast")
    assert await heard(stage, talk) == CHUNK
    assert talk.speaker.all("error") == []


async def test_all_controls_outlive_the_connection(stage: Stage) -> None:
    """Pause, mute and volume are restored to the last detail, and still hold."""
    talk = await stage.talk()
    state = {"isPaused": True, "isMuted": True, "volume": 0.25}
    changed = await talk.speaker.ask("speakerStateChanged", action="speakerStateChange", state=state)
    assert {name: changed["broadcastState"][name] for name in state} == state
    talk.speaker.drop()
    client = await stage.client()
    restored = await client.ask(
        "stateRestored",
        action="refreshConnection",
        sessionId=talk.session_id,
        resumeToken=talk.created["resumeToken"],
    )
    assert restored["sessionId"] == talk.session_id
    assert restored["broadcastState"] == changed["broadcastState"]
    talk.speaker = client
    await client.socket.send(ASIDE)
    await client.ask("broadcastControlled", action="resumeBroadcast")
    assert await heard(stage, talk) == SILENCE
