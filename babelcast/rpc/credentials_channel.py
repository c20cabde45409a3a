"""A channel that shows what its caller has to show, and follows the files of certificates."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self, TypeAlias, cast

import grpc

from babelcast.rpc.credentials import HEADER, SCHEME, Calling
from babelcast.rpc.tls import channel_credentials

LET_GO_S: Final = 3 * 3600.0
"""How long calls that are under way may keep a connection with an older certificate: longer than a talk."""

log = logging.getLogger(__name__)

_Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]
_Codec: TypeAlias = Callable[..., object]
_Callable: TypeAlias = Callable[..., object]


class CredentialedChannel(grpc.aio.Channel):
    """Is used like any channel. When the certificate has changed, calls that begin from then on go over a new
    connection; those under way stay where they are.
    """

    def __init__(self, target: str, calling: Calling, options: Sequence[tuple[str, object]]) -> None:
        self._target = target
        self._calling = calling
        self._options = options
        self._shown = None if calling.files is None else calling.files.current()
        self._channel = self._open()
        self._generation = 0
        self._leaving: set[asyncio.Task[None]] = set()
        self._metadata: _Metadata = ((HEADER, f"{SCHEME}{calling.token}"),) if calling.token else ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """End everything; calls under way have `grace` seconds."""
        for leaving in tuple(self._leaving):
            leaving.cancel()
        await self._channel.close(grace)
        if self._leaving:
            await asyncio.wait(self._leaving)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Of the newest connection."""
        return self._newest().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Of the newest connection."""
        await self._newest().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until there is a connection."""
        await self._newest().channel_ready()

    def unary_unary(self, *names: object, **codecs: object) -> object:  # type: ignore[override]
        """See the base class, as for all four."""
        return self._method("unary_unary", names, codecs)

    def unary_stream(self, *names: object, **codecs: object) -> object:  # type: ignore[override]
        """See the base class."""
        return self._method("unary_stream", names, codecs)

    def stream_unary(self, *names: object, **codecs: object) -> object:  # type: ignore[override]
        """See the base class."""
        return self._method("stream_unary", names, codecs)

    def stream_stream(self, *names: object, **codecs: object) -> object:  # type: ignore[override]
        """See the base class."""
        return self._method("stream_stream", names, codecs)

    def _method(self, kind: str, names: Sequence[object], codecs: dict[str, object]) -> _Callable:
        generation, inner = -1, cast(_Callable, None)

        def call(*arguments: object, metadata: _Metadata | None = None, **options: object) -> object:
            nonlocal generation, inner
            channel = self._newest()
            if generation != self._generation:
                generation, inner = self._generation, getattr(channel, kind)(*names, **codecs)
            return inner(*arguments, metadata=(*(metadata or ()), *self._metadata) or None, **options)

        return call

    def _newest(self) -> grpc.aio.Channel:
        """The channel for what begins now."""
        files = self._calling.files
        if files is not None and (pem := files.current()) is not self._shown:
            self._shown = pem
            old, self._channel = self._channel, self._open()
            self._generation += 1
            leaving = asyncio.create_task(_leave(old), name="old-channel")
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
            log.info("new certificate for calls", extra={"target": self._target})
        return self._channel

    def _open(self) -> grpc.aio.Channel:
        if self._shown is None:
            return grpc.aio.insecure_channel(self._target, options=self._options)
        return grpc.aio.secure_channel(self._target, channel_credentials(self._shown), options=self._options)


async def _leave(channel: grpc.aio.Channel) -> None:
    """Close a channel once nothing is under way on it."""
    try:
        await channel.close(LET_GO_S)
    finally:
        await channel.close()
