"""`python -m session_svc` as a process of its own."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import grpc

from babelcast.rpc.client import open_channel
from babelcast.session.v1 import session_pb2 as pb
from babelcast.session.v1 import session_pb2_grpc

PROGRAM = (sys.executable, "-m", "session_svc")


async def started(**variables: str) -> asyncio.subprocess.Process:
    """The program with some variables."""
    return await asyncio.create_subprocess_exec(
        *PROGRAM, env={**os.environ, **variables}, stderr=asyncio.subprocess.PIPE
    )


async def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, free_port: int) -> None:
    """It takes calls on its port, drains on SIGTERM, and exits with 0."""
    process = await started(SESSION_BIND=f"127.0.0.1:{free_port}", DATA_DIR=str(tmp_path))
    try:
        async with open_channel(f"127.0.0.1:{free_port}") as channel:
            stub: session_pb2_grpc.SessionServiceAsyncStub = session_pb2_grpc.SessionServiceStub(channel)
            created = await stub.CreateSession(
                pb.CreateSessionRequest(
                    speaker_id="anna",
                    connection_id="c",
                    settings=pb.SessionSettings(source_language="en"),
                ),
                wait_for_ready=True,
                timeout=30,
            )
            assert created.session.session_id
            watch = aiter(stub.WatchSessions(pb.WatchSessionsRequest()))
            await anext(watch)
            process.send_signal(signal.SIGTERM)
            try:
                await anext(watch)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE
        async with asyncio.timeout(30):
            assert await process.wait() == 0
        assert (tmp_path / "sessions.sqlite3").exists()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_says_what_is_wrong_with_its_configuration() -> None:
    """A bad variable is named, without a trace, and the exit code is 1."""
    process = await started(MAX_LISTENERS_PER_SESSION="many")
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"MAX_LISTENERS_PER_SESSION" in errors
    assert b"Traceback" not in errors


async def test_it_does_not_serve_just_anybody(tmp_path: Path) -> None:
    """What other machines can reach needs certificates or a token, and without them there is no service."""
    process = await started(SESSION_BIND="0.0.0.0:0", DATA_DIR=str(tmp_path))
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"SERVICE_TOKEN" in errors
    assert b"Traceback" not in errors
