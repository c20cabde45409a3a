"""Smoke tests that fail must say so."""

import pytest
from msgspec.structs import replace
from rich.console import Console

from babelcast.protocol.client_messages import (
    AnyClientMessage,
    ControlBroadcast,
    GetSessionStatus,
    SendAudio,
)
from babelcast.protocol.server_messages import Error, ServerMessage, SessionStatus
from babelcast.wav import Sound
from bench import talk
from cli import smoke
from tests.unit.babelcast.client.canned_server import CannedServer, usual_answer
from tests.unit.cli.page import Page

pytestmark = pytest.mark.usefixtures("short_waits")

SILENCE = Sound(bytes(6_400), 16_000)


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not come is given up soon."""
    monkeypatch.setattr(smoke, "TRANSCRIPT_TIMEOUT_S", 0.1)
    monkeypatch.setattr(smoke, "ERROR_TIMEOUT_S", 0.1)
    monkeypatch.setattr(smoke, "FIRST_CHUNKS", 1)
    monkeypatch.setattr(talk, "LAST_WORDS_S", 0.1)


async def lines(server: CannedServer, console: Console, page: Page, *, speech: Sound = SILENCE) -> list[str]:
    """Run the tests; they must not all pass. Returns what was printed."""
    options = smoke.SmokeOptions(
        url=server.url,
        token="t",
        speech=speech,
        source_language="en",
        target_language="es",
    )
    assert await smoke.smoke(options, console) == 1
    return page.getvalue().splitlines()


async def test_without_a_session_every_test_fails_by_name(
    canned: CannedServer, console: Console, page: Page
) -> None:
    """A refused session is named once; the tests that need one say that there is none."""
    canned.answer = lambda _message: Error(code="SERVICE_UNAVAILABLE", message="Full.", correlation_id="x")
    printed = await lines(canned, console, page)
    assert len(printed) == 7
    assert all(line.startswith("FAIL") for line in printed)
    assert "SERVICE_UNAVAILABLE: Full." in printed[0]
    assert all("there is no session" in line for line in printed[1:6])
    assert "SERVICE_UNAVAILABLE: Full." in printed[6]


async def test_a_gateway_without_engines_fails_where_words_are_needed(
    canned: CannedServer, console: Console, page: Page
) -> None:
    """Session, sound, join and status pass; words, effects and voice that never come do not."""

    def answer(message: AnyClientMessage) -> ServerMessage | None:
        if isinstance(message, ControlBroadcast):
            return usual_answer(replace(message, control_action="mute"))
        return usual_answer(message)

    canned.answer = answer
    printed = await lines(canned, console, page)
    assert [line[:4] for line in printed] == ["PASS", "PASS", "FAIL", "PASS", "FAIL", "PASS", "FAIL"]
    assert "no words within" in printed[2]
    assert "pause had no effect" in printed[4]
    assert "no translated audio came" in printed[6]


async def test_refused_sound_and_a_wrong_audience_are_seen(
    canned: CannedServer, console: Console, page: Page
) -> None:
    """An error about the sound is a failure, and so is a status that does not count the listener."""

    def answer(message: AnyClientMessage) -> ServerMessage | None:
        match message:
            case SendAudio():
                return Error(code="INVALID_AUDIO_FORMAT", message="Odd.", correlation_id="x")
            case GetSessionStatus():
                status = usual_answer(message)
                assert isinstance(status, SessionStatus)
                return replace(status, listener_count=0)
            case _:
                return usual_answer(message)

    canned.answer = answer
    # at 8 kHz the first chunk goes as JSON, which the canned server can refuse
    printed = await lines(canned, console, page, speech=Sound(bytes(3_200), 8_000))
    assert "INVALID_AUDIO_FORMAT: Odd." in printed[1]
    assert "0 listeners" in printed[5]
