"""JSON lines for machines."""

import asyncio
import json
import logging
import sys
import threading
import warnings

import pytest

from babelcast import logs
from babelcast.config import ConfigError
from babelcast.logs import JsonFormatter
from babelcast.telemetry import tracing
from tests.traced import recording


def line(record: logging.LogRecord) -> dict[str, object]:
    """A record as the formatter writes it."""
    text = JsonFormatter("gateway").format(record)
    assert "\n" not in text
    decoded: dict[str, object] = json.loads(text)
    return decoded


def record(message: str = "ready", **extra: object) -> logging.LogRecord:
    """A record with fields."""
    return logging.getLogger("gateway.server").makeRecord(
        "gateway.server", logging.INFO, "file.py", 1, message, (), None, extra=extra
    )


def test_a_line_holds_the_message_and_its_fields() -> None:
    """Nothing of the record but time, level, service, logger, message and what was given."""
    made = record(port=8080, session="golden-eagle-427")
    made.created, made.msecs = 1_700_000_000.25, 250.0
    assert line(made) == {
        "timestamp": "2023-11-14T22:13:20.250Z",
        "level": "INFO",
        "service": "gateway",
        "logger": "gateway.server",
        "message": "ready",
        "port": 8080,
        "session": "golden-eagle-427",
    }


def test_anything_can_be_a_field() -> None:
    """What JSON does not know is written as text, and line ends stay inside it."""
    made = line(record("two\nlines", cause=ValueError("x"), path=sys, many={1, 2}))
    assert made["message"] == "two\nlines"
    assert made["cause"] == "x"
    assert sorted(made["many"]) == [1, 2]  # type: ignore[call-overload]


def test_an_exception_brings_its_trace() -> None:
    """In one field."""
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        made = logging.getLogger("x").makeRecord("x", logging.ERROR, "f", 1, "broke", (), sys.exc_info())
    assert str(line(made)["exception"]).endswith("ZeroDivisionError: division by zero")


@pytest.fixture
def root_logger() -> object:
    """The root logger, as it was, after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    wires = {name: logging.getLogger(name).level for name in logs._WIRE_LOGGERS}
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, wire_level in wires.items():
        logging.getLogger(name).setLevel(wire_level)


def test_configured_from_a_level_up(root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """To stderr, in any case of the level's name."""
    logs.configure(service="session", level="warning")
    logging.getLogger("x").info("not this")
    logging.getLogger("x").warning("this", extra={"count": 1})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["count"] == 1


def test_a_level_that_is_none(root_logger: logging.Logger) -> None:
    """Is named, with the variable it came from."""
    with pytest.raises(ConfigError, match=r"LOG_LEVEL.*loud"):
        logs.configure(service="session", level="loud")


TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJlLW9mLWFuYQ"


def test_no_secret_leaves_by_any_field() -> None:
    """Tokens and addresses are taken out of the message, the fields, however deep, and exceptions."""
    try:
        _fails()
    except ValueError:
        broken = sys.exc_info()
    made = logging.getLogger("x").makeRecord(
        "x",
        logging.ERROR,
        "f",
        1,
        "%s came from %s",
        (TOKEN, "203.0.113.77"),
        broken,
        extra={"headers": [{"Authorization": "opaque"}], "cause": ValueError(TOKEN), "size": 17},
        sinfo=f"Stack:\n  {TOKEN}",
    )
    fields = line(made)
    assert TOKEN not in json.dumps(fields)
    assert fields["message"] == "[hidden] came from 203.0.x.x"
    assert fields["headers"] == [{"Authorization": "[hidden]"}]
    assert fields["cause"] == "[hidden]"
    assert fields["size"] == 17
    assert str(fields["exception"]).endswith("ValueError: failed with [hidden]")
    assert fields["stack"] == "Stack:\n  [hidden]"


