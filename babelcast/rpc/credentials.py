"""Who may call whom: what a service and a caller are told about it, and how a call is judged.

With mutual TLS the caller is whom its certificate names. With a shared token the caller is whoever has it.
Both may be on, and then both must be right. Health alone is told to anybody who can connect.
"""

import dataclasses
import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Self, TypeAlias, TypeVar, cast

import grpc
from grpc_health.v1 import health

from babelcast.config import ConfigError, load, setting
from babelcast.rpc.tls_files import Paths, TlsFiles

HEADER: Final = "authorization"
SCHEME: Final = "Bearer "
MIN_TOKEN_CHARS: Final = 32
TOLD_EVERY_S: Final = 10.0
"""Refused calls are logged so often at most, each time with how many there were."""

log = logging.getLogger(__name__)

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Handler: TypeAlias = Callable[
    [object, grpc.aio.ServicerContext[object, object]], "Awaitable[object] | AsyncIterator[object]"
]


@dataclass(frozen=True, slots=True)
class CallingConfig:
    """What a caller of services shows and expects."""

    grpc_tls_ca: str = setting(
        "", "PEM file of the authority that signs the services' certificates; with it, mutual TLS."
    )
    grpc_tls_cert: str = setting("", "PEM file of the own certificate between services, with its chain.")
    grpc_tls_key: str = setting("", "PEM file of that certificate's key.")
    service_token: str = dataclasses.field(
        default="",
        repr=False,
        metadata={
            "help": "Shared secret between services; several with commas: the first is sent, all are taken."
        },
    )


@dataclass(frozen=True, slots=True)
class ServingConfig(CallingConfig):
    """What a service shows, and whom it takes calls from."""

    grpc_tls_peers: str = setting(
        "gateway", "Names in certificates (DNS or URI) whose holders may call, with commas."
    )
    grpc_allow_plaintext: bool = setting(
        False, "Whether a service may listen beyond its machine without TLS and without a token."
    )
    health_bind: str = setting(
        "", "host:port that tells health alone, in the clear, to probes that cannot do TLS; empty for none."
    )


