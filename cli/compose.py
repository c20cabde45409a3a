"""All of Babelcast in one process: four services on loopback gRPC, the in-process bus, the local issuer."""

import asyncio
import contextlib
import dataclasses
import fcntl
import logging
import os
import secrets
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from babelcast.auth.config import AuthConfig, trust
from babelcast.auth.local_issuer import LocalIssuer
from babelcast.bus.config import BusConfig
from babelcast.client import Listener
from babelcast.config import ConfigError, load
from babelcast.protocol.server_messages import Languages
from babelcast.rpc.credentials import Protection
from cli import places
from gateway.composition import start_gateway
from gateway.server import Issuers
from session_svc.config import SessionConfig
from session_svc.server import SessionServer
from transcription_svc.config import TranscriptionConfig
from transcription_svc.service import create_service
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig

LOOPBACK = "127.0.0.1"
ANY_PORT = f"{LOOPBACK}:0"
_ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen, and where to keep things."""

    host: str
    port: int
    data_dir: Path


@dataclass(slots=True)
class Babelcast:
    """Everything, running. `issuer` is None when speakers' tokens come from elsewhere."""

    url: str
    issuer: LocalIssuer | None
    languages: Languages
    _resources: contextlib.AsyncExitStack

    @classmethod
    async def start(cls, place: Place, environ: Mapping[str, str], *, tell: Callable[[str], None]) -> Self:
        """Start everything and see that it answers. `tell` gets a line for each step that is done.

        Raises: ConfigError, also when the address or the data directory is in use; ServiceUnavailable when
        an engine is missing; OSError.
        """
        _require_free(place.host, place.port)
        data_dir = str(place.data_dir)
        async with contextlib.AsyncExitStack() as stack:
            # left in reverse: the gateway drains first, then the record, then the engines
            stack.enter_context(_alone_in(place.data_dir))
            watch = _Stopwatch(tell)
            token = secrets.token_urlsafe(32)  # or any program on this machine could call the services
            protection = Protection(tokens=(token,))

            speech_config = dataclasses.replace(
                load(TranscriptionConfig, environ), transcription_bind=ANY_PORT, data_dir=data_dir
            )
            speech = await create_service(speech_config, protection=protection)
            stack.push_async_callback(speech.aclose)
            speech_port = await speech.start()
            watch.done(f"speech recognition, {speech.max_streams} sessions at once")

            words = load(TranslationConfig, environ)
            translation = TranslationApp(
                dataclasses.replace(
                    words,
                    translation_bind=ANY_PORT,
                    models_dir=str(places.models_dir(words.models_dir, place.data_dir)),
                ),
                protection=protection,
            )
            stack.push_async_callback(translation.aclose)
            translation_port = await translation.start()
            watch.done("translation and voices")

            configured = trust(load(AuthConfig, environ))
            issuer = None if configured else LocalIssuer.open(place.data_dir)
            record = await SessionServer.start(
                record_config(environ, data_dir=data_dir, own_issuer=issuer is not None),
                bus=load(BusConfig, environ),
                protection=protection,
                connections_lost=True,
            )
            stack.push_async_callback(record.aclose)
            gateway_environ = {
                **environ,
                "HOST": place.host,
                "PORT": str(place.port),
                "DATA_DIR": data_dir,
                "SESSION_TARGET": f"{LOOPBACK}:{record.port}",
                "TRANSCRIPTION_TARGET": f"{LOOPBACK}:{speech_port}",
                "TRANSLATION_TARGET": f"{LOOPBACK}:{translation_port}",
                **dict.fromkeys(("GRPC_TLS_CA", "GRPC_TLS_CERT", "GRPC_TLS_KEY"), ""),
                "SERVICE_TOKEN": token,
                # there is no load balancer that has to notice first
                "DRAIN_LINGER_SECONDS": environ.get("DRAIN_LINGER_SECONDS") or "0",
                "LOG_LEVEL": logging.getLevelName(logging.getLogger().getEffectiveLevel()),
            }
            gateway = await start_gateway(gateway_environ, issuers=Issuers(issuer, configured))
            stack.push_async_callback(gateway.aclose)

            encrypted = bool(environ.get("TLS_CERT"))
            url = f"{'wss' if encrypted else 'ws'}://{_reachable(place.host)}:{gateway.port}"
            languages = await (asyncio.to_thread(_answers_encrypted, url) if encrypted else _answers(url))
            watch.done("sessions and gateway")
            return cls(url, issuer, languages, stack.pop_all())

    async def aclose(self) -> None:
        """Drain and stop everything."""
        await self._resources.aclose()


def record_config(environ: Mapping[str, str], *, data_dir: str, own_issuer: bool) -> SessionConfig:
    """The record's configuration. Tokens of the own issuer mostly have one subject, whoever speaks with them,
    so with it a speaker may have any number of sessions unless the environment says how many.

    Raises: ConfigError.
    """
    config = dataclasses.replace(load(SessionConfig, environ), session_bind=ANY_PORT, data_dir=data_dir)
    if own_issuer and not environ.get("MAX_CONCURRENT_STREAMS_PER_SPEAKER"):
        return dataclasses.replace(config, max_concurrent_streams_per_speaker=0)
    return config


class _Languages(msgspec.Struct):
    sources: list[str]
    targets: dict[str, list[str]]


class _Settings(msgspec.Struct):
    languages: _Languages


class _Stopwatch:
    """Tells how long each step took."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._since_s = time.monotonic()

    def done(self, what: str) -> None:
        now_s = time.monotonic()
        self._tell(f"{what} ({now_s - self._since_s:.1f} s)")
        self._since_s = now_s


async def _answers(url: str) -> Languages:
    """Ask as a client would: only then everything is ready."""
    async with await Listener.connect(url) as client:
        return await client.languages()


def _answers_encrypted(url: str) -> Languages:
    """The same of a gateway whose certificate is for the name that others know it by."""
    own = ssl.create_default_context()
    own.check_hostname, own.verify_mode = False, ssl.CERT_NONE
    page = f"{places.pages_at(url)}/config.json"
    # no proxy of the environment can reach this machine for us
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=own)
    )
    with opener.open(page, timeout=_ANSWER_S) as answer:
        known = msgspec.json.decode(answer.read(), type=_Settings)
    return Languages(source=known.languages.sources, targets=known.languages.targets)


def _require_free(host: str, port: int) -> None:
    """Notice a port in use before the engines are loaded.

    Raises: ConfigError.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(f"cannot listen on {host}:{port}: {reason}; choose another --port") from error


def _reachable(host: str) -> str:
    """The address at which a client of this machine finds `host`."""
    local = {"0.0.0.0": LOOPBACK, "": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104 - it is replaced
    return f"[{local}]" if ":" in local else local


@contextlib.contextmanager
def _alone_in(data_dir: Path) -> Iterator[None]:
    """One server per data directory: two would end each other's sessions.

    Raises: ConfigError, OSError.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = os.open(data_dir / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise ConfigError(
            f"another server uses the data directory {data_dir}; choose another --data-dir"
        ) from error
    try:
        yield
    finally:
        os.close(lock)
