"""Audio that comes out of order, waits, or has to go: in order, bounded, and never lost in silence."""

import pytest

from babelcast.errors import InternalError, ServiceUnavailable
from babelcast.pcm import silence
from babelcast.rpc.server import GrpcServer
from babelcast.telemetry import instruments
from babelcast.transcription.v1 import transcription_pb2_grpc as stt_rpc
from gateway.pipeline import LOSING
from tests.integration.gateway.stage import Stage, Talk, eventually


class Counter:
    """Stands in for an instrument."""

    def __init__(self) -> None:
        self.total = 0.0

    def add(self, amount: float, attributes: dict[str, str] | None = None) -> None:
        """Count."""
        self.total += amount


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Seconds of audio counted as lost."""
    counter = Counter()
    monkeypatch.setattr(instruments, "AUDIO_LOST", counter)
    return counter


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Chunks counted as missing."""
    counter = Counter()
    monkeypatch.setattr(instruments, "CHUNKS_MISSING", counter)
    return counter


def chunk(number: int) -> bytes:
    """100 ms that can be told from others."""
    return bytes([number, 1]) * 1600


def chunks(*numbers: int) -> bytes:
    """Several, one after the other."""
    return b"".join(chunk(number) for number in numbers)


def second(number: int) -> bytes:
    """One second that can be told from others."""
    return bytes([number, 1]) * 16_000


async def send(talk: Talk, *sequence: int) -> None:
    """Send numbered chunks."""
    for number in sequence:
        await talk.speaker.audio(chunk(number), sequence=number)
    await talk.speaker.fence()


async def restart(stage: Stage) -> GrpcServer:
    """A transcription server where the last one was."""
    server = GrpcServer(f"127.0.0.1:{stage.transcription_server.port}", services=[])
    stt_rpc.add_TranscriptionServiceServicer_to_server(stage.transcription, server.server)
    return server


async def test_numbered_chunks_are_heard_in_order(stage: Stage, missing: Counter) -> None:
    """Out of order and doubled on the way in, in order and once in transcription; frames have no number."""
    talk = await stage.talk()
    await send(talk, 0, 2, 1, 2, 5, 3, 4)
    await talk.speaker.socket.send(chunk(6))
    assert await talk.hearing.heard(7 * len(chunk(0))) == chunks(0, 1, 2, 3, 4, 5, 6)
    assert missing.total == 0


async def test_a_missing_chunk_holds_the_talk_up_for_two_seconds(stage: Stage, missing: Counter) -> None:
    """Then what came after it goes on with the next chunk."""
    talk = await stage.talk()
    await send(talk, 0, 2, 3)
    assert await talk.hearing.heard(len(chunk(0))) == chunks(0)
    stage.clock.now_s += 2
    await send(talk, 4)
    assert await talk.hearing.heard(4 * len(chunk(0))) == chunks(0, 2, 3, 4)
    assert missing.total == 1


