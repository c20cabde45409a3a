"""The inside of a worker."""

import io
import os
import signal
import subprocess
import sys

import msgspec
import pytest

from translation_svc.framing import read_blocking, write_blocking
from translation_svc.lifeline import die_with_parent
from translation_svc.worker import environment
from translation_svc.worker_loop import Reply, serve


def _replies(handle_requests: list[bytes]) -> list[Reply]:
    requests, replies = io.BytesIO(), io.BytesIO()
    for request in handle_requests:
        write_blocking(requests, request)
    requests.seek(0)

    def handle(request: bytes) -> bytes:
        if request == b"bad":
            raise ValueError("the text itself")
        return request.upper()

    serve(handle, requests=requests, replies=replies)
    replies.seek(0)
    frames = iter(lambda: read_blocking(replies), None)
    return [msgspec.msgpack.decode(frame, type=Reply) for frame in frames]


def test_it_says_ready_then_answers_each_request() -> None:
    """In order, until the pipe closes."""
    assert _replies([b"a", b"b"]) == [Reply(b""), Reply(b"A"), Reply(b"B")]


def test_a_bad_request_is_refused_without_its_text_and_the_loop_goes_on() -> None:
    """One request cannot end the worker, nor put what was said into a log."""
    assert _replies([b"bad", b"b"]) == [Reply(b""), Reply(b"", refused="ValueError"), Reply(b"B")]


ORPHAN = """
import os, signal, sys
from translation_svc.lifeline import die_with_parent, outlast_signals
outlast_signals()
if os.fork():
    signal.pause()
parent = os.getppid()
die_with_parent(signal.SIGKILL, parent=parent)
print(parent, os.getpid(), flush=True)
signal.pause()
"""


def test_a_worker_outlasts_signals_but_not_its_parent() -> None:
    """Ctrl-C and SIGTERM are the parent's business; its sudden death is the worker's too."""
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, env=environment()
    ) as parent:
        assert parent.stdout is not None
        line = parent.stdout.readline().split()
        worker = int(line[1])
        os.kill(worker, signal.SIGINT)
        os.kill(worker, signal.SIGTERM)
        os.kill(worker, 0)
        parent.kill()
        assert parent.stdout.read() == b""  # both ends of the pipe are closed: the worker has gone


def test_a_worker_whose_parent_went_before_it_looked_leaves() -> None:
    """The kernel tells only of deaths to come."""
    with pytest.raises(SystemExit):
        die_with_parent(signal.SIGCONT, parent=-1)
