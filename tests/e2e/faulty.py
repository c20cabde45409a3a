"""`python -m tests.e2e.faulty MODULE [ARGUMENT…]`: a program of ours with faults, which tell all they know.

They happen when the names below turn up, and put secrets and addresses where no code of ours would: into the
texts of exceptions, warnings and records, on the event loop, in threads and in finalisers.
"""

import asyncio
import logging
import runpy
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable, Sequence
from unittest.mock import patch

from babelcast.auth.verifier import Speaker, TokenVerifier
from babelcast.session.v1 import session_pb2 as api
from babelcast.telemetry import instruments
from gateway.address import Network, client_address
from gateway.sessions import Sessions
from session_svc.service import SessionServicer

SUBJECT = "faulty-speaker"
ADDRESS = "203.0.113.99"
IN_GATEWAY = "broken-gateway-100"
IN_RECORD = "broken-record-100"

log = logging.getLogger("tests.faulty")


class Dropped:
    """Fails when it is let go of."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def __del__(self) -> None:
        raise ValueError(f"let go of {self._secret}")


def fail(secret: str) -> None:
    """Raise where nobody catches."""
    raise ValueError(f"failed with {secret}")


async def fail_soon(secret: str) -> None:
    """The same in a task."""
    fail(secret)


def scatter(secret: str) -> None:
    """Let a secret get to everywhere."""
    loop = asyncio.get_running_loop()
    loop.call_soon(fail, secret)
    task = loop.create_task(fail_soon(secret), name=f"with {secret}")
    del task
    threading.Thread(target=fail, args=(secret,), name="careless").start()
    warnings.warn(f"careless with {secret}", ResourceWarning, stacklevel=1)
    Dropped(secret)
    log.debug("headers", extra={"headers": {"Authorization": f"Bearer {secret}"}, "resume_token": secret})
    log.debug("%d is no number", secret)
    logging.getLogger("websockets.server").debug("< GET /?token=%s HTTP/1.1", secret)


def main(arguments: Sequence[str]) -> None:
    """Break things, and run the program."""
    verify = TokenVerifier.verify
    refresh = Sessions.refresh
    refresh_record = SessionServicer.RefreshConnection

    async def broken_verify(self: TokenVerifier, token: str) -> Speaker:
        speaker = await verify(self, token)
        if speaker.subject == SUBJECT:
            scatter(token)
            fail(token)
        return speaker

    def broken_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
        address = client_address(peer, forwarded_for, trusted)
        if address == ADDRESS:
            log.error("odd address", extra={"address": address, "peer": peer})
            fail(address)
        return address

    async def broken_refresh(
        self: Sessions, request: api.RefreshConnectionRequest
    ) -> api.RefreshConnectionResponse:
        if request.session_id == IN_GATEWAY:
            fail(str(request))
        return await refresh(self, request)

    async def broken_refresh_record(
        self: SessionServicer, request: api.RefreshConnectionRequest, context: object
    ) -> api.RefreshConnectionResponse:
        if request.session_id == IN_RECORD:
            instruments.RATE_LIMITS_SKIPPED.add(1, {instruments.LIMIT: "refreshes"})
            scatter(request.resume_token)
            fail(str(request))
        answering: Callable[..., Awaitable[api.RefreshConnectionResponse]] = refresh_record
        return await answering(self, request, context)

    with (
        patch.object(TokenVerifier, "verify", broken_verify),
        patch("gateway.server.client_address", broken_address),
        patch.object(Sessions, "refresh", broken_refresh),
        patch.object(SessionServicer, "RefreshConnection", broken_refresh_record),
    ):
        sys.argv = list(arguments)
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
