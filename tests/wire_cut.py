"""A way over TCP that a test can cut, silence, and mend."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self


class CuttableWire:
    """A proxy on a port of its own in front of a server of this machine."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._open = True
        self._muted = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @classmethod
    @asynccontextmanager
    async def to(cls, target_port: int) -> AsyncIterator[Self]:
        """A wire that is there until the end of the block."""
        wire = cls(target_port)
        server = await asyncio.start_server(wire._on_connection, "127.0.0.1", 0)
        wire.port = server.sockets[0].getsockname()[1]
        try:
            yield wire
        finally:
            server.close()
            wire.cut()
            if wire._tasks:
                await asyncio.wait(wire._tasks)
            await server.wait_closed()

    @property
    def url(self) -> str:
        """For BUS_URL."""
        return f"nats://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break all connections, and take none until it is mended."""
        self._open = False
        for writer in tuple(self._writers):
            writer.transport.abort()

    def mute(self) -> None:
        """Let nothing of what the server says through, until it is mended."""
        self._muted = True

    def mend(self) -> None:
        """Let everything through that comes on new connections."""
        self._open, self._muted = True, False

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if not self._open:
            writer.transport.abort()
            return
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()  # the server is not there just now
            return
        self._writers |= {writer, to_server}
        try:
            await asyncio.gather(
                self._pump(reader, to_server, from_the_server=False),
                self._pump(from_server, writer, from_the_server=True),
            )
        finally:
            self._writers -= {writer, to_server}
            for end in (writer, to_server):
                end.close()
                with suppress(OSError):
                    await end.wait_closed()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_the_server: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if from_the_server and self._muted:
                    continue
                writer.write(data)
                await writer.drain()
        writer.close()
