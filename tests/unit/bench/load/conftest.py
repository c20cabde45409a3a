"""A server that keeps to the protocol as far as a test lets it."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed


@dataclass(slots=True)
class Broadcaster:
    """Seats whoever asks, and says what the test says. `refuse` answers are given before a seat."""

    refuse: list[str] = field(default_factory=list)
    seats: list[ServerConnection] = field(default_factory=list)
    asked: list[dict[str, object]] = field(default_factory=list)
    history: list[tuple[int, str | bytes]] = field(default_factory=list)
    number: int = 0
    url: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, connection: ServerConnection) -> None:
        """One connection."""
        try:
            async for frame in connection:
                message = json.loads(frame)
                self.asked.append(message)
                if message["action"] in {"joinSession", "refreshConnection"}:
                    await self._seat(connection, message)
                self.changed.set()
        except ConnectionClosed:
            pass
        finally:
            if connection in self.seats:
                self.seats.remove(connection)

    async def seated(self, count: int) -> None:
        """Wait for so many."""
        async with asyncio.timeout(10):
            while len(self.seats) < count:
                self.changed.clear()
                await self.changed.wait()

    async def say(self, segment: int, *, without: int | None = None, twice: bool = False) -> None:
        """A caption and its voice, to all but one, or twice."""
        self.number += 1
        now = round(time.time() * 1000)
        caption = json.dumps(
            {"type": "caption", "timestamp": now, "segmentId": str(segment), "text": "é", "isFinal": True}
        )
        header = json.dumps(
            {
                "type": "translatedAudio",
                "timestamp": now,
                "segmentId": str(segment),
                "sequenceNumber": self.number,
                "timing": {"sent": 250},
            }
        ).encode()
        voice = len(header).to_bytes(4, "big") + header + bytes(3000)
        self.history += [(self.number, caption), (self.number, voice)]
        for place, seat in enumerate(tuple(self.seats)):
            if place != without:
                for frame in (caption, voice) * (2 if twice else 1):
                    with contextlib.suppress(ConnectionClosed):
                        await seat.send(frame)

    async def tell(self, **fields: object) -> None:
        """Anything, to all who are still there."""
        for seat in tuple(self.seats):
            with contextlib.suppress(ConnectionClosed):
                await seat.send(json.dumps({"timestamp": round(time.time() * 1000), **fields}))

    async def _seat(self, connection: ServerConnection, message: dict[str, object]) -> None:
        if self.refuse:
            await connection.send(json.dumps({"type": "error", "code": self.refuse.pop(0)}))
            return
        back = message["action"] == "refreshConnection"
        kind = "connectionRefreshComplete" if back else "sessionJoined"
        answer = {"type": kind, "resumeToken": "t", "lastSequenceNumber": self.number}
        await connection.send(json.dumps(answer))
        for number, frame in self.history:
            if back and number > int(str(message["lastSequenceNumber"])):
                await connection.send(frame)
        self.seats.append(connection)


@pytest.fixture
async def broadcaster() -> AsyncIterator[Broadcaster]:
    """Running on a port of its own."""
    made = Broadcaster()
    server: Server
    async with serve(made.serve, "127.0.0.1", 0) as server:
        made.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield made
