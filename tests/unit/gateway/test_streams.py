"""Streams to the stations, as far as nobody answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc
import pytest

from babelcast.errors import ServiceUnavailable
from babelcast.translation.v1 import translation_pb2 as api
from babelcast.translation.v1 import translation_pb2_grpc
from gateway import streams
from gateway.streams import Stations
from tests.measured import Measured

CALLED, METHOD = "babelcast.rpc.client.duration", "TranslationService/StreamingTranslate"


class Silent(translation_pb2_grpc.TranslationServiceServicer):
    """Takes streams and says nothing."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    async def StreamingTranslate(  # noqa: N802 - named by the contract
        self, request_iterator: AsyncIterator[api.StreamingTranslateRequest], context: object
    ) -> AsyncIterator[api.StreamingTranslateResponse]:
        self.came.set()
        await asyncio.Event().wait()
        yield api.StreamingTranslateResponse()


@contextlib.asynccontextmanager
async def silent() -> AsyncIterator[tuple[Silent, Stations]]:
    """A station that does not answer."""
    server = grpc.aio.server()
    station = Silent()  # type: ignore[abstract]  # the other methods are not asked for
    translation_pb2_grpc.add_TranslationServiceServicer_to_server(station, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield station, Stations(channel, channel)
    await server.stop(0)


async def test_a_stream_that_does_not_start_is_timed(
    monkeypatch: pytest.MonkeyPatch, measured: Measured
) -> None:
    """It ends by its deadline, and counts among the calls."""
    monkeypatch.setattr(streams, "OPEN_DEADLINE_S", 0.1)
    async with silent() as (_, stations):
        with pytest.raises(ServiceUnavailable):
            await stations.translate(api.StreamConfig())
    assert measured.times(CALLED, method=METHOD) == 1
    assert measured.times(CALLED, method=METHOD, code="DEADLINE_EXCEEDED") == 1


async def test_a_stream_that_is_given_up_before_it_starts_is_timed(measured: Measured) -> None:
    """Whoever opened it went away."""
    async with silent() as (station, stations):
        opening = asyncio.create_task(stations.translate(api.StreamConfig()))
        await station.came.wait()
        opening.cancel()
        await asyncio.wait([opening])
    assert measured.times(CALLED, method=METHOD, code="CANCELLED") == 1