def test_a_record_that_cannot_be_written(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Is told by its place, without its arguments."""
    logs.configure(service="session", level="info")
    logging.getLogger("x").info("%d of them", TOKEN)
    told = json.loads(capsys.readouterr().err)
    assert (told["message"], told["logger"], told["file"]) == ("a record cannot be written", "x", __file__)
    assert TOKEN not in json.dumps(told)


@pytest.mark.parametrize("name", ["websockets.client", "botocore.endpoint"])
def test_libraries_never_log_what_is_on_the_wire(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Even when everything else is logged from DEBUG up."""
    logs.configure(service="session", level="debug")
    logging.getLogger(name).debug("< %s", TOKEN[:20])
    logging.getLogger(name).info("connection open")
    logging.getLogger("x").debug("this")
    told = [json.loads(text)["message"] for text in capsys.readouterr().err.splitlines()]
    assert told == ["connection open", "this"]


class Careless:
    """Raises where nobody can catch it."""

    def __del__(self) -> None:
        raise ValueError(f"let go of {TOKEN}")


def _fails() -> None:
    raise ValueError(f"failed with {TOKEN}")


def test_strays_are_logged_like_everything(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Warnings, exceptions in finalisers, in threads and at the end: a line of JSON each, no secrets."""
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    logs.configure(service="session", level="info")
    with warnings.catch_warnings(), logs.strays_logged():
        warnings.simplefilter("always")
        warnings.warn(f"careless with {TOKEN}", ResourceWarning, stacklevel=1)
        Careless()
        thread = threading.Thread(target=_fails)
        thread.start()
        thread.join()
        try:
            _fails()
        except ValueError as error:
            sys.excepthook(ValueError, error, error.__traceback__)
    assert (sys.excepthook, sys.unraisablehook, threading.excepthook) == hooks
    written = capsys.readouterr().err
    assert TOKEN not in written
    told = [json.loads(text) for text in written.splitlines()]
    assert [entry["level"] for entry in told] == ["WARNING", "CRITICAL", "CRITICAL", "CRITICAL"]
    assert "careless with [hidden]" in told[0]["message"]
    assert all("[hidden]" in entry["exception"] for entry in told[1:])


def test_an_exception_that_ends_the_process_is_logged_too(
    root_logger: logging.Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves the block with the hook in place; an interrupt by the keyboard stays what it was."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    logs.configure(service="session", level="info")
    with pytest.raises(ValueError, match="failed"), logs.strays_logged():
        _fails()
    sys.excepthook(ValueError, ValueError(TOKEN), None)
    assert json.loads(capsys.readouterr().err)["exception"] == "ValueError: [hidden]"
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == "KeyboardInterrupt\n"


async def test_a_line_tells_what_it_is_about() -> None:
    """The session, the connection as a hash, and the trace, where they are known: in a task and those that it
    starts, and in no other.
    """

    async def written(*, session: str = "") -> dict[str, object]:
        if session:
            logs.bind(session=session, connection_id="connection-1")
        with tracing.under("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" if session else ""):
            return await asyncio.create_task(_line())

    async def _line() -> dict[str, object]:
        return line(record(port=8080))

    with recording():
        bound = await asyncio.create_task(written(session="golden-eagle-427"))
        free = await asyncio.create_task(written())
    assert bound["session"] == "golden-eagle-427"
    assert bound["connection"] == logs.hashed("connection-1") != "connection-1"
    assert bound["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert bound["span_id"] == "00f067aa0ba902b7"
    assert not {"session", "connection", "trace_id", "span_id"} & free.keys()


async def test_a_connection_that_is_left_is_told_no_more() -> None:
    """What a line says itself comes before what is known."""

    async def written() -> list[dict[str, object]]:
        logs.bind(session="golden-eagle-427", connection_id="connection-1")
        logs.bind(connection_id="")
        return [line(record()), line(record(session="quiet-owl-123"))]

    left, said = await asyncio.create_task(written())
    assert "connection" not in left
    assert (left["session"], said["session"]) == ("golden-eagle-427", "quiet-owl-123")
