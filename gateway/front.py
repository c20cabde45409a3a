"""One port for WebSockets and plain HTTP: a connection goes to whom its first request is for.

Later requests on a connection that asked for a page are its new owner's business.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias, cast

from gateway import measuring
from gateway.web.security import EVERYWHERE, transport_headers

MAX_HEAD_BYTES = 16 * 1024
HEAD_WITHIN_S = 10.0
MAX_WAITING = 1024

_END = b"\r\n\r\n"
_REFUSAL = {**EVERYWHERE, "Cache-Control": "no-store", "Connection": "close", "Content-Length": "0"}

MakeProtocol: TypeAlias = Callable[[], asyncio.Protocol]


class Lobby:
    """The connections that have not said yet what they want.

    Policy: of more than `most` the one goes that has waited longest, since who means well says it at once.
    While `full` says so, newcomers are answered with 503.
    """

    def __init__(self, *, most: int = MAX_WAITING, full: Callable[[], bool] = lambda: False) -> None:
        self._most = most
        self._full = full
        self._waiting: dict[Front, None] = {}  # in the order in which they came

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, front: "Front") -> None:
        """It has come."""
        if self._full():
            front.refuse(b"503 Service Unavailable")
            return
        self._waiting[front] = None
        if len(self._waiting) > self._most:
            next(iter(self._waiting)).abort()

    def leave(self, front: "Front") -> None:
        """It is gone, or somebody else's."""
        self._waiting.pop(front, None)

    def close(self) -> None:
        """Send all away."""
        for front in tuple(self._waiting):
            front.abort()


class Front(asyncio.Protocol):
    """Holds a new connection until the head of its request is there, then hands it over whole.

    Bounds: MAX_HEAD_BYTES, answered with 431; HEAD_WITHIN_S, answered with 408.
    """

    def __init__(
        self,
        *,
        websocket: MakeProtocol,
        http: MakeProtocol,
        lobby: Lobby,
        head_within_s: float = HEAD_WITHIN_S,
    ) -> None:
        self._websocket = websocket
        self._http = http
        self._lobby = lobby
        self._head_within_s = head_within_s
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the head."""
        self._transport = cast(asyncio.Transport, transport)
        self._late = asyncio.get_running_loop().call_later(
            self._head_within_s, self.refuse, b"408 Request Timeout"
        )
        self._lobby.enter(self)

    def data_received(self, data: bytes) -> None:
        """Take what came; hand over once the head is whole."""
        if self._transport is None:
            return  # it was refused
        searched = max(0, len(self._received) - len(_END) + 1)
        self._received += data
        end = self._received.find(_END, searched)
        if (end if end >= 0 else len(self._received)) > MAX_HEAD_BYTES:
            self.refuse(b"431 Request Header Fields Too Large")
        elif end >= 0:
            self._hand_over(self._websocket if wants_websocket(self._received[:end]) else self._http)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - there is nobody to tell
        """It went before it said what it wanted."""
        self._forget()

    def abort(self) -> None:
        """Close the connection without a word."""
        transport = self._transport
        self._forget()
        if transport is not None:
            transport.abort()

    def refuse(self, status: bytes) -> None:
        """Answer with a status and close."""
        transport = self._transport
        self._forget()
        if transport is not None and not transport.is_closing():
            measuring.answered(int(status.split()[0]))
            transport.write(b"HTTP/1.1 " + status + _refusal(transport))
            transport.close()

    def _hand_over(self, make: MakeProtocol) -> None:
        transport, received = self._transport, bytes(self._received)
        self._forget()
        if transport is None or transport.is_closing():
            return
        protocol = make()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(received)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
        self._lobby.leave(self)
        self._transport = None
        self._received = bytearray()


def _refusal(transport: asyncio.Transport) -> bytes:
    headers = {**_REFUSAL, **transport_headers(transport)}
    return "".join(f"\r\n{name}: {value}" for name, value in headers.items()).encode() + _END


def wants_websocket(head: bytes | bytearray) -> bool:
    """Whether the head of a request asks for an upgrade to WebSocket (RFC 6455, section 4.2.1)."""
    for line in bytes(head).split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"upgrade" and b"websocket" in value.lower():
            return True
    return False
