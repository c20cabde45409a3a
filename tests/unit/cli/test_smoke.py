"""Smoke tests that fail must say so."""

import dataclasses
from collections.abc import Mapping, Sequence

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from babelcast.protocol.client_messages import (
    AnyClientMessage,
    ControlBroadcast,
    CreateSession,
    GetSessionStatus,
    SendAudio,
)
from babelcast.protocol.server_messages import Error, ServerMessage, SessionStatus
from babelcast.wav import Sound
from bench import talk
from cli import counters, smoke
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


@pytest.mark.parametrize(("left_s", "begins"), [(0.01, "PASS"), (3600.0, "FAIL")])
async def test_what_tests_before_left_behind_is_waited_for(
    canned: CannedServer, console: Console, page: Page, left_s: float, begins: str
) -> None:
    """Tests that were cut off, by a timeout for instance, leave a session that waits for its speaker; those
    after a rollback do not fail for it. One that is really on is not waited for.
    """
    asked = 0

    def answer(message: AnyClientMessage) -> ServerMessage | None:
        nonlocal asked
        asked += isinstance(message, CreateSession)
        if isinstance(message, CreateSession) and asked == 1:
            details = {"retryAfter": left_s}
            return Error(code="MAX_SESSIONS_EXCEEDED", message="Many.", correlation_id="x", details=details)
        return usual_answer(message)

    canned.answer = answer
    assert (await lines(canned, console, page))[0].startswith(begins)


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


async def test_time_is_up_for_all_of_them(canned: CannedServer, console: Console, page: Page) -> None:
    """What is not done in time is a failure, and is told beside what was."""
    options = smoke.SmokeOptions(
        url=canned.url, token="t", speech=SILENCE, source_language="en", target_language="es", timeout_s=0.05
    )
    assert await smoke.smoke(options, console) == 1
    assert "tests were done after 0.05 s" in page.getvalue().splitlines()[-1]


async def test_programs_read_what_failed(canned: CannedServer) -> None:
    """As JSON: each test with its number, and the whole; also when nobody is there."""
    written: list[str] = []
    options = smoke.SmokeOptions(
        url=canned.url, token="t", speech=SILENCE, source_language="en", target_language="es"
    )
    assert await smoke.smoke_for_programs(options, written.append) == 1
    verdict = msgspec.json.decode(written[0], type=smoke.Verdict)
    assert [tested.number for tested in verdict.tests] == list(range(1, 8))
    assert [tested.passed for tested in verdict.tests] == [True, True, False, True, False, True, False]
    assert not verdict.passed
    nobody = msgspec.structs.replace(verdict, url="ws://127.0.0.1:1")
    assert await smoke.smoke_for_programs(dataclasses.replace(options, url=nobody.url), written.append) == 1
    verdict = msgspec.json.decode(written[1], type=smoke.Verdict)
    assert (verdict.tests, verdict.passed) == ([], False)
    assert verdict.error


async def test_counters_of_faults_fail_what_looks_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tests pass, and yet a counter grew; without one, and with audio counted, it is a pass."""

    async def well(run: smoke.Run) -> str:
        return "well"

    pages = iter(
        [
            {counters.CHUNKS: 0.0, "babelcast_store_failures_total": 3.0},
            {counters.CHUNKS: 5.0, "babelcast_store_failures_total": 4.0},
            {counters.CHUNKS: 5.0},
            {counters.CHUNKS: 9.0},
            {},
            {},
        ]
    )

    async def read(urls: Sequence[str]) -> Sequence[Mapping[str, float]]:
        return [dict.fromkeys((*counters.FAULTS, counters.CHUNKS), 0.0) | next(pages)]

    monkeypatch.setattr(counters, "read", read)
    monkeypatch.setattr(smoke, "TESTS", (("fine", well),))
    server = CannedServer()
    await server.start()
    assert server.server is not None
    async with server.server:
        options = smoke.SmokeOptions(
            url=server.url,
            token="t",
            speech=SILENCE,
            source_language="en",
            target_language="es",
            metrics_urls=["http://127.0.0.1:1/metrics"],
        )
        verdicts = [await smoke.judge(options) for _ in range(3)]
    assert [verdict.passed for verdict in verdicts] == [False, True, False]
    assert verdicts[0].faults == {"babelcast_store_failures_total": 1.0}
    assert verdicts[2].error == "no metrics tell of the audio that was sent"
