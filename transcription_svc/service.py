"""The gRPC face of transcription, and its composition for a process that serves it."""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator
from typing import Self

import grpc

from babelcast import logs
from babelcast.errors import InvalidMessage, InvalidParameter, Moving, UnsupportedLanguage
from babelcast.rpc.credentials import Protection
from babelcast.rpc.server import GrpcServer
from babelcast.telemetry import instruments
from babelcast.transcription.v1 import transcription_pb2 as pb
from babelcast.transcription.v1 import transcription_pb2_grpc as rpc
from transcription_svc.capacity import Capacity
from transcription_svc.composition import load_detector, load_engines
from transcription_svc.config import TranscriptionConfig
from transcription_svc.engines.base import Transcriber
from transcription_svc.listening import ListeningPolicy
from transcription_svc.stream import TranscriptionStream
from transcription_svc.tiers import Engine, Tiers
from transcription_svc.vad import SpeechDetector

log = logging.getLogger(__name__)

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["TranscriptionService"].full_name
_MIN_STABILITY = (0.70, 0.95)
_MAX_BUFFER_S = (2.0, 10.0)
_CONFIG_TIMEOUT_S = 10.0


class TranscriptionServicer(rpc.TranscriptionServiceServicer):
    """Serves streams, each with the engine of its tier."""

    def __init__(
        self,
        *,
        tiers: Tiers,
        detector: SpeechDetector,
        capacity: Capacity,
        listening: ListeningPolicy | None = None,
    ) -> None:
        self._tiers = tiers
        self._detector = detector
        self._listening = listening or ListeningPolicy()
        self._capacity = capacity
        self._draining = asyncio.Event()
        self._tell_capacity()

    def drain(self) -> None:
        """Take no more streams; those that are open end after their open segment, with Moving."""
        self._draining.set()

    @property
    def max_streams(self) -> int:
        """Streams that can be open at once if further ones are of the standard tier."""
        return self._capacity.limit(self._tiers.standard.cores_per_stream())

    async def StreamingTranscribe(  # noqa: N802 - named by the contract
        self,
        request_iterator: AsyncIterator[pb.StreamingTranscribeRequest],
        context: grpc.aio.ServicerContext[pb.StreamingTranscribeRequest, pb.StreamingTranscribeResponse],  # noqa: ARG002
    ) -> AsyncIterator[pb.StreamingTranscribeResponse]:
        """One stream.

        Raises: InvalidMessage, InvalidParameter, InvalidAudioFormat, UnsupportedLanguage, CapacityExhausted,
        Moving.
        """
        if self._draining.is_set():
            raise Moving
        config = await self._config(request_iterator)
        logs.bind(session=config.session_id)
        engine = await self._tiers.pick(config.quality_tier, config.language)
        try:
            with self._capacity.place(engine.cores_per_stream()):
                self._tell_capacity()
                stream = TranscriptionStream(
                    config,
                    transcriber=engine.transcriber,
                    detector=self._detector,
                    listening=self._listening,
                    draining=self._draining,
                )
                log.info("stream opened", extra={"language": config.language, "open": self._capacity.open})
                async for response in stream.responses(request_iterator):
                    yield response
        finally:
            self._tell_capacity()
        log.info("stream closed", extra={"open": self._capacity.open})

    async def GetCapabilities(  # noqa: N802 - named by the contract
        self,
        request: pb.GetCapabilitiesRequest,  # noqa: ARG002
        context: grpc.aio.ServicerContext[pb.GetCapabilitiesRequest, pb.GetCapabilitiesResponse],  # noqa: ARG002
    ) -> pb.GetCapabilitiesResponse:
        """What this replica can do."""
        capabilities = self._tiers.standard.transcriber.capabilities
        return pb.GetCapabilitiesResponse(
            languages=capabilities.languages,
            max_streams=self.max_streams,
            open_streams=self._capacity.open,
            engine=capabilities.name,
            partial_results=capabilities.partial_results,
            word_times=capabilities.word_times,
            has_premium=self._tiers.has_premium,
            load=self._capacity.load,
        )

    def _tell_capacity(self) -> None:
        instruments.STREAMS_OPEN.set(self._capacity.open)
        instruments.STREAMS_LIMIT.set(self.max_streams)
        instruments.LOAD.set(self._capacity.load)

    async def _config(self, requests: AsyncIterator[pb.StreamingTranscribeRequest]) -> pb.StreamConfig:
        try:
            async with asyncio.timeout(_CONFIG_TIMEOUT_S):
                first = await anext(aiter(requests), None)
        except TimeoutError as error:
            raise InvalidMessage("No config came.") from error
        if first is None or first.WhichOneof("payload") != "config":
            raise InvalidMessage("A stream begins with its config.")
        config = first.config
        languages = self._tiers.standard.transcriber.capabilities.languages
        if config.language not in languages:
            raise UnsupportedLanguage(config.language, available=languages)
        _between("minStability", config.min_stability, *_MIN_STABILITY)
        _between("maxBufferTimeout", config.max_buffer_timeout_s, *_MAX_BUFFER_S)
        return config


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InvalidParameter(name, f"{low} to {high}.")


@dataclasses.dataclass(slots=True)
class TranscriptionService:
    """The running service: engine, server, health. Made by `create_service`."""

    config: TranscriptionConfig
    _server: GrpcServer
    _servicer: TranscriptionServicer
    _tiers: Tiers
    port: int = 0

    async def start(self) -> int:
        """Listen and say SERVING; returns the port.

        Raises: ServiceUnavailable when the address is taken.
        """
        self.port = await self._server.start()
        await self._server.set_serving(serving=True)
        log.info("transcription service listens", extra={"port": self.port})
        return self.port

    @property
    def max_streams(self) -> int:
        """Streams that can be served live at once."""
        return self._servicer.max_streams

    async def wait(self) -> None:
        """Wait until the server has stopped."""
        await self._server.wait()

    async def aclose(self, *, grace_s: float | None = None) -> None:
        """Drain within `grace_s` (from the configuration if None), then free the engine; idempotent."""
        self._servicer.drain()
        await self._server.stop(grace_s=self.config.drain_seconds if grace_s is None else grace_s)
        await self._tiers.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def create_service(
    config: TranscriptionConfig,
    *,
    transcriber: Transcriber | None = None,
    detector: SpeechDetector | None = None,
    protection: Protection | None = None,
) -> TranscriptionService:
    """Load the engine (about 3 s, off the event loop) and put the service together; it does not listen yet.

    `protection` says who may call.
    Raises: ServiceUnavailable when the engine is not installed; ConfigError when anybody could call.
    """
    if transcriber is None:
        tiers, capacity = await asyncio.to_thread(load_engines, config)
    else:
        tiers, capacity = Tiers(Engine(transcriber)), Capacity(limit=config.max_streams)
    if detector is None:
        detector = await asyncio.to_thread(load_detector, config)
    server = GrpcServer(
        config.transcription_bind,
        services=[SERVICE_NAME],
        reflection_enabled=config.grpc_reflection,
        protection=protection,
    )
    servicer = TranscriptionServicer(
        tiers=tiers,
        detector=detector,
        capacity=capacity,
        listening=config.listening,
    )
    rpc.add_TranscriptionServiceServicer_to_server(servicer, server.server)
    return TranscriptionService(config, server, servicer, tiers)
