"""A few seconds of everything that a client could send."""

from pathlib import Path

import pytest

from babelcast.auth.local_issuer import LocalIssuer
from babelcast.protocol import client_messages as ask
from bench.fuzz import Report, fuzz
from gateway.listener import Listener

SECONDS = 3.0


async def fuzzed(directory: Path, issuer: LocalIssuer, *, seed: int) -> Report:
    """A short run."""
    return await fuzz(directory, issuer, seconds=SECONDS, seed=seed, visitors=12)


async def test_nothing_that_clients_send_is_a_fault(tmp_path: Path, issuer: LocalIssuer) -> None:
    """Each frame gets its answer, nothing fails inside, and nothing is left when all have gone."""
    report = await fuzzed(tmp_path, issuer, seed=7)
    assert report.faults == []
    assert report.frames > 100
    assert {"sessionCreated", "sessionJoined", "INVALID_MESSAGE", "UNAUTHORIZED_ACTION"} <= set(
        report.answers
    )


async def test_a_defect_is_found(
    tmp_path: Path, issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that shows only in what a listener sends is seen in the answer and in the log."""

    async def broken(_: Listener, message: ask.AnyClientMessage) -> None:
        raise RuntimeError(f"cannot do {message.request_id}")

    monkeypatch.setattr(Listener, "act", broken)
    faults = (await fuzzed(tmp_path, issuer, seed=7)).faults
    assert any(fault.startswith("INTERNAL_ERROR: ") for fault in faults)
    assert any("RuntimeError: cannot do" in fault for fault in faults)
