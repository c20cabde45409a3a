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
# Of those that come while there is no place, which may ask whether the gateway is alive.
MAX_BEYOND = 128  # asyncio accepts a hundred at a time
BEYOND_WITHIN_S = 1.0

_END = b"\r\n\r\n"
_FULL = b"503 Service Unavailable"
_ASKS_IF_ALIVE = b"GET /healthz "
_ALWAYS = {**EVERYWHERE, "Cache-Control": "no-store", "Connection": "close"}

MakeProtocol: TypeAlias = Callable[[], asyncio.Protocol]


class Lobby:
    """The connections that have not said yet what they want.

    Policy: of more than `most` the one goes that has waited longest, since who means well says it at once.
    While `full` says so, newcomers are answered with 503: but a full gateway is alive and says so, or who
    watches over it would end it with all its clients. So a few are heard; of more than `most_beyond` the one
    that has waited longest is refused.
    """

    def __init__(
        self,
        *,
        most: int = MAX_WAITING,
        most_beyond: int = MAX_BEYOND,
        full: Callable[[], bool] = lambda: False,
    ) -> None:
        self._most = most
        self._most_beyond = most_beyond
        self._full = full
        self._waiting: dict[Front, None] = {}  # in the order in which they came
        self._beyond: dict[Front, None] = {}  # the same

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, front: "Front") -> bool:
        """It has come. Returns whether there is a place for it."""
        if self._full():
            self._beyond[front] = None
            if len(self._beyond) > self._most_beyond:
                next(iter(self._beyond)).refuse(_FULL)
            return False
        self._waiting[front] = None
        if len(self._waiting) > self._most:
            next(iter(self._waiting)).abort()
        return True

    def leave(self, front: "Front") -> None:
        """It is gone, or somebody else's."""
        self._waiting.pop(front, None)
        self._beyond.pop(front, None)

    def close(self) -> None:
        """Send all away."""
        for front in (*self._waiting, *self._beyond):
            front.abort()


class Front(asyncio.Protocol):
    """Holds a new connection until the head of its request is there, then hands it over whole.

    Bounds: MAX_HEAD_BYTES, answered with 431; HEAD_WITHIN_S, answered with 408. One for which there is no
    place is handed to nobody: within BEYOND_WITHIN_S it is told that the gateway is alive, if it asks, or
    refused with 503.
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
        self._has_place = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the head."""
        self._transport = cast(asyncio.Transport, transport)
        self._has_place = self._lobby.enter(self)
        within_s, late = BEYOND_WITHIN_S, _FULL
        if self._has_place:
            within_s, late = self._head_within_s, b"408 Request Timeout"
        self._late = asyncio.get_running_loop().call_later(within_s, self.refuse, late)

    def data_received(self, data: bytes) -> None:
        """Take what came; hand over once the head is whole."""
        if self._transport is None:
            return  # it was refused
        searched = max(0, len(self._received) - len(_END) + 1)
        self._received += data
        end = self._received.find(_END, searched)
        if (end if end >= 0 else len(self._received)) > MAX_HEAD_BYTES:
            self.refuse(b"431 Request Header Fields Too Large")
        elif end >= 0 and not self._has_place:
            if self._received.startswith(_ASKS_IF_ALIVE):
                self._answer(b"200 OK", b"alive\n")
            else:
                self.refuse(_FULL)
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
        if self._answer(status):
            measuring.answered(int(status.split()[0]))

    def _answer(self, status: bytes, body: bytes = b"") -> bool:
        """Answer and close, if it is still there."""
        transport = self._transport
        self._forget()
        if transport is None or transport.is_closing():
            return False
        transport.write(b"HTTP/1.1 " + status + _headers(transport, body) + body)
        transport.close()
        return True

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


def _headers(transport: asyncio.Transport, body: bytes) -> bytes:
    headers = {**_ALWAYS, "Content-Length": str(len(body)), **transport_headers(transport)}
    return "".join(f"\r\n{name}: {value}" for name, value in headers.items()).encode() + _END


def wants_websocket(head: bytes | bytearray) -> bool:
    """Whether the head of a request asks for an upgrade to WebSocket (RFC 6455, section 4.2.1)."""
    for line in bytes(head).split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"upgrade" and b"websocket" in value.lower():
            return True
    return False
