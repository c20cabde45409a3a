"""`babelcast sessions` against a canned gateway."""

import json
import time

import pytest
from rich.console import Console

from babelcast.client import Operator
from babelcast.errors import ErrorCode, RemoteError
from babelcast.protocol.client_messages import AnyClientMessage, CloseSession, ListSessions, ShowSession
from babelcast.protocol.server_messages import (
    BroadcastState,
    Error,
    ServerMessage,
    SessionClosed,
    SessionList,
    SessionShown,
    SessionView,
)
from cli import sessions
from tests.unit.babelcast.client.canned_server import CannedServer
from tests.unit.cli.page import Page

MINUTE_MS = 60_000


def view(
    code: str, *, age_min: int, here: bool = True, paused: bool = False, muted: bool = False
) -> SessionView:
    """A session that began some minutes ago."""
    now_ms = time.time_ns() // 1_000_000
    return SessionView(
        session_id=code,
        source_language="en",
        quality_tier="standard",
        created_at=now_ms - age_min * MINUTE_MS,
        expires_at=now_ms + 10 * MINUTE_MS + 5_000,
        listener_count=3,
        language_distribution={"fr": 1, "es": 2},
        broadcast_state=BroadcastState(
            is_active=True, is_paused=paused, is_muted=muted, volume=0.5, last_state_change=0
        ),
        speaker_hash="0123456789abcdef",
        speaker_present=here,
    )


def listed_page(token: str) -> SessionList:
    """One of two pages."""
    if not token:
        return SessionList(sessions=[view("calm-otter-100", age_min=1)], next_page_token="2")
    return SessionList(
        sessions=[
            view("bold-hawk-200", age_min=5, here=False),
            view("keen-wolf-300", age_min=3, paused=True, muted=True),
        ]
    )


def system(message: AnyClientMessage) -> ServerMessage | None:
    """A system with three sessions."""
    match message:
        case ListSessions():
            return listed_page(message.page_token)
        case ShowSession():
            return SessionShown(
                session=view(message.session_id, age_min=2),
                partial_results_enabled=True,
                min_stability_threshold=0.85,
                max_buffer_timeout=5,
                glossary_terms=4,
            )
        case CloseSession():
            return SessionClosed(session_id=message.session_id, reason=message.reason, listener_count=3)
    return None


@pytest.fixture(autouse=True)
def answering(canned: CannedServer) -> None:
    """The server is that system's."""
    canned.answer = system


async def test_the_list(canned: CannedServer, console: Console, page: Page) -> None:
    """All pages, oldest first, one line each, with the token in the header."""
    assert await sessions.show_all(canned.url, "t", console, as_json=False) == 0
    head, *lines = page.getvalue().splitlines()
    assert head.split() == ["session", "spoken", "listeners", "languages", "state", "age", "speaker"]
    assert [" ".join(line.split()) for line in lines] == [
        "bold-hawk-200 en 3 es:2 fr:1 speaker away 5 min 0123456789abcdef",
        "keen-wolf-300 en 3 es:2 fr:1 paused, muted 3 min 0123456789abcdef",
        "calm-otter-100 en 3 es:2 fr:1 on 1 min 0123456789abcdef",
    ]
    assert canned.tokens == ["Bearer t"]


async def test_an_empty_list(canned: CannedServer, console: Console, page: Page) -> None:
    """Is said in words."""
    canned.answer = lambda _: SessionList(sessions=[])
    assert await sessions.show_all(canned.url, "t", console, as_json=False) == 0
    assert page.getvalue() == "No session is on.\n"


async def test_one_session(canned: CannedServer, console: Console, page: Page) -> None:
    """One line for each thing worth knowing."""
    assert await sessions.show(canned.url, "t", "calm-otter-100", console, as_json=False) == 0
    lines = [" ".join(line.split()) for line in page.getvalue().splitlines()]
    assert lines[:4] == ["session calm-otter-100", "spoken en", "speaker 0123456789abcdef", "state on"]
    assert {"volume 50%", "languages es:2 fr:1", "age 2 min", "ends in 10 min", "glossary 4 terms"} <= set(
        lines
    )


async def test_the_end(canned: CannedServer, console: Console, page: Page) -> None:
    """Says for how many it was."""
    assert await sessions.end(canned.url, "t", "calm-otter-100", console, as_json=False) == 0
    assert page.getvalue() == "calm-otter-100 has ended for 3 listeners.\n"
    assert canned.heard[-1] == CloseSession(session_id="calm-otter-100", request_id="1")


async def test_json(canned: CannedServer, console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    """One line of JSON, in the words of the protocol, and nothing else."""
    await sessions.show_all(canned.url, "t", console, as_json=True)
    await sessions.show(canned.url, "t", "calm-otter-100", console, as_json=True)
    await sessions.end(canned.url, "t", "calm-otter-100", console, as_json=True)
    listed, shown, closed = map(json.loads, capsys.readouterr().out.splitlines())
    assert [session["sessionId"] for session in listed] == [
        "bold-hawk-200",
        "keen-wolf-300",
        "calm-otter-100",
    ]
    assert (shown["glossaryTerms"], shown["session"]["listenerCount"]) == (4, 3)
    assert closed["reason"] == "endedByOperator"


async def test_a_refusal(canned: CannedServer) -> None:
    """Has the server's code."""
    canned.answer = lambda _: Error(code="UNAUTHORIZED_ACTION", message="No.", correlation_id="x")
    async with await Operator.connect(canned.url, token="t") as operator:
        for asked in (
            operator.show("calm-otter-100"),
            operator.close("calm-otter-100"),
            anext(operator.sessions()),
        ):
            with pytest.raises(RemoteError) as refused:
                await asked
            assert refused.value.code is ErrorCode.UNAUTHORIZED_ACTION
