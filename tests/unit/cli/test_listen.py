"""`listen` against a canned gateway."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from rich.console import Console

from babelcast.errors import BabelcastError
from babelcast.protocol import codec
from babelcast.protocol.client_messages import JoinSession
from babelcast.protocol.server_messages import (
    BroadcastPaused,
    BroadcastResumed,
    Caption,
    Error,
    ServerMessage,
    ServiceDegraded,
    SessionEnded,
    SpokenOver,
    Transcript,
)
from babelcast.wav import Sound, read
from cli import devices
from cli.listen import ListenOptions, listen
from tests.unit.babelcast.client.canned_server import CODE, STATE, CannedServer, make_voice
from tests.unit.cli.page import Page

PCM = bytes(6_400)
ENDED = SessionEnded(session_id=CODE, reason="speakerEnded")


def caption(text: str, *, final: bool = True, segment_id: str = "1", revision: int = 0) -> Caption:
    """A caption."""
    return Caption(
        segment_id=segment_id,
        revision=revision,
        target_language="es",
        text=text,
        source_text="",
        is_final=final,
    )


def options(server: CannedServer, *, out: Path | None = None, voice: bool = False) -> ListenOptions:
    """Listening in Spanish."""
    return ListenOptions(url=server.url, code=CODE, language="es", out=out, voice=voice)


async def joined(server: CannedServer) -> JoinSession:
    """Wait for the listener; returns how it joined."""
    await server.until(lambda: bool(server.heard))
    message = server.heard[0]
    assert isinstance(message, JoinSession)
    return message


async def test_captions_are_printed_and_voice_is_written(
    canned: CannedServer, console: Console, page: Page, tmp_path: Path
) -> None:
    """Finals are lines; the file holds every sentence; the end of the session ends the command."""
    out = tmp_path / "talk.wav"
    listening = asyncio.create_task(listen(options(canned, out=out), console))
    assert (await joined(canned)).audio == "pcm"
    await canned.say(caption("Pre", final=False), caption("Pregunta."))
    for number in (1, 2):
        await canned.say_raw(codec.pack_binary(codec.encode_server(make_voice(number)), PCM))
    await canned.say(ENDED)
    assert await listening == 0
    assert "Pregunta.\n" in page.getvalue()
    assert "Pre\n" not in page.getvalue()
    assert read(out) == Sound(2 * PCM, 16_000)
    assert f"0.4 s of voice in {out}" in page.getvalue()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (BroadcastPaused(session_id=CODE, broadcast_state=STATE), "The speaker paused."),
        (BroadcastResumed(session_id=CODE, broadcast_state=STATE), "The speaker goes on."),
        (ServiceDegraded(component="speech", message="No voice for now."), "No voice for now."),
        (
            Error(code="RATE_LIMIT_EXCEEDED", message="Too fast.", correlation_id="x"),
            "RATE_LIMIT_EXCEEDED: Too fast.",
        ),
        (make_voice(3, audio=""), "2 sentences are missing."),
        (SpokenOver(segment_id="1", target_language="es"), "Not spoken, to keep up: a sentence"),
        (
            Transcript(
                segment_id="1",
                revision=0,
                text="In the source.",
                stable_text="",
                is_final=True,
                stability=1,
                start_time=0,
                end_time=1,
            ),
            "In the source.",
        ),
    ],
)
async def test_what_happens_is_said(
    canned: CannedServer, console: Console, page: Page, message: ServerMessage, words: str
) -> None:
    """Each event has its words."""
    listening = asyncio.create_task(listen(options(canned), console))
    assert (await joined(canned)).audio == "none"
    await canned.say(message, ENDED)
    assert await listening == 0
    assert words in page.getvalue()


async def test_a_sentence_that_stays_without_voice_is_named(
    canned: CannedServer, console: Console, page: Page
) -> None:
    """Its caption may be some lines above."""
    listening = asyncio.create_task(listen(options(canned), console))
    await joined(canned)
    await canned.say(caption("Hola."), caption("Adiós.", segment_id="2"))
    await canned.say(SpokenOver(segment_id="1", target_language="es"), ENDED)
    assert await listening == 0
    assert "Hola.\nAdiós.\nNot spoken, to keep up: Hola.\n" in page.getvalue()


async def test_what_comes_again_is_printed_once(
    canned: CannedServer, console: Console, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes back gets the captions whose voice it did not hear again; a correction is news."""
    monkeypatch.setattr("cli.listen.REMEMBERED_FINALS", 2)
    listening = asyncio.create_task(listen(options(canned), console))
    await joined(canned)
    for segment in ("1", "2"):
        await canned.say(caption(f"Frase {segment}.", segment_id=segment, revision=3))
    await canned.say(caption("Fra", final=False), caption("Frase 1.", revision=3))
    await canned.say(caption("Frase 1, corregida.", revision=4), caption("Frase 3.", segment_id="3"), ENDED)
    assert await listening == 0
    assert page.getvalue().count("Frase 1.\n") == 1
    assert "Frase 2.\nFrase 1, corregida.\nFrase 3.\n" in page.getvalue()