@dataclass(frozen=True, slots=True)
class Calling:
    """How a process calls services."""

    files: TlsFiles | None = None
    token: str = dataclasses.field(default="", repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """As the environment says. Raises: ConfigError."""
        config = load(CallingConfig, environ)
        return cls(_files(config), next(iter(tokens(config.service_token)), ""))


@dataclass(frozen=True, slots=True)
class Protection:
    """Whom a service takes calls from. As it is made by default: from anybody on this machine."""

    files: TlsFiles | None = None
    peers: frozenset[str] = frozenset()
    tokens: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    allow_plaintext: bool = False
    health_bind: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """As the environment says. Raises: ConfigError."""
        config = load(ServingConfig, environ)
        return cls(
            files=_files(config),
            peers=frozenset(config.grpc_tls_peers.replace(",", " ").split()),
            tokens=tokens(config.service_token),
            allow_plaintext=config.grpc_allow_plaintext,
            health_bind=config.health_bind,
        )

    def check(self, bind: str) -> None:
        """See that not everybody on a network could call.

        Raises: ConfigError.
        """
        if self.files is not None or self.tokens or self.allow_plaintext or _is_own_machine(bind):
            return
        raise ConfigError(
            f"{bind} can be reached from other machines, and anybody there could call this service: set "
            "GRPC_TLS_CA, GRPC_TLS_CERT and GRPC_TLS_KEY, or SERVICE_TOKEN, or GRPC_ALLOW_PLAINTEXT=true"
        )


def tokens(text: str) -> tuple[str, ...]:
    """The entries of SERVICE_TOKEN. Raises: ConfigError when one is too short to be a secret."""
    entries = tuple(text.replace(",", " ").split())
    if any(len(entry) < MIN_TOKEN_CHARS or not entry.isascii() for entry in entries):
        raise ConfigError(f"SERVICE_TOKEN: at least {MIN_TOKEN_CHARS} characters of ASCII each")
    return entries


def has_token(metadata: Sequence[tuple[str, str | bytes]], good: Sequence[str]) -> bool:
    """Whether a call's metadata carry one of the good tokens. Takes the same time whichever is wrong, and
    wherever.
    """
    shown = [value for key, value in metadata if key == HEADER]
    if len(shown) != 1 or not isinstance(shown[0], str):
        return False
    known = [hmac.compare_digest(shown[0].encode(), f"{SCHEME}{token}".encode()) for token in good]
    return any(known)


def names(auth_context: Mapping[str, Sequence[bytes]]) -> frozenset[str]:
    """Whom the certificate of a call's peer names (RFC 6125: alternative names, never the common one)."""
    return frozenset(
        name.decode(errors="replace") for name in auth_context.get("x509_subject_alternative_name", ())
    )


class Guard(grpc.aio.ServerInterceptor):
    """Lets calls through from those who may call."""

    def __init__(self, protection: Protection, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._protection = protection
        self._clock = clock
        self._refused = 0
        self._told_s = clock() - TOLD_EVERY_S

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], "Awaitable[grpc.RpcMethodHandler[_Request, _Response] | None]"
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[_Request, _Response] | None":
        """Judge a call by its token at once, and by its peer when it begins."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(f"/{health.SERVICE_NAME}/"):
            return handler
        good = self._protection.tokens
        known = not good or has_token(handler_call_details.invocation_metadata, good)
        if known and self._protection.files is None:
            return handler
        return self._guarded(handler, handler_call_details.method, known=known)

    def _guarded(
        self, handler: "grpc.RpcMethodHandler[_Request, _Response]", method: str, *, known: bool
    ) -> "grpc.RpcMethodHandler[_Request, _Response]":
        async def judge(context: grpc.aio.ServicerContext[object, object]) -> None:
            if not known:
                self._tell(method, "token")
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Callers need a token here.")
            peer = cast("Mapping[str, Sequence[bytes]]", context.auth_context())
            if self._protection.files is not None and not names(peer) & self._protection.peers:
                self._tell(method, "name")
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, "This caller may not call here.")

        def unary(inner: _Handler) -> _Handler:
            async def call(request: object, context: grpc.aio.ServicerContext[object, object]) -> object:
                await judge(context)
                return await cast("Awaitable[object]", inner(request, context))

            return call

        def streaming(inner: _Handler) -> _Handler:
            async def call(
                request: object, context: grpc.aio.ServicerContext[object, object]
            ) -> AsyncIterator[object]:
                await judge(context)
                responses = inner(request, context)
                if isinstance(responses, AsyncIterator):
                    async for response in responses:
                        yield response
                else:
                    await responses

            return call

        kinds = {
            (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler, unary),
            (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler, streaming),
            (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler, unary),
            (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler, streaming),
        }
        attribute, make, wrap = kinds[bool(handler.request_streaming), bool(handler.response_streaming)]
        guarded: grpc.RpcMethodHandler[_Request, _Response] = make(
            wrap(getattr(handler, attribute)),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return guarded

    def _tell(self, method: str, cause: str) -> None:
        self._refused += 1
        now_s = self._clock()
        if now_s - self._told_s >= TOLD_EVERY_S:
            log.warning("calls refused", extra={"method": method, "cause": cause, "calls": self._refused})
            self._told_s, self._refused = now_s, 0


def _files(config: CallingConfig) -> TlsFiles | None:
    paths = Paths.of(
        GRPC_TLS_CA=config.grpc_tls_ca, GRPC_TLS_CERT=config.grpc_tls_cert, GRPC_TLS_KEY=config.grpc_tls_key
    )
    return None if paths is None else TlsFiles(paths)


def _is_own_machine(bind: str) -> bool:
    """Whether nobody elsewhere can reach an address such as "127.0.0.1:0", "[::1]:0" or "unix:path"."""
    if bind.startswith(("unix:", "unix-abstract:")):
        return True
    host = bind.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
