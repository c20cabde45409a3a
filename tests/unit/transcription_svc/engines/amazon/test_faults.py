"""What goes wrong at Amazon, and under which name the stream's owner hears of it."""

import pytest
from amazon_transcribe import exceptions
from awscrt.exceptions import AwsCrtError
from botocore.exceptions import CredentialRetrievalError, ProfileNotFound
from hypothesis import given
from hypothesis import strategies as st

from babelcast.backoff import Backoff
from babelcast.errors import BabelcastError, CapacityExhausted, InvalidConfiguration, ServiceUnavailable
from transcription_svc.engines.amazon.faults import (
    FAILURES,
    BrokenConnection,
    Kind,
    NoCredentials,
    diagnose,
)


def sdk(name: str, *fields: object) -> Exception:
    """An error of the library, whose types are not annotated."""
    made: Exception = getattr(exceptions, name)(*fields)
    return made


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sdk("LimitExceededException", "no"), Kind.LIMIT),
        (sdk("ServiceUnavailableException", "no"), Kind.TRANSIENT),
        (sdk("InternalFailureException", "no"), Kind.TRANSIENT),
        (sdk("ConflictException", "no"), Kind.TRANSIENT),
        (sdk("ServiceException", "no"), Kind.TRANSIENT),
        (sdk("HTTPException", "no"), Kind.TRANSIENT),
        (sdk("BadRequestException", "The language is not supported."), Kind.PERMANENT),
        (
            sdk("BadRequestException", "Your request timed out because no new audio was received."),
            Kind.TRANSIENT,
        ),
        (sdk("SerializationException", "no"), Kind.PERMANENT),
        (sdk("CredentialsException", "no"), Kind.PERMANENT),
        (sdk("UnknownServiceException", 400, "ThrottlingException", "no"), Kind.LIMIT),
        (sdk("UnknownServiceException", 429, "Unknown", "no"), Kind.LIMIT),
        (sdk("UnknownServiceException", 502, "Unknown", "no"), Kind.TRANSIENT),
        (sdk("UnknownServiceException", 403, "ExpiredTokenException", "no"), Kind.TRANSIENT),
        (sdk("UnknownServiceException", 403, "AccessDeniedException", "no"), Kind.PERMANENT),
        (sdk("UnknownServiceException", 403, "UnrecognizedClientException", "no"), Kind.PERMANENT),
        (sdk("UnknownServiceException", 400, "ValidationException", "no"), Kind.PERMANENT),
        (AwsCrtError(1051, "AWS_IO_SOCKET_CLOSED", "closed"), Kind.TRANSIENT),
        (CredentialRetrievalError(provider="iam-role", error_msg="no"), Kind.TRANSIENT),
        (ProfileNotFound(profile="nobody"), Kind.PERMANENT),
        (NoCredentials(), Kind.PERMANENT),
        (BrokenConnection("gone"), Kind.TRANSIENT),
        (TimeoutError(), Kind.TRANSIENT),
        (ConnectionResetError(), Kind.TRANSIENT),
    ],
    ids=lambda value: f"{type(value).__name__}" if isinstance(value, Exception) else value.name,
)
def test_faults_are_told_apart(error: Exception, kind: Kind) -> None:
    """What passes is tried again, what does not has advice, and none shows Amazon's own text."""
    fault = diagnose(error)
    assert isinstance(error, FAILURES)
    assert fault.kind is kind
    expected: dict[Kind, type[BabelcastError]] = {
        Kind.LIMIT: CapacityExhausted,
        Kind.TRANSIENT: ServiceUnavailable,
        Kind.PERMANENT: InvalidConfiguration,
    }
    found = fault.error()
    assert type(found) is expected[kind]
    assert "not supported" not in found.message
    assert bool(fault.advice) is (kind is Kind.PERMANENT)


@given(st.integers(0, 60), st.floats(0, 1))
def test_waits_are_bounded_and_spread(retry: int, chance: float) -> None:
    """Each wait is a random share of a bound that doubles up to the cap."""
    backoff = Backoff(retries=8, base_s=0.25, cap_s=4.0)
    bound = min(4.0, 0.25 * 2.0**retry)
    assert backoff.delay_s(retry, lambda: chance) == chance * bound
