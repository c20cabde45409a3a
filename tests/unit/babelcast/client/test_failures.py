"""Refusals become named errors."""

import pytest

from babelcast.client import failures
from babelcast.errors import ErrorCode
from babelcast.protocol.server_messages import Error


def test_an_error_message_becomes_an_exception_with_its_code_and_details() -> None:
    """Codes, texts and plain details survive; nested details are left out."""
    said = Error(
        code="UNSUPPORTED_LANGUAGE",
        message="tlh is not available here.",
        correlation_id="x",
        details={"language": "tlh", "available": ["es", "fr"], "retryAfter": 3, "nested": {"a": 1}},
    )
    error = failures.from_message(said)
    assert error.code is ErrorCode.UNSUPPORTED_LANGUAGE
    assert error.message == "tlh is not available here."
    assert error.details == {"language": "tlh", "available": ("es", "fr"), "retryAfter": 3}


def test_an_unknown_code_is_an_internal_error() -> None:
    """A newer server's code does not break this client."""
    error = failures.from_message(Error(code="BRAND_NEW", message="?", correlation_id="x"))
    assert error.code is ErrorCode.INTERNAL_ERROR


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, b"", ErrorCode.UNAUTHORIZED),
        (403, b"nope", ErrorCode.UNAUTHORIZED),
        (429, b"", ErrorCode.RATE_LIMIT_EXCEEDED),
        (404, b"<html>", ErrorCode.SERVICE_UNAVAILABLE),
        (503, b"{}", ErrorCode.SERVICE_UNAVAILABLE),
        (401, b"TOKEN_EXPIRED: The token has expired.", ErrorCode.TOKEN_EXPIRED),
    ],
)
def test_a_refused_upgrade_has_a_code(status: int, body: bytes, code: ErrorCode) -> None:
    """The body's code counts, else the HTTP status."""
    assert failures.from_upgrade(status, body).code is code


@pytest.mark.parametrize(
    ("close", "code"),
    [
        (1000, None),
        (1008, ErrorCode.UNAUTHORIZED),
        (4429, ErrorCode.RATE_LIMIT_EXCEEDED),
        (1006, ErrorCode.SERVICE_UNAVAILABLE),
    ],
)
def test_a_closed_connection_has_a_code(close: int, code: ErrorCode | None) -> None:
    """A normal end is no error."""
    error = failures.from_close(close, "why")
    assert (error.code if error else None) == code
