"""Puts the service together; nothing else knows which engines there are."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

from babelcast import prices, scripted
from babelcast.channel import Channel
from babelcast.rpc.credentials import Protection
from babelcast.rpc.server import GrpcServer
from babelcast.translation.v1 import translation_pb2_grpc
from translation_svc import glossary_file
from translation_svc.aws import AwsSettings
from translation_svc.cache import Cache
from translation_svc.cache_table import CALL_TIMEOUT_S, TableShelf
from translation_svc.chain import Chain
from translation_svc.config import TranslationConfig
from translation_svc.editions import Editions, files_of, fingerprints, of_program
from translation_svc.failures import EngineFailure
from translation_svc.interpreter import EngineInterpreter
from translation_svc.routes import Routes
from translation_svc.service import SERVICE_NAME, TranslationServicer
from translation_svc.translators.amazon import AmazonTranslator
from translation_svc.translators.apertium import ApertiumTranslator, installed_modes
from translation_svc.translators.base import Translator
from translation_svc.translators.bergamot import BergamotTranslator
from translation_svc.translators.models import installed_models
from translation_svc.translators.scripted import ScriptedTranslator
from translation_svc.voices import espeak
from translation_svc.voices.base import Voice
from translation_svc.voices.espeak import EspeakVoice
from translation_svc.voices.pico import PicoVoice
from translation_svc.voices.polly import PollyVoice
from translation_svc.voices.polly_voices import read_wanted
from translation_svc.voices.scripted import ScriptedVoice
from translation_svc.voices.tiered import TieredVoice
from translation_svc.worker import Deadlines

_RETRY_S = 5.0

log = logging.getLogger(__name__)


class TranslationApp:
    """The service in this process: `start`, then `aclose`. Made inside a running event loop.

    Embedded engines run in processes of their own, which are started when first needed and end with this one
    however it ends. The others are clients of services elsewhere, opened when first needed.
    """

    def __init__(self, config: TranslationConfig, *, protection: Protection | None = None) -> None:
        """`protection` says who may call. Raises: ConfigError when anybody could."""
        self._config = config
        deadlines = Deadlines(
            start_s=config.translation_start_timeout_seconds, call_s=config.translation_call_timeout_seconds
        )
        models = installed_models(Path(config.models_dir) if config.models_dir else None)
        modes = installed_modes(Path(config.apertium_modes_dir))
        self._rests: Channel[float] = Channel(1)
        self.bergamot = BergamotTranslator(models, deadlines=deadlines, on_rest=self._models_rest)
        self.apertium = ApertiumTranslator(modes, deadlines=deadlines)
        chosen = espeak.read_wanted(config.espeak_voices)
        self.espeak = EspeakVoice(deadlines=deadlines, processes=config.espeak_processes, wanted=chosen)
        self.pico = PicoVoice(deadlines=deadlines)
        aws = AwsSettings(
            region=config.aws_region,
            start_timeout_s=config.translation_start_timeout_seconds,
            call_timeout_s=config.translation_call_timeout_seconds,
            max_concurrency=config.aws_max_concurrency,
        )
        self.amazon = AmazonTranslator(settings=aws, terminology=config.translate_terminology)
        self.polly = PollyVoice(
            settings=aws,
            wanted=read_wanted(config.polly_voices),
            premium_engine=config.polly_premium_engine,
        )
        self._translators = self._chosen_translators()
        self.voice = self._chosen_voice(chosen)
        self._shelf = _shelf(config)
        self._cache = Cache(
            capacity=config.translation_cache_max_entries,
            ttl_s=config.translation_cache_ttl_seconds,
            shelf=self._shelf,
        )
        self._editions = Editions({"amazon": config.translate_terminology})
        self._files = files_of(models, modes) if config.translation_engine == "embedded" else {}
        self.interpreter = EngineInterpreter(
            routes=self._routes(),
            chain=Chain(
                {engine.name: engine for engine in self._translators}, self._cache, edition=self._editions.of
            ),
            voice=self.voice,
        )
        self._health: asyncio.Task[None] | None = None
        self._servicer = TranslationServicer(
            self.interpreter,
            max_streams=config.translation_max_streams,
            segment_timeout_s=config.translation_segment_timeout_seconds,
            voice_lag_s=config.voice_lag_max_seconds,
            prices=prices.load(config.prices_file),
            glossary=glossary_file.load(config.glossary_file),
            translates_partials=self._translates_partials,
        )
        self._server = GrpcServer(
            config.translation_bind,
            services=[SERVICE_NAME],
            reflection_enabled=config.grpc_reflection,
            protection=protection,
        )
        translation_pb2_grpc.add_TranslationServiceServicer_to_server(self._servicer, self._server.server)

    async def start(self) -> int:
        """Start the engines that every session needs, then listen; returns the port.

        A broken engine does not stop the rest: its languages fail one by one, and health says so.
        Raises: ServiceUnavailable when the address is taken.
        """
        if self._shelf is not None:
            self._editions.add(await asyncio.to_thread(fingerprints, self._files))
            self._shelf.start()
        port = await self._server.start()
        outcomes = await asyncio.gather(self._warm_translators(), self.voice.warm(), return_exceptions=True)
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
        if self._shelf is not None:
            await self._shelf.aclose()
        async with contextlib.AsyncExitStack() as stack:
            for engine in (self.bergamot, self.apertium, self.espeak, self.pico, self.amazon, self.polly):
                stack.push_async_callback(engine.aclose)

    async def _keep_health(self) -> None:
        """While the models' process rests, or Amazon does not say what it translates, health says
        NOT_SERVING; after the rest it is tried again.

        Apertium and the voice are not watched: without them some languages fail, and the others are served.
        """
        async for rest_s in self._rests:
            await self._server.set_serving(serving=False)
            await asyncio.sleep(rest_s)
            try:
                await self._warm_translators()
            except EngineFailure:
                self._models_rest(_RETRY_S)
            else:
                await self._server.set_serving(serving=True)

    def _models_rest(self, rest_s: float) -> None:
        if not self._rests.closed:
            self._rests.send_dropping_oldest(rest_s)

    def _translates_partials(self, source: str, target: str) -> bool:
        if self._config.translation_partials == "auto":
            charged = {engine.name for engine in self._translators if engine.capabilities.is_charged}
            route = self.interpreter.routes.find(source, target) or ()
            return charged.isdisjoint(step.engine for step in route)
        return self._config.translation_partials == "always"

    def _chosen_translators(self) -> tuple[Translator, ...]:
        match self._config.translation_engine:
            case "amazon":
                return (self.amazon,)
            case "scripted":
                log.warning(scripted.NOTICE)
                return (ScriptedTranslator(delay_s=self._config.scripted_delay_seconds),)
            case _:
                return (self.bergamot, self.apertium)

    def _chosen_voice(self, chosen: Mapping[str, str]) -> Voice:
        match self._config.voice_engine:
            case "polly":
                return self.polly
            case "scripted":
                return ScriptedVoice()
            case _:
                return self._local_voice(chosen)

    def _local_voice(self, chosen: Mapping[str, str]) -> Voice:
        """`chosen` are the voices of espeak-ng that the deployment names, by language."""
        if self._config.pico_for == "nobody":
            return self.espeak
        for_all = self._config.pico_for == "everybody"
        return TieredVoice(usual=self.espeak, better=self.pico, for_all=for_all, kept=chosen.keys())

    def _routes(self) -> Routes:
        return Routes.between({engine.name: engine.pairs for engine in self._translators})

    async def _warm_translators(self) -> None:
        """Have ready what routes from English and into English are made of. Raises: EngineFailure."""
        if self.amazon in self._translators:
            await self.amazon.warm_all()
            self.interpreter.routes = self._routes()
        if self.bergamot not in self._translators:
            return
        for pair in self.bergamot.pairs:
            if "en" in (pair.source, pair.target):
                await self.bergamot.warm(pair)


def _shelf(config: TranslationConfig) -> TableShelf | None:
    if not config.translation_cache_table_name:
        return None
    return TableShelf(
        config.translation_cache_table_name,
        settings=AwsSettings(
            region=config.aws_region,
            start_timeout_s=config.translation_start_timeout_seconds,
            call_timeout_s=CALL_TIMEOUT_S,
            max_concurrency=config.aws_max_concurrency,
        ),
        edition=of_program(),
    )
