"""One WebSocket: requests matched with their answers, heartbeats, and everything else to one receiver."""

import asyncio
import base64
import binascii
import contextlib
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeVar

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Data

from babelcast.client import address, failures
from babelcast.client.events import Incoming, Voice
from babelcast.client.settings import ClientSettings
from babelcast.errors import BabelcastError, InvalidMessage, InvalidParameter, RemoteError, ServiceUnavailable
from babelcast.protocol import codec
from babelcast.protocol.client_messages import ClientMessage, Heartbeat
from babelcast.protocol.server_messages import (
    AnyServerMessage,
    ConnectionRefreshRequired,
    Error,
    HeartbeatAck,
    ServerMessage,
    TranslatedAudio,
)
from babelcast.telemetry import tracing

AnswerT = TypeVar("AnswerT", bound=ServerMessage)
_SILENT_CLOSE = 4408
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Closed:
    """How a connection ended: the WebSocket close code (1006 when it broke) and the server's words."""

    code: int
    reason: str


class Connection:
    """An open WebSocket to a gateway.

    Owns its reader and its heartbeat, which end with it. `on_message` gets every message in order, before
    the waiter of an answer does; it must not block. `leaving` is set when the connection has ended, or when
    the server asks for another one to be made.
    """

    def __init__(
        self,
        url: str,
        socket: ClientConnection,
        *,
        settings: ClientSettings,
        on_message: Callable[[Incoming, bool], None],
    ) -> None:
        """Use `open`. `on_message` is also told whether somebody awaits the message as an answer."""
        self.url = url
        self.leaving = asyncio.Event()
        self.refresh: ConnectionRefreshRequired | None = None
        self.closed: Closed | None = None
        self.round_trip_s: float | None = None
        self.unknown_messages = 0
        self._frames_heard = 0
        self._socket = socket
        self._settings = settings
        self._on_message = on_message
        self._numbers = itertools.count(1)
        self._pending: dict[str, asyncio.Future[AnyServerMessage]] = {}
        self._reader = asyncio.create_task(self._read(), name="babelcast-client-reader")

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        token: str,
        settings: ClientSettings,
        on_message: Callable[[Incoming, bool], None],
    ) -> Self:
        """Connect to a normalised address.

        Raises: Unauthorized for a bad token, RateLimitExceeded, ServiceUnavailable when it cannot be reached.
        """
        try:
            socket = await connect(
                url,
                additional_headers={"Authorization": f"Bearer {token}"} if token else None,
                compression=None,
                proxy=None if address.is_loopback(url) else True,
                open_timeout=settings.connect_timeout_s,
                close_timeout=settings.close_timeout_s,
                ping_interval=None,  # the heartbeat is one
                max_size=settings.max_message_bytes,
            )
        except InvalidStatus as error:
            raise failures.from_upgrade(
                error.response.status_code,
                bytes(error.response.body),
                retry_after=error.response.headers.get("Retry-After", ""),
            ) from error
        except InvalidURI as error:
            raise InvalidParameter("url", f"{url!r} is no WebSocket address.") from error
        except (OSError, TimeoutError, InvalidHandshake, EOFError) as error:
            raise ServiceUnavailable(f"Cannot reach {url}: {_reason(error)}.") from error
        return cls(url, socket, settings=settings, on_message=on_message)

    async def request(
        self, message: ClientMessage, answer: type[AnswerT], *, timeout_s: float | None = None
    ) -> AnswerT:
        """Send `message` and wait for its answer, for the settings' usual time unless said otherwise.

        Raises: RemoteError when the server refuses, ServiceUnavailable when the connection is lost or no
        answer comes in time.
        """
        number = str(next(self._numbers))
        waiting: asyncio.Future[AnyServerMessage] = asyncio.get_running_loop().create_future()
        self._pending[number] = waiting
        try:
            async with asyncio.timeout(timeout_s or self._settings.request_timeout_s):
                await self.send(msgspec.structs.replace(message, request_id=number))
                got = await waiting
        except TimeoutError as error:
            raise ServiceUnavailable("The server did not answer in time.") from error
        finally:
            del self._pending[number]
            waiting.cancel()
        if isinstance(got, Error):
            raise failures.from_message(got)
        if not isinstance(got, answer):
            raise InvalidMessage(f"The server answered {type(got).__name__} for {answer.__name__}.")
        return got

    async def send(self, message: ClientMessage) -> None:
        """Send a message without waiting for an answer; it continues the trace that it is sent in, if any.

        Raises: ServiceUnavailable when the connection is lost.
        """
        here = tracing.here()
        if here and not message.traceparent:
            message = msgspec.structs.replace(message, traceparent=here)
        await self._send(codec.encode_client(message))

    async def send_bytes(self, data: bytes) -> None:
        """Send one binary frame.

        Raises: ServiceUnavailable when the connection is lost.
        """
        await self._send(data)

    async def settled(self) -> None:
        """Wait until the server has dealt with everything that was sent so far: it takes one message after
        the other, and answers this one.

        Raises: ServiceUnavailable when it does not answer in time.
        """
        message = Heartbeat(timestamp=time.time_ns() // 1_000_000)
        with contextlib.suppress(RemoteError):  # a refusal is an answer too
            await self.request(message, HeartbeatAck, timeout_s=self._settings.silence_timeout_s)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended."""
        await asyncio.wait([self._reader])

    async def aclose(self) -> None:
        """Say goodbye and let go; idempotent."""
        await self._socket.close()
        await asyncio.wait([self._reader])

    async def _send(self, data: Data) -> None:
        try:
            await self._socket.send(data)
        except ConnectionClosed as error:
            raise ServiceUnavailable("The connection was lost.") from error

    async def _read(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                heart = group.create_task(self._beat(), name="babelcast-client-heartbeat")
                try:
                    while True:
                        self._take(await self._socket.recv())
                except ConnectionClosed:
                    heart.cancel()
        finally:
            self._end()

    def _end(self) -> None:
        code = self._socket.close_code
        self.closed = Closed(1006 if code is None else code, self._socket.close_reason or "")
        self.leaving.set()
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(ServiceUnavailable("The connection was lost before the answer."))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat_interval_s)
            sent_s, heard = time.monotonic(), self._frames_heard
            try:
                await self.settled()
            except BabelcastError as error:
                if self._frames_heard > heard:
                    continue  # busy, not silent
                _logger.info("heartbeat failed", extra={"code": error.code})
                await self._socket.close(_SILENT_CLOSE, "no answer to the heartbeat")
                return
            self.round_trip_s = time.monotonic() - sent_s

    def _take(self, frame: Data) -> None:
        self._frames_heard += 1
        try:
            incoming = _decode(frame)
        except InvalidMessage:
            self.unknown_messages += 1  # a newer server may say more than this client knows
            return
        message = incoming.message if isinstance(incoming, Voice) else incoming
        request_id = message.request_id
        waiting = self._pending.get(request_id) if isinstance(request_id, str) else None
        self._on_message(incoming, waiting is not None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
        if isinstance(message, ConnectionRefreshRequired):
            self.refresh = message
            self.leaving.set()


def _decode(frame: Data) -> Incoming:
    if isinstance(frame, str):
        message, audio = codec.decode_server(frame), None
    else:
        message, audio = codec.unpack_binary(bytes(frame))
    if not isinstance(message, TranslatedAudio):
        return message
    if audio is None:
        try:
            audio = base64.b64decode(message.audio_data or "", validate=True)
        except binascii.Error as error:
            raise InvalidMessage("The audio is not base64.") from error
    return Voice(msgspec.structs.replace(message, audio_data=msgspec.UNSET), audio)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
