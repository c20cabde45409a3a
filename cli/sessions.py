"""`babelcast sessions`: what an operator sees of a running system, and ending a session."""

import sys
import time

import msgspec
from rich.console import Console
from rich.table import Table

from babelcast.client.operator import Operator
from babelcast.protocol.server_messages import SessionShown, SessionView
from cli import outcome

MS_PER_MINUTE = 60_000


async def show_all(url: str, token: str, console: Console, *, as_json: bool) -> int:
    """A line for each session that is on.

    Raises: BabelcastError.
    """
    async with await Operator.connect(url, token=token) as operator:
        found = [session async for session in operator.sessions()]
    found.sort(key=lambda session: session.created_at)
    if as_json:
        _print_json(found)
        return outcome.OK
    if not found:
        console.print("No session is on.")
        return outcome.OK
    table = Table(box=None, pad_edge=False)
    for head in ("session", "spoken", "listeners", "languages", "state", "age", "speaker"):
        table.add_column(
            head, no_wrap=head != "languages", justify="right" if head == "listeners" else "left"
        )
    now_ms = time.time_ns() // 1_000_000
    for session in found:
        table.add_row(
            session.session_id,
            session.source_language,
            str(session.listener_count),
            _languages(session),
            _state(session),
            _minutes(now_ms - session.created_at),
            session.speaker_hash,
        )
    console.print(table)
    return outcome.OK


async def show(url: str, token: str, code: str, console: Console, *, as_json: bool) -> int:
    """How one session stands.

    Raises: BabelcastError.
    """
    async with await Operator.connect(url, token=token) as operator:
        shown = await operator.show(code)
    if as_json:
        _print_json(shown)
        return outcome.OK
    for name, value in _details(shown, now_ms=time.time_ns() // 1_000_000):
        console.print(f"{name:<11} {value}", highlight=False, markup=False)
    return outcome.OK


async def end(url: str, token: str, code: str, console: Console, *, as_json: bool) -> int:
    """End a session for everybody.

    Raises: BabelcastError.
    """
    async with await Operator.connect(url, token=token) as operator:
        closed = await operator.close(code)
    if as_json:
        _print_json(closed)
    else:
        console.print(
            f"{closed.session_id} has ended for {closed.listener_count} listeners.", highlight=False
        )
    return outcome.OK


def _details(shown: SessionShown, *, now_ms: int) -> list[tuple[str, str]]:
    session = shown.session
    return [
        ("session", session.session_id),
        ("spoken", session.source_language),
        ("speaker", session.speaker_hash),
        ("state", _state(session)),
        ("volume", f"{session.broadcast_state.volume:.0%}"),
        ("listeners", str(session.listener_count)),
        ("languages", _languages(session) or "none"),
        ("age", _minutes(now_ms - session.created_at)),
        ("ends in", _minutes(session.expires_at - now_ms)),
        ("quality", session.quality_tier),
        ("glossary", f"{shown.glossary_terms} terms"),
    ]


def _state(session: SessionView) -> str:
    state = session.broadcast_state
    if not session.speaker_present:
        return "speaker away"
    words = [word for word, holds in (("paused", state.is_paused), ("muted", state.is_muted)) if holds]
    return ", ".join(words) or "on"


def _languages(session: SessionView) -> str:
    counts = sorted(session.language_distribution.items(), key=lambda pair: (-pair[1], pair[0]))
    return " ".join(f"{language}:{count}" for language, count in counts)


def _minutes(span_ms: int) -> str:
    return f"{max(0, span_ms) // MS_PER_MINUTE} min"


def _print_json(what: object) -> None:
    sys.stdout.write(msgspec.json.encode(what).decode() + "\n")
