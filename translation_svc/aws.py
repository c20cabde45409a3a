"""Calls to Amazon's services: one client a service and process, bounded, with deadlines, failures named.

Credentials, endpoints (`AWS_ENDPOINT_URL_TRANSLATE`, `AWS_ENDPOINT_URL_POLLY`) and proxies are boto's own
affair, so that roles of instances, tasks and service accounts work as everywhere.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, cast

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    TokenRetrievalError,
)

from translation_svc.failures import (
    EngineBusy,
    EngineFailure,
    EngineForbidden,
    EngineLacksLanguage,
    EngineMissing,
    EngineRefused,
    EngineTimedOut,
)
from translation_svc.turns import Urgency

ClientT = TypeVar("ClientT")
ResultT = TypeVar("ResultT")

MAX_ATTEMPTS: Final = 3
"""Of botocore's standard mode: throttling, 5xx and broken connections are tried again, with jitter up to
1 s and then 2 s, within the call's deadline."""
_CONNECT_SHARE, _READ_SHARE = 1 / 3, 1 / 2  # of a call's deadline, so that one hang leaves time for a retry
_SERVER_ERROR, _TOO_MANY = 500, 429
_LANGUAGE = {"UnsupportedLanguagePairException", "LanguageNotSupportedException"}
_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "NotAuthorized", "OptInRequired", "UnauthorizedOperation"}
_BUSY = {
    "LimitExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailableException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """How Amazon's services are called."""

    region: str = ""
    """Empty is for boto to find."""
    start_timeout_s: float = 30.0
    """Longest that finding credentials may take."""
    call_timeout_s: float = 3.0
    """Longest that a call may take, its retries and its body included."""
    max_concurrency: int = 16
    """Calls to one service at once; the rest wait their turn."""


class AwsClient(Generic[ClientT]):
    """The client of one service: opened by the first call, closed with the app.

    At most `max_concurrency` calls are under way, and half as many for partial captions, so that finals
    always find room. A call's deadline runs from its turn. Who is cancelled leaves no call behind.
    """

    def __init__(self, service: str, *, engine: str, settings: AwsSettings) -> None:
        """`service` is botocore's name for it, `engine` ours in failures."""
        self.service = service
        self.engine = engine
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.max_concurrency)
        self._slots_of_partials = asyncio.Semaphore(max(1, settings.max_concurrency // 2))
        self._opening = asyncio.Lock()
        self._resources = contextlib.AsyncExitStack()
        self._client: ClientT | None = None

    async def call(
        self,
        action: str,
        make: Callable[[ClientT], Awaitable[ResultT]],
        *,
        urgency: Urgency = Urgency.FINAL,
    ) -> ResultT:
        """What `make` makes of the client, reading the whole answer, its body too.

        `action` is the operation's name in IAM policies, such as polly:DescribeVoices.

        Raises: EngineFailure.
        """
        async with contextlib.AsyncExitStack() as turn:
            if urgency is Urgency.PARTIAL:
                await turn.enter_async_context(self._slots_of_partials)
            await turn.enter_async_context(self._slots)
            client = await self._opened()
            try:
                async with asyncio.timeout(self._settings.call_timeout_s):
                    return await make(client)
            except (BotoCoreError, ClientError, aiohttp.ClientError, OSError) as error:
                failure = _failure(error, self.engine, action, timeout_s=self._settings.call_timeout_s)
                raise failure from error

    async def aclose(self) -> None:
        """Close the connections; idempotent. A later call opens new ones."""
        async with self._opening:
            self._client = None
            await self._resources.aclose()

    async def _opened(self) -> ClientT:
        async with self._opening:
            if self._client is None:
                try:
                    async with asyncio.timeout(self._settings.start_timeout_s):
                        self._client = await self._open()
                except TimeoutError as error:
                    raise EngineTimedOut(self.engine, self._settings.start_timeout_s) from error
                except (BotoCoreError, ValueError) as error:  # no region, an endpoint that is no URL
                    raise EngineMissing(self.engine, str(error)) from error
            return self._client

    async def _open(self) -> ClientT:
        import aioboto3
        from aiobotocore.config import AioConfig

        settings = self._settings
        config = AioConfig(
            connect_timeout=settings.call_timeout_s * _CONNECT_SHARE,
            read_timeout=settings.call_timeout_s * _READ_SHARE,
            max_pool_connections=settings.max_concurrency,
            retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
            tcp_keepalive=True,
        )
        session = aioboto3.Session()
        client = await self._resources.enter_async_context(
            session.client(self.service, region_name=settings.region or None, config=config)
        )
        return cast("ClientT", client)  # boto makes its clients' methods at run time


def _failure(error: Exception, engine: str, action: str, *, timeout_s: float) -> EngineFailure:
    """What an error means to us; those that an operator must mend are told in the log."""
    if isinstance(error, ClientError):
        return _answered(error, engine, action)
    if isinstance(error, ReadTimeoutError | ConnectTimeoutError | TimeoutError):
        return EngineTimedOut(engine, timeout_s)
    if isinstance(
        error, NoCredentialsError | PartialCredentialsError | TokenRetrievalError | NoAuthTokenError
    ):
        log.error("no credentials for AWS", extra={"engine": engine, "action": action})
        return EngineForbidden(engine, "there are no credentials for AWS")
    return EngineMissing(engine, f"{action} was not answered ({type(error).__name__})")


def _answered(error: ClientError, engine: str, action: str) -> EngineFailure:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _LANGUAGE:
        return EngineLacksLanguage(engine, code)
    if code in _CREDENTIALS:
        log.error("AWS does not take our credentials", extra={"engine": engine, "code": code})
        return EngineForbidden(engine, f"AWS does not take the credentials ({code})")
    if code in _DENIED:
        log.error("AWS does not allow an action", extra={"engine": engine, "action": action, "code": code})
        return EngineForbidden(engine, f"the credentials do not allow {action} ({code})")
    if code in _BUSY or status == _TOO_MANY:
        return EngineBusy(engine, code)
    if status >= _SERVER_ERROR:
        return EngineMissing(engine, f"{action} failed at its side ({code})")
    return EngineRefused(engine, f"{action}: {code}")


def error_code(failure: EngineFailure) -> str:
    """The code of AWS's answer behind a failure, or empty."""
    cause = failure.__cause__
    return str(cause.response.get("Error", {}).get("Code", "")) if isinstance(cause, ClientError) else ""
