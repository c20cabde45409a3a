"""JSON lines on stderr: a static message plus fields; never a talk's text, tokens, audio or addresses.

Whoever logs sees to that. What others bring along (an exception's text, a library at DEBUG, Python itself)
goes through `redaction` on its way out.

Each line tells what it is about as far as that is known where it is written: the session, the connection (as
a hash) and the trace. `bind` makes them known to a task and to those that it starts.
"""

import hashlib
import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Final, TextIO

import msgspec

from babelcast.config import ConfigError
from babelcast.redaction import redacted, redacted_fields
from babelcast.telemetry import tracing

_BUILT_IN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# At DEBUG these write out what goes over the wire, cut into pieces that no longer look like secrets.
_WIRE_LOGGERS: Final = ("websockets", "botocore", "aiobotocore", "boto3", "aioboto3", "urllib3", "hpack")

_session: ContextVar[str] = ContextVar("session of log lines", default="")
_connection: ContextVar[str] = ContextVar("connection of log lines", default="")

log = logging.getLogger(__name__)


def bind(*, session: str | None = None, connection_id: str | None = None) -> None:
    """Let lines that this task writes from now on, and those it starts, tell their session and connection;
    "" for none any more, None for what was told before.
    """
    if session is not None:
        _session.set(session)
    if connection_id is not None:
        _connection.set(hashed(connection_id) if connection_id else "")


def hashed(connection_id: str) -> str:
    """How a connection is called in logs: 12 hexadecimal digits, which do not tell its id."""
    return hashlib.blake2b(connection_id.encode(), digest_size=6).hexdigest()


def _about() -> dict[str, object]:
    """What is known of where a line is written."""
    here = tracing.current()
    known = {
        "session": _session.get(),
        "connection": _connection.get(),
        "trace_id": "" if here is None else f"{here.trace_id:032x}",
        "span_id": "" if here is None else f"{here.span_id:016x}",
    }
    return {name: value for name, value in known.items() if value}


class JsonFormatter(logging.Formatter):
    """One JSON object a record: time, level, service, logger, message, and the fields given as `extra`."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a newline."""
        milliseconds = int(record.msecs)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "timestamp": f"{stamp}.{milliseconds:03d}Z",
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        line |= _about()
        fields = {key: value for key, value in vars(record).items() if key not in _BUILT_IN}
        line |= redacted_fields(msgspec.to_builtins(fields, enc_hook=str))
        if record.exc_info:
            line["exception"] = redacted(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = redacted(record.stack_info)
        return msgspec.json.encode(line).decode()


class _Stderr(logging.StreamHandler[TextIO]):
    """Where a record that cannot be written is told by its place alone; logging would print its arguments."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - named by logging
        """Say where the record came from."""
        place = {"file": record.pathname, "line": record.lineno, "logger": record.name}
        sys.stderr.write(
            msgspec.json.encode({"message": "a record cannot be written", **place}).decode() + "\n"
        )


def configure(*, service: str, level: str) -> None:
    """Log to stderr from `level` up. For composition roots only.

    Raises: ConfigError when there is no such level.
    """
    if level.upper() not in logging.getLevelNamesMapping():
        raise ConfigError(f"LOG_LEVEL: there is no level {level!r}.")
    handler = _Stderr(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _WIRE_LOGGERS:
        logging.getLogger(name).setLevel(logging.INFO)


@contextmanager
def strays_logged() -> Iterator[None]:
    """Log what Python would write to stderr by itself: warnings, and exceptions that nobody caught, the one
    that ends the block and then the process included. For a process's main, after `configure`.
    """
    before = sys.excepthook, sys.unraisablehook, threading.excepthook
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda stray: _uncaught(stray.exc_type, stray.exc_value, stray.exc_traceback)
    threading.excepthook = lambda stray: _uncaught(stray.exc_type, stray.exc_value, stray.exc_traceback)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        _, sys.unraisablehook, threading.excepthook = before
    sys.excepthook = before[0]


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error or kind(), trace)
    else:
        log.critical("nobody caught an exception", exc_info=(kind, error or kind(), trace))