async def test_ctrl_c_leaves_with_a_whole_file(
    canned: CannedServer, console: Console, page: Page, tmp_path: Path
) -> None:
    """An interrupted listener keeps what it heard and ends well."""
    out = tmp_path / "talk.wav"
    listening = asyncio.create_task(listen(options(canned, out=out), console))
    await page.until("Ctrl-C leaves")
    os.kill(os.getpid(), signal.SIGINT)
    assert await listening == 0
    assert read(out).seconds == 0


async def test_no_device_is_said_once(
    canned: CannedServer, console: Console, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a loudspeaker captions go on, and the reason is given."""
    monkeypatch.setattr(devices, "why_no_device", lambda kind: f"there is no audio {kind} device")
    listening = asyncio.create_task(listen(options(canned, voice=True), console))
    await joined(canned)
    await canned.say(caption("Hola."), ENDED)
    assert await listening == 0
    assert page.getvalue().count("No voice is played: there is no audio output device.") == 1


class FakeOutput:
    """A loudspeaker that remembers."""

    def __init__(self, rate_hz: int, played: list[tuple[int, bytes]]) -> None:
        self._rate_hz = rate_hz
        self._played = played

    def start(self) -> None:
        """Nothing to do."""

    def write(self, data: bytes) -> None:
        """Remember."""
        self._played.append((self._rate_hz, data))

    def close(self) -> None:
        """Nothing to do."""


async def test_voice_is_played_to_its_end(
    canned: CannedServer, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a loudspeaker every sentence is heard before the command ends."""
    played: list[tuple[int, bytes]] = []
    monkeypatch.setattr(devices, "why_no_device", lambda _kind: "")
    monkeypatch.setattr(devices, "_open_output", lambda rate_hz: FakeOutput(rate_hz, played))
    listening = asyncio.create_task(listen(options(canned, voice=True), console))
    await joined(canned)
    for number in (1, 2):
        await canned.say_raw(codec.pack_binary(codec.encode_server(make_voice(number)), PCM))
    await canned.say(ENDED)
    assert await listening == 0
    assert played == [(16_000, PCM), (16_000, PCM)]


async def test_a_loudspeaker_that_fails_ends_nothing(
    canned: CannedServer, console: Console, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Captions go on when the device goes away."""

    def broken(rate_hz: int) -> FakeOutput:
        raise OSError("unplugged")

    monkeypatch.setattr(devices, "why_no_device", lambda _kind: "")
    monkeypatch.setattr(devices, "_open_output", broken)
    listening = asyncio.create_task(listen(options(canned, voice=True), console))
    await joined(canned)
    await canned.say_raw(codec.pack_binary(codec.encode_server(make_voice(1)), PCM))
    await canned.say(caption("Hola."), ENDED)
    assert await listening == 0
    assert "Hola." in page.getvalue()


async def test_a_refused_join_leaves_an_error(canned: CannedServer, console: Console) -> None:
    """The server's refusal is raised for the command to show."""
    canned.answer = lambda _message: Error(code="SESSION_FULL", message="Full.", correlation_id="x")
    with pytest.raises(BabelcastError, match="Full"):
        await listen(options(canned), console)