async def test_what_waits_goes_on_by_itself(
    stage: Stage, missing: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when nothing more comes; meanwhile no silence is put in, since the speaker has not paused."""
    monkeypatch.setattr("gateway.transcribing.STALL_S", 0.02)
    monkeypatch.setattr("gateway.intake.MIN_TIMER_S", 0.01)
    monkeypatch.setattr("gateway.reorder.WINDOW_S", 0.3)
    talk = await stage.talk()
    await send(talk, 2, 0)
    stage.clock.now_s += 0.3
    heard = await talk.hearing.heard(2 * len(chunk(0)))
    assert heard[: 2 * len(chunk(0))] == chunks(0, 2)
    assert missing.total == 1
    assert (await talk.hearing.heard(len(heard) + 32_000)).endswith(silence(1_000))


async def test_controls_and_the_end_wait_for_nothing(stage: Stage) -> None:
    """What was said before a pause, or before the end, is heard before it."""
    talk = await stage.talk()
    await send(talk, 0, 2)
    await talk.speaker.ask("broadcastControlled", action="controlBroadcast", controlAction="pause")
    await talk.hearing.heard(2 * len(chunk(0)))
    await send(talk, 3, 4)
    await talk.speaker.ask("broadcastControlled", action="controlBroadcast", controlAction="resume")
    await send(talk, 5, 7)
    await talk.speaker.ask("sessionEnded", action="endSession")
    assert talk.hearing.audio == chunks(0, 2, 5, 7)


async def test_a_connection_that_is_gone_leaves_nothing_behind(stage: Stage) -> None:
    """What its chunks waited for comes no more. Numbers go on, and what comes twice is heard once."""
    talk = await stage.talk()
    await send(talk, 1, 3)
    client = await stage.client()
    complete = await client.ask(
        "connectionRefreshComplete",
        action="refreshConnection",
        sessionId=talk.session_id,
        resumeToken=talk.created["resumeToken"],
    )
    assert complete["lastAudioSequence"] == 3
    await client.audio(chunk(3), sequence=3)
    await client.audio(chunk(4), sequence=4)
    await client.socket.send(chunk(5))
    await client.audio(chunk(5), sequence=5)
    await client.audio(chunk(6), sequence=6)
    assert await talk.hearing.heard(5 * len(chunk(0))) == chunks(1, 3, 4, 5, 6)


async def test_a_client_that_counts_anew_is_followed(stage: Stage) -> None:
    """Each connection may have numbers of its own, if their sound is another."""
    talk = await stage.talk()
    await send(talk, 0, 1, 2)
    client = await stage.client()
    await client.ask(
        "stateRestored",
        action="refreshConnection",
        sessionId=talk.session_id,
        resumeToken=talk.created["resumeToken"],
    )
    for number in range(2):
        await client.audio(chunk(10 + number), sequence=number)
    assert await talk.hearing.heard(5 * len(chunk(0))) == chunks(0, 1, 2, 10, 11)


async def test_who_comes_back_may_send_what_was_lost_at_once(stage: Stage, lost: Counter) -> None:
    """As much as is spoken while the connection was away, beyond what may always be sent at once; a
    transcription that takes it slowly loses nothing of it.
    """
    soft = (1).to_bytes(2, "little") * 1600
    talk = await stage.talk()
    await talk.speaker.socket.send(soft)
    await talk.speaker.fence()
    talk.speaker.drop()
    await eventually(lambda: stage.room(talk).speaker is None)
    stage.clock.now_s += 20
    talk.speaker = await stage.client()
    await talk.speaker.ask(
        "connectionRefreshComplete",
        action="refreshConnection",
        sessionId=talk.session_id,
        resumeToken=talk.created["resumeToken"],
    )
    for _ in range(250):
        await talk.speaker.socket.send(soft)
    assert await talk.hearing.heard(251 * len(soft)) == 251 * soft
    await talk.speaker.fence()
    assert talk.speaker.all("error") == []
    for _ in range(100):
        await talk.speaker.socket.send(soft)
    await talk.speaker.fence()
    assert {m["code"] for m in talk.speaker.all("error")} == {"RATE_LIMIT_EXCEEDED"}
    assert lost.total == 0


async def test_a_bad_chunk_does_not_take_those_that_waited_with_it(stage: Stage) -> None:
    """It is refused, the others are heard."""
    talk = await stage.talk()
    await send(talk, 0)
    await talk.speaker.audio(bytes(101), sequence=2)
    await send(talk, 3)
    await talk.speaker.audio(chunk(1), sequence=1)
    assert (await talk.speaker.until("error"))["code"] == "INVALID_AUDIO_FORMAT"
    assert await talk.hearing.heard(3 * len(chunk(0))) == chunks(0, 1, 3)


async def test_a_new_stream_begins_at_the_frame_that_has_no_words_yet(stage: Stage) -> None:
    """Not at the beginning of the chunk in which that is: what has its words is not heard twice."""
    talk = await stage.talk()
    for number in range(4):
        await talk.speaker.socket.send(chunk(number))
    await talk.hearing.heard(4 * len(chunk(0)))
    talk.hearing.final(0, "One.", end_ms=237)
    await talk.speaker.until("transcript")
    talk.hearing.cut()
    again = await stage.transcription.opened()
    assert again.config.start_offset_ms == 224  # 7 frames of 32 ms
    heard = await again.heard(76 * 32 + len(chunk(0)))
    assert heard == chunk(2)[24 * 32 :] + chunk(3)


async def test_audio_that_no_engine_survives_is_given_up(stage: Stage, lost: Counter) -> None:
    """After three failures the talk goes on behind it; a process that dies is no failure of the audio."""
    talk = await stage.talk()
    await talk.speaker.socket.send(second(1))
    await talk.hearing.heard(32_000)
    for failure in (InternalError(), InternalError(), ServiceUnavailable("gone"), *[InternalError()] * 3):
        assert talk.hearing.audio == second(1)
        talk.hearing.refuse(failure)
        talk.hearing = await stage.transcription.opened()
        await talk.hearing.heard(32_000 if lost.total == 0 else 0)
    await talk.speaker.until("serviceDegraded", where=lambda m: m["message"] == LOSING)
    await talk.speaker.socket.send(second(2))
    heard = await talk.hearing.heard(32_000)
    assert heard.endswith(second(2))
    assert len(heard) < 32_000 + 32 * 32
    assert lost.total == pytest.approx(1.0)
    assert talk.hearing.config.first_segment == 0


async def test_an_outage_as_long_as_a_restart_loses_nothing(stage: Stage, lost: Counter) -> None:
    """Twice the audio that may wait for a transcription that lags is kept for one that is not there."""
    talk = await stage.talk()
    await stage.transcription_server.stop(grace_s=0)
    await talk.speaker.until("serviceDegraded")
    for number in range(10):
        await talk.speaker.socket.send(second(number))
    await talk.speaker.fence()
    async with await restart(stage):
        again = await stage.transcription.opened()
        assert await again.heard(10 * 32_000) == b"".join(map(second, range(10)))
        await talk.speaker.ask("sessionEnded", action="endSession")
    assert lost.total == 0
    assert [m["component"] for m in talk.speaker.all("serviceDegraded")] == ["transcription"]


async def test_a_longer_outage_keeps_the_newest_and_says_so_once(
    stage: Stage, lost: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest that waits goes; the speaker hears of it once, and of the end of it."""
    monkeypatch.setattr("gateway.transcribing.OUTAGE_S", 0)
    talk = await stage.talk()
    await stage.transcription_server.stop(grace_s=0)
    await talk.speaker.until("serviceDegraded")
    for number in range(9):
        await talk.speaker.socket.send(second(number))
    await talk.speaker.fence()
    assert lost.total == pytest.approx(4.0)
    async with await restart(stage):
        again = await stage.transcription.opened()
        assert await again.heard(5 * 32_000) == b"".join(map(second, range(4, 9)))
        await talk.speaker.until("systemRecovered", where=lambda m: "keeps up" in m["message"])
        await talk.speaker.ask("sessionEnded", action="endSession")
    assert [m["message"] for m in talk.speaker.all("serviceDegraded")].count(LOSING) == 1


async def test_a_segment_longer_than_what_is_kept_is_a_gap(
    stage: Stage, lost: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that leaves speech unanswered for too long and then dies costs its beginning."""
    monkeypatch.setattr("gateway.transcribing.UNANSWERED_MARGIN_S", 0)
    talk = await stage.talk()
    for number in range(7):
        await talk.speaker.socket.send(second(number))
    await talk.hearing.heard(7 * 32_000)
    talk.hearing.partial(0, "And so")
    await talk.speaker.until("transcript")
    talk.hearing.cut()
    again = await stage.transcription.opened()
    assert again.config.start_offset_ms == 1_984
    await eventually(lambda: lost.total == pytest.approx(1.984))
    await talk.speaker.until("serviceDegraded", where=lambda m: m["message"] == LOSING)


async def test_silence_that_nobody_answered_is_no_gap(
    stage: Stage, lost: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a long pause no more is kept than of a segment, and nothing is lost by that."""
    monkeypatch.setattr("gateway.transcribing.UNANSWERED_MARGIN_S", 0)
    talk = await stage.talk()
    for _ in range(7):
        await talk.speaker.socket.send(silence(1_000))
    await talk.hearing.heard(7 * 32_000)
    talk.hearing.cut()
    again = await stage.transcription.opened()
    await again.heard(5 * 32_000)
    assert lost.total == 0
