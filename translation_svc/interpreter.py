"""What a stream's lanes ask for: text, voice and Opus, from engines that all streams share."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Protocol, TypeVar

from babelcast.errors import UnsupportedLanguage
from babelcast.telemetry import tracing
from babelcast.telemetry.instruments import ENGINE, SPEECH_DURATION
from translation_svc import opus
from translation_svc.chain import Chain
from translation_svc.cost import Tally, Use, uncounted
from translation_svc.glossary import Glossary
from translation_svc.routes import Route, Routes, Step
from translation_svc.segments import Clip, Component, Prosody, Tier
from translation_svc.turns import Urgency
from translation_svc.voices.base import Voice

ResultT = TypeVar("ResultT")

_OPUS_THREADS = 1
_VOICE_SAMPLE_RATE_HZ = 16_000


class Interpreter(Protocol):
    """The port between streams and engines."""

    def sources(self) -> list[str]:
        """Languages that can be spoken here, sorted."""
        ...

    def targets(self, source: str) -> list[str]:
        """Languages that `source` can be heard in, sorted; empty when it cannot be spoken here."""
        ...

    def voices(self, language: str) -> list[str]:
        """Names of the voices of a language, the usual one first; empty when it has none."""
        ...

    def warm(self, source: str, target: str | None) -> None:
        """Begin to start what `target` needs; with None, what several targets need."""
        ...

    async def translate(
        self,
        text: str,
        *,
        source: str,
        target: str,
        glossary: Glossary,
        urgency: Urgency,
        tally: Tally = uncounted,
        context: str = "",
    ) -> str:
        """`context` is what was said before. Raises: UnsupportedLanguage, EngineFailure."""
        ...

    async def speak(
        self,
        text: str,
        *,
        language: str,
        prosody: Prosody,
        tier: Tier = Tier.STANDARD,
        tally: Tally = uncounted,
    ) -> Clip:
        """Raises: EngineFailure."""
        ...

    async def opus(self, clip: Clip) -> bytes:
        """The clip as Ogg Opus."""
        ...


class EngineInterpreter:
    """Interprets with the installed engines.

    Work that has begun at an engine goes on when its stream is cut: ending an engine in mid-sentence would
    make every other stream wait for its restart.
    """

    def __init__(self, *, routes: Routes, chain: Chain, voice: Voice) -> None:
        self.routes = routes
        self._chain = chain
        self._voice = voice
        self._opus_threads = asyncio.Semaphore(_OPUS_THREADS)
        self._tasks: set[asyncio.Task[object]] = set()
        self._warmed: set[Step] = set()

    def sources(self) -> list[str]:
        """Languages that can be spoken here."""
        return sorted(self.routes.sources)

    def targets(self, source: str) -> list[str]:
        """Languages that `source` can be heard in."""
        return self.routes.targets(source)

    def voices(self, language: str) -> list[str]:
        """Names of the voices of a language."""
        return self._voice.names(language)

    def warm(self, source: str, target: str | None) -> None:
        """Begin to start engines, each once."""
        route = self.routes.shared_steps(source) if target is None else self.routes.find(source, target)
        cold = tuple(step for step in route or () if step not in self._warmed)
        if cold:
            self._warmed.update(cold)
            self._own(self._chain.warm(cold), name="warm engines")

    async def translate(
        self,
        text: str,
        *,
        source: str,
        target: str,
        glossary: Glossary,
        urgency: Urgency,
        tally: Tally = uncounted,
        context: str = "",
    ) -> str:
        """Text in `target`."""
        route: Route | None = self.routes.find(source, target)
        if route is None:
            raise UnsupportedLanguage(target, available=self.targets(source), source=source)
        return await self._chain.translate(
            text, route, target=target, glossary=glossary, urgency=urgency, tally=tally, context=context
        )

    async def speak(
        self,
        text: str,
        *,
        language: str,
        prosody: Prosody,
        tier: Tier = Tier.STANDARD,
        tally: Tally = uncounted,
    ) -> Clip:
        """Text as sound; an empty clip when there is nothing to say."""
        if not any(map(str.isalnum, text)):
            return Clip(b"", _VOICE_SAMPLE_RATE_HZ)

        async def say() -> Clip:
            began_s = time.perf_counter()
            with tracing.stage("voice") as stage:
                clip = await self._voice.speak(text, language=language, prosody=prosody, tier=tier)
                stage.span.set_attribute(tracing.ENGINE, clip.engine)
            SPEECH_DURATION.record(time.perf_counter() - began_s, {ENGINE: clip.engine})
            tally(Use(Component.SPEECH, clip.engine, language, clip.characters))
            return clip

        speaking = self._own(say(), name="speak")
        return await asyncio.shield(speaking)

    async def opus(self, clip: Clip) -> bytes:
        """The clip as Ogg Opus, encoded in a thread, one at a time."""
        with tracing.stage("opus"):
            async with self._opus_threads:
                return await asyncio.to_thread(opus.encode, clip)

    async def aclose(self) -> None:
        """End what is under way; the engines belong to the composition."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _own(self, work: Coroutine[object, object, ResultT], *, name: str) -> asyncio.Task[ResultT]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._disown)
        return task

    def _disown(self, task: asyncio.Task[ResultT]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen here, should nobody be left to see it
