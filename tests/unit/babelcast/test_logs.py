"""JSON lines for machines."""

import json
import logging
import sys

import pytest

from babelcast import logs
from babelcast.config import ConfigError
from babelcast.logs import JsonFormatter


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
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


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
