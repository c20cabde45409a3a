"""JSON lines on stderr: a static message plus fields; never a talk's text, tokens, audio or addresses."""

import logging
import sys
import time
from typing import Final

import msgspec

from babelcast.config import ConfigError

_BUILT_IN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


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
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _BUILT_IN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(*, service: str, level: str) -> None:
    """Log to stderr from `level` up. For composition roots only.

    Raises: ConfigError when there is no such level.
    """
    if level.upper() not in logging.getLevelNamesMapping():
        raise ConfigError(f"LOG_LEVEL: there is no level {level!r}.")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
