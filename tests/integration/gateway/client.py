"""A real WebSocket client for tests: plain JSON, everything that came is kept."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from babelcast.protocol import codec

PATIENCE_S: Final = 10.0
CHUNK: Final = b"\x01\x02" * 1600  # 100 ms at 16 kHz

Message = dict[str, Any]  # JSON of any shape, as it came


class Client:
    """One connection. What `until` passes over stays in `seen`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[Message] = []
        self.binaries: list[bytes] = []
        self._cursor = 0

    @classmethod
    async def open(
        cls, url: str, *, token: str = "", headers: Mapping[str, str] | None = None, **options: Any
    ) -> Self:
        """Connect; a token goes into the Authorization header."""
        headers = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        socket = await connect(
            url,
            additional_headers=headers,
            compression=None,
            open_timeout=PATIENCE_S,
            max_size=None,
            **options,
        )
        return cls(socket)

    async def close(self) -> None:
        """Leave politely."""
        await self.socket.close()

    def drop(self) -> None:
        """Be gone without a word, as when the network breaks."""
        self.socket.transport.abort()

    async def send(self, **fields: object) -> None:
        """Send a JSON object."""
        await self.socket.send(json.dumps(fields))

    async def audio(self, pcm: bytes = CHUNK, **fields: object) -> None:
        """Send audio as JSON."""
        await self.send(action="sendAudio", audioData=base64.b64encode(pcm).decode(), **fields)

    async def ask(self, kind: str, /, **fields: object) -> Message:
        """Send, and wait for the answer of that type."""
        await self.send(**fields)
        return await self.until(kind)

    async def refused(self, **fields: object) -> Message:
        """Send, and wait for the error."""
        return await self.ask("error", **fields)

    async def until(
        self,
        kind: str,
        *,
        where: Callable[[Message], bool] = lambda _: True,
        patience_s: float = PATIENCE_S,
    ) -> Message:
        """The next message of that type, after those that `until` found before."""
        since = self._cursor
        try:
            async with asyncio.timeout(patience_s):
                while True:
                    while self._cursor < len(self.seen):
                        message = self.seen[self._cursor]
                        self._cursor += 1
                        if message["type"] == kind and where(message):
                            return message
                    await self._receive()
        except TimeoutError:
            raise TimeoutError(f"no {kind} within {patience_s} s, but {self.seen[since:]}") from None

    async def fence(self) -> None:
        """Wait until everything that was sent to this connection so far has come."""
        await self.ask("heartbeatAck", action="heartbeat")

    async def closed(self) -> tuple[int | None, str | None]:
        """Read to the end; the close code and reason."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while True:
                    await self._receive()
            except ConnectionClosed:
                return self.socket.close_code, self.socket.close_reason

    def all(self, kind: str) -> list[Message]:
        """Everything of a type that came so far."""
        return [message for message in self.seen if message["type"] == kind]

    async def _receive(self) -> None:
        frame = await self.socket.recv()
        if isinstance(frame, bytes):
            self.binaries.append(frame)
            header = frame[4 : 4 + int.from_bytes(frame[:4], "big")]
            codec.unpack_binary(frame)
            self.seen.append(json.loads(header))
        else:
            codec.decode_server(frame)  # every message is one of the protocol's
            self.seen.append(json.loads(frame))
