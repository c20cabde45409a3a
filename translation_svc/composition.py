"""Puts the service together; nothing else knows which engines there are."""

import asyncio
import contextlib
import logging
from pathlib import Path

from babelcast.channel import Channel
from babelcast.rpc.server import GrpcServer
from babelcast.translation.v1 import translation_pb2_grpc
from translation_svc.cache import Cache
from translation_svc.chain import Chain
from translation_svc.config import TranslationConfig
from translation_svc.failures import EngineFailure
from translation_svc.interpreter import EngineInterpreter
from translation_svc.routes import Routes, Step
from translation_svc.service import SERVICE_NAME, TranslationServicer
from translation_svc.translators.apertium import ApertiumTranslator, installed_modes
from translation_svc.translators.base import Translator
from translation_svc.translators.bergamot import BergamotTranslator
from translation_svc.translators.models import installed_models
from translation_svc.voices.espeak import EspeakVoice
from translation_svc.worker import Deadlines

_RETRY_S = 5.0

log = logging.getLogger(__name__)


class TranslationApp:
    """The service in this process: `start`, then `aclose`. Made inside a running event loop.

    Engines run in processes of their own, which end with this one however it ends.
    """

    def __init__(self, config: TranslationConfig) -> None:
        self._config = config
        deadlines = Deadlines(
            start_s=config.translation_start_timeout_seconds, call_s=config.translation_call_timeout_seconds
        )
        models = installed_models(Path(config.models_dir) if config.models_dir else None)
        modes = installed_modes(Path(config.apertium_modes_dir))
        self._rests: Channel[float] = Channel(1)
        self.bergamot = BergamotTranslator(models, deadlines=deadlines, on_rest=self._models_rest)
        self.apertium = ApertiumTranslator(modes, deadlines=deadlines)
        self.voice = EspeakVoice(deadlines=deadlines)
        engines: dict[str, Translator] = {engine.name: engine for engine in (self.bergamot, self.apertium)}
        self._cache: Cache[tuple[Step, str], str] = Cache(
            capacity=config.translation_cache_size, ttl_s=config.translation_cache_ttl_seconds
        )
        self.interpreter = EngineInterpreter(
            routes=Routes.between({name: engine.pairs for name, engine in engines.items()}),
            chain=Chain(engines, self._cache),
            voice=self.voice,
        )
        self._health: asyncio.Task[None] | None = None
        self._servicer = TranslationServicer(
            self.interpreter,
            max_streams=config.translation_max_streams,
            segment_timeout_s=config.translation_segment_timeout_seconds,
        )
        self._server = GrpcServer(
            config.translation_bind, services=[SERVICE_NAME], reflection_enabled=config.grpc_reflection
        )
        translation_pb2_grpc.add_TranslationServiceServicer_to_server(self._servicer, self._server.server)

    async def start(self) -> int:
        """Start the engines that every session needs, then listen; returns the port.

        A broken engine does not stop the rest: its languages fail one by one, and health says so.
        Raises: ServiceUnavailable when the address is taken.
        """
        port = await self._server.start()
        outcomes = await asyncio.gather(self._warm_models(), self.voice.warm(), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, EngineFailure):
                log.error("engine does not start", extra={"engine": outcome.engine})
            elif isinstance(outcome, BaseException):
                raise outcome
        broken = isinstance(outcomes[0], BaseException)
        await self._server.set_serving(serving=bool(self.interpreter.routes.sources) and not broken)
        self._health = asyncio.create_task(self._keep_health(), name="translation health")
        if broken:
            self._models_rest(_RETRY_S)
        log.info("translation service listens", extra={"port": port})
        return port

    @property
    def port(self) -> int:
        """The port that it listens on, once started."""
        return self._server.port

    async def wait(self) -> None:
        """Wait until the server has stopped."""
        await self._server.wait()

    async def aclose(self) -> None:
        """Drain the streams, stop listening, end the engines; idempotent."""
        self._servicer.drain()
        self._rests.close()
        if self._health is not None:
            self._health.cancel()
            await asyncio.wait([self._health])
        await self._server.stop(grace_s=self._config.drain_seconds)
        await self._servicer.aclose()
        await self.interpreter.aclose()
        await self._cache.aclose()
        async with contextlib.AsyncExitStack() as stack:
            for engine in (self.bergamot, self.apertium, self.voice):
                stack.push_async_callback(engine.aclose)

    async def _keep_health(self) -> None:
        """While the models' process rests, health says NOT_SERVING; after the rest it is tried again.

        Apertium and the voice are not watched: without them some languages fail, and the others are served.
        """
        async for rest_s in self._rests:
            await self._server.set_serving(serving=False)
            await asyncio.sleep(rest_s)
            try:
                await self._warm_models()
            except EngineFailure:
                self._models_rest(_RETRY_S)
            else:
                await self._server.set_serving(serving=True)

    def _models_rest(self, rest_s: float) -> None:
        if not self._rests.closed:
            self._rests.send_dropping_oldest(rest_s)

    async def _warm_models(self) -> None:
        """Load the models of which routes from English and into English are made."""
        for pair in self.bergamot.pairs:
            if "en" in (pair.source, pair.target):
                await self.bergamot.warm(pair)
