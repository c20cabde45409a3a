"""Errors as they are read from a call, whoever is on the other side."""

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from babelcast.errors import ErrorCode, InternalError, RemoteError, ServiceUnavailable, SessionFull
from babelcast.rpc.errors import error_from_call, status_details

KEY = "grpc-status-details-bin"


def failed(code: grpc.StatusCode, details: bytes | None = None) -> grpc.aio.AioRpcError:
    """A call that failed, with these status details."""
    trailing = grpc.aio.Metadata() if details is None else grpc.aio.Metadata((KEY, details))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing)


def described(reason: str, domain: str) -> bytes:
    """Status details with one ErrorInfo, after something else that nobody here knows."""
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain))
    other = any_pb2.Any()
    other.Pack(error_details_pb2.RetryInfo())
    serialised: bytes = status_pb2.Status(message="so it is", details=[other, packed]).SerializeToString()
    return serialised


def test_details_keep_their_types() -> None:
    """Numbers are numbers on the other side, not text."""
    error = error_from_call(
        failed(grpc.StatusCode.RESOURCE_EXHAUSTED, status_details(SessionFull(limit=5, retry_after_s=1.5)))
    )
    assert isinstance(error, RemoteError)
    assert error.details == {"limit": 5, "retryAfter": 1.5}


def test_a_reason_that_only_a_newer_program_knows() -> None:
    """While two versions run side by side, an unknown reason is an internal error, not a crash."""
    newer = failed(grpc.StatusCode.INVALID_ARGUMENT, described("SOMETHING_NEW", "babelcast"))
    assert isinstance(error_from_call(newer), InternalError)


def test_somebody_elses_error_is_not_ours() -> None:
    """An ErrorInfo of another domain says nothing; the status does."""
    details = described("SESSION_FULL", "proxy.example")
    assert isinstance(error_from_call(failed(grpc.StatusCode.UNAVAILABLE, details)), ServiceUnavailable)
    assert isinstance(error_from_call(failed(grpc.StatusCode.UNKNOWN, details)), InternalError)
    ours = error_from_call(failed(grpc.StatusCode.UNKNOWN, described("SESSION_FULL", "babelcast")))
    assert (ours.code, ours.message) == (ErrorCode.SESSION_FULL, "so it is")


def test_a_stream_that_broke_under_a_write() -> None:
    """Its process died: that is no fault of what was sent."""
    broken = grpc.aio.AioRpcError(
        grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), grpc.aio.Metadata(), "Internal error from Core"
    )
    assert isinstance(error_from_call(broken), ServiceUnavailable)


def test_plain_statuses() -> None:
    """Without details, what cannot be reached, or does not know us, is told from what failed."""
    unreachable = {
        code for code in grpc.StatusCode if isinstance(error_from_call(failed(code)), ServiceUnavailable)
    }
    assert unreachable == {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
