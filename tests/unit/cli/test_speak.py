"""`speak` against a canned gateway."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from rich.console import Console

from babelcast.errors import BabelcastError
from babelcast.protocol.client_messages import CreateSession, EndSession
from babelcast.protocol.server_messages import (
    AudioQualityOk,
    AudioQualityWarning,
    Error,
    ServerMessage,
    ServiceDegraded,
    SessionEnded,
    SessionStatus,
    Transcript,
)
from babelcast.wav import Sound, write
from cli import devices
from cli.speak import SpeakOptions, speak
from tests.unit.babelcast.client.canned_server import CODE, STATE, CannedServer
from tests.unit.cli.page import Page


def transcript(text: str, *, final: bool) -> Transcript:
    """A segment of the speaker's own words."""
    return Transcript(
        segment_id="0",
        revision=0,
        text=text,
        stable_text="",
        is_final=final,
        stability=0.5,
        start_time=0,
        end_time=1,
    )


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Three tenths of a second."""
    path = tmp_path / "talk.wav"
    write(path, Sound(bytes(9_600), 16_000))
    return path


def options(server: CannedServer, file: Path | None, *, end: bool = True) -> SpeakOptions:
    """Speaking English."""
    return SpeakOptions(url=server.url, token="t", source_language="en", file=file, end=end)


async def test_a_file_is_spoken_and_the_session_ended(
    canned: CannedServer, console: Console, page: Page, talk: Path
) -> None:
    """The code is shown with a command to listen, all sound is sent, then the session ends."""
    assert await speak(options(canned, talk), console) == 0
    assert sum(map(len, canned.audio)) == 9_600
    assert [type(message) for message in canned.heard] == [CreateSession, EndSession]
    assert CODE in page.getvalue()
    assert f"listen {CODE} --to es --url {canned.url}" in page.getvalue()
    assert "The session has ended (speakerEnded)." in page.getvalue()


async def test_the_last_sentence_is_waited_for(
    canned: CannedServer, console: Console, page: Page, talk: Path
) -> None:
    """While a sentence is tentative the session is not ended."""
    speaking = asyncio.create_task(speak(options(canned, talk), console))
    await canned.until(lambda: bool(canned.heard))
    await canned.say(transcript("ask", final=False))
    await canned.until(lambda: sum(map(len, canned.audio)) == 9_600)
    assert not any(isinstance(message, EndSession) for message in canned.heard)
    await canned.say(transcript("Ask not.", final=True))
    assert await speaking == 0
    assert isinstance(canned.heard[-1], EndSession)
    assert "Ask not." in page.getvalue()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (AudioQualityWarning(issue="clipping", message="Move back.", details={}), "Sound: Move back."),
        (AudioQualityOk(issue="clipping"), "Sound: clipping has cleared."),
        (ServiceDegraded(component="speech", message="No voice for now."), "No voice for now."),
        (
            Error(code="RATE_LIMIT_EXCEEDED", message="Too fast.", correlation_id="x"),
            "RATE_LIMIT_EXCEEDED: Too fast.",
        ),
        (
            SessionStatus(
                session_id=CODE,
                is_active=True,
                listener_count=3,
                language_distribution={"es": 2, "fr": 1},
                session_duration=1,
                broadcast_state=STATE,
                created_at=0,
                expires_at=0,
                update_reason="periodic",
            ),
            "Listeners: 3 (es 2, fr 1)",
        ),
    ],
)
async def test_what_happens_is_said(
    canned: CannedServer, page: Page, talk: Path, message: ServerMessage, words: str
) -> None:
    """Each event has its words."""
    speaking = asyncio.create_task(speak(options(canned, talk), Console(file=page, width=200)))
    await canned.until(lambda: bool(canned.heard))
    await canned.say(message)
    assert await speaking == 0
    assert words in page.getvalue()


async def test_a_session_that_ends_elsewhere_ends_the_command(
    canned: CannedServer, console: Console, tmp_path: Path
) -> None:
    """When the server ends the session nothing more is sent."""
    path = tmp_path / "long.wav"
    write(path, Sound(bytes(32_000 * 60), 16_000))
    speaking = asyncio.create_task(speak(options(canned, path), console))
    await canned.until(lambda: bool(canned.audio))
    await canned.say(SessionEnded(session_id=CODE, reason="expired"))
    assert await speaking == 0
    assert not any(isinstance(message, EndSession) for message in canned.heard)


async def test_ctrl_c_ends_the_session_in_order(
    canned: CannedServer, console: Console, tmp_path: Path
) -> None:
    """An interrupted speaker still ends the session."""
    path = tmp_path / "long.wav"
    write(path, Sound(bytes(32_000 * 60), 16_000))
    speaking = asyncio.create_task(speak(options(canned, path), console))
    await canned.until(lambda: bool(canned.audio))
    os.kill(os.getpid(), signal.SIGINT)
    assert await speaking == 0
    assert isinstance(canned.heard[-1], EndSession)


async def test_a_kept_session_waits_for_ctrl_c(
    canned: CannedServer, console: Console, page: Page, talk: Path
) -> None:
    """With --keep the session stays when the file is over, and is not ended."""
    speaking = asyncio.create_task(speak(options(canned, talk, end=False), console))
    await canned.until(lambda: sum(map(len, canned.audio)) == 9_600)
    await page.until("stays open")
    os.kill(os.getpid(), signal.SIGINT)
    assert await speaking == 0
    assert not any(isinstance(message, EndSession) for message in canned.heard)


async def test_no_microphone_is_an_error_before_anything_else(
    canned: CannedServer, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No session is made for a speaker who cannot speak."""
    monkeypatch.setattr(devices, "why_no_device", lambda _kind: "there is none")
    with pytest.raises(BabelcastError, match="No microphone"):
        await speak(options(canned, None), console)
    assert canned.heard == []
