"""What can go wrong with a stream at Amazon, and what to do about it."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from amazon_transcribe import exceptions as sdk
from awscrt.exceptions import AwsCrtError
from botocore.exceptions import BotoCoreError, CredentialRetrievalError

from babelcast.backoff import Backoff
from babelcast.errors import BabelcastError, CapacityExhausted, InvalidConfiguration, ServiceUnavailable

ACTION: Final = "transcribe:StartStreamTranscription"
_TOO_MANY = 429
_SERVER_ERROR = 500
_FORBIDDEN = (401, 403)
_STALE = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_QUIET = ("timed out", "no new audio")


class BrokenConnection(Exception):
    """The connection ended, or says nothing sensible, or nothing at all."""


class NoCredentials(Exception):
    """No link of the credential chain has any."""


class Kind(Enum):
    """Kinds of faults."""

    TRANSIENT = auto()
    """It may work in a moment."""
    LIMIT = auto()
    """Too many streams or requests: it may work in a moment, and until then elsewhere."""
    PERMANENT = auto()
    """Waiting does not help."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A diagnosed failure."""

    kind: Kind
    code: str
    """Its name at Amazon, for the log."""
    advice: str = ""
    """What an operator may do about a permanent one."""

    def error(self) -> BabelcastError:
        """As the stream's owner gets it."""
        if self.kind is Kind.LIMIT:
            return CapacityExhausted("Amazon Transcribe takes no more streams now.")
        if self.kind is Kind.TRANSIENT:
            return ServiceUnavailable("Amazon Transcribe does not answer.")
        return InvalidConfiguration(f"Amazon Transcribe refuses the stream ({self.code}): {self.advice}")


RESTARTS: Final = Backoff(retries=8, base_s=0.25, cap_s=4.0)
"""For connections that break without a final result between."""

FAILURES: Final = (
    sdk.SDKError,
    AwsCrtError,
    BotoCoreError,
    BrokenConnection,
    NoCredentials,
    OSError,
    TimeoutError,
)
"""What may come out of the library."""


def diagnose(error: BaseException) -> Fault:
    """What a failure of `FAILURES` means."""
    code = type(error).__name__
    if isinstance(error, sdk.UnknownServiceException):
        return _unknown(error)
    if isinstance(error, sdk.LimitExceededException):
        return Fault(Kind.LIMIT, code)
    if isinstance(error, sdk.BadRequestException):
        if any(words in error.message for words in _QUIET):
            return Fault(Kind.TRANSIENT, code)
        return Fault(Kind.PERMANENT, code, "it does not take this language, or the request is not valid.")
    if isinstance(error, NoCredentials | sdk.CredentialsException):
        return Fault(Kind.PERMANENT, code, "there are no AWS credentials.")
    if isinstance(error, sdk.SerializationException | sdk.SerializerException | sdk.ValidationException):
        return Fault(Kind.PERMANENT, code, "the request is not valid.")
    if isinstance(error, BotoCoreError) and not isinstance(error, CredentialRetrievalError):
        return Fault(Kind.PERMANENT, code, "the AWS configuration is not valid.")
    return Fault(Kind.TRANSIENT, code)


def _unknown(error: sdk.UnknownServiceException) -> Fault:
    code, status = str(error.error_code), int(error.status_code)
    if code in _STALE or status >= _SERVER_ERROR:
        return Fault(Kind.TRANSIENT, code)
    if status == _TOO_MANY or "Throttl" in code or "TooManyRequests" in code:
        return Fault(Kind.LIMIT, code)
    if status in _FORBIDDEN or "AccessDenied" in code:
        return Fault(Kind.PERMANENT, code, f"its credentials are not valid, or may not {ACTION}.")
    return Fault(Kind.PERMANENT, code, "the request is not valid.")
