"""The inside of a worker process: read a request, answer it, until the pipe closes."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from translation_svc.framing import read_blocking, write_blocking
from translation_svc.lifeline import die_with_parent, outlast_signals


class Reply(msgspec.Struct, array_like=True, frozen=True):
    """What a worker answers: the body, or why not (a type of exception, never the text worked on)."""

    body: bytes
    refused: str = ""


def serve(handle: Callable[[bytes], bytes], *, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer every request with `handle`'s result; what it raises is answered too, and the loop goes on.

    It ends when either pipe is closed.
    """
    with contextlib.suppress(BrokenPipeError):
        _answer_all(handle, requests=requests, replies=replies)


def _answer_all(handle: Callable[[bytes], bytes], *, requests: BinaryIO, replies: BinaryIO) -> None:
    write_blocking(replies, msgspec.msgpack.encode(Reply(b"")))
    while (request := read_blocking(requests)) is not None:
        try:
            reply = Reply(handle(request))
        except Exception as error:  # the top of the process: a bad request must not end it
            reply = Reply(b"", refused=type(error).__name__)
        write_blocking(replies, msgspec.msgpack.encode(reply))


def run(make_handler: Callable[[list[str]], Callable[[bytes], bytes]]) -> None:
    """A worker's main: arguments are the parent's process id, then the handler's own."""
    outlast_signals()
    die_with_parent(signal.SIGKILL, parent=int(sys.argv[1]))
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library's print must not land between frames
    serve(make_handler(sys.argv[2:]), requests=sys.stdin.buffer, replies=replies)
