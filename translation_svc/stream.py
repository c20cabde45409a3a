"""One stream: segments in, answers out, a lane for each target language."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass

from babelcast.errors import ErrorCode, Moving, ServiceUnavailable, UnsupportedLanguage
from translation_svc.cost import Tally, uncounted
from translation_svc.glossary import Glossary
from translation_svc.governor import VOICE_LAG_S
from translation_svc.interpreter import Interpreter
from translation_svc.lane import Lane
from translation_svc.segments import Answer, Component, Failure, Segment, Target, Tier

FINISH_S = 5.0
"""How long what is open may take when the service is to stop; its owner sends the rest to another replica."""


class StreamCut(Exception):
    """The other side went away without an end: what is open needs no answer."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What a stream was opened with."""

    source: str
    glossary: Glossary
    segment_timeout_s: float
    voice_lag_s: float = VOICE_LAG_S
    tier: Tier = Tier.STANDARD
    translates_partials: Callable[[str], bool] = lambda _target: True
    """Whether partial segments are translated into a language."""


class Stream:
    """Spreads segments over lanes.

    Translations of one language come in the order of its segments, and so do its voices. Lanes share nothing
    but the way out, so no language waits for another's engine.
    """

    def __init__(
        self,
        settings: StreamSettings,
        *,
        interpreter: Interpreter,
        emit: Callable[[Answer], Awaitable[None]],
        draining: asyncio.Event,
        tally: Tally = uncounted,
    ) -> None:
        """`tally` is told what engines do for the stream.

        Raises: UnsupportedLanguage when nothing is spoken from the source, ServiceUnavailable when the
        engines have not told yet what there is.
        """
        targets = interpreter.targets(settings.source)
        if not interpreter.sources():
            raise ServiceUnavailable("No translation engine is ready.")
        if not targets:
            raise UnsupportedLanguage(settings.source, available=interpreter.sources())
        self._settings = settings
        self._targets = frozenset((*targets, settings.source))
        self._interpreter = interpreter
        self._emit = emit
        self._draining = draining
        self._tally = tally
        self._lanes: dict[str, Lane] = {}
        self._lane_tasks: list[asyncio.Task[None]] = []

    async def run(self, segments: AsyncIterator[Segment]) -> None:
        """Answer all of `segments`.

        Raises (in an ExceptionGroup): what `segments` raises, StreamCut among it, after dropping open work;
        Moving when the service drains, after finishing it within FINISH_S.
        """
        self._interpreter.warm(self._settings.source, None)
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(self._drain(), name="drain")
            async for segment in segments:
                for target in segment.targets:
                    await self._submit(segment, target, group)
            for lane in self._lanes.values():
                await lane.close()
            await asyncio.gather(*self._lane_tasks)
            drain.cancel()

    def expect(self, languages: Iterable[str]) -> None:
        """Make the engines of languages ready, as far as they are available."""
        for language in self._targets.intersection(languages):
            self._interpreter.warm(self._settings.source, language)

    async def _submit(self, segment: Segment, target: Target, group: asyncio.TaskGroup) -> None:
        if target.language not in self._targets:
            await self._emit(_unsupported(segment, target))
            return
        if not segment.is_final and not self._settings.translates_partials(target.language):
            return
        lane = self._lanes.get(target.language)
        if lane is None:
            if self._draining.is_set():
                return
            lane = self._open_lane(target.language, group)
        await lane.submit(segment, target)

    def _open_lane(self, language: str, group: asyncio.TaskGroup) -> Lane:
        self._interpreter.warm(self._settings.source, language)
        lane = Lane(
            language,
            source=self._settings.source,
            glossary=self._settings.glossary,
            interpreter=self._interpreter,
            emit=self._emit,
            segment_timeout_s=self._settings.segment_timeout_s,
            voice_lag_s=self._settings.voice_lag_s,
            tier=self._settings.tier,
            tally=self._tally,
        )
        self._lanes[language] = lane
        self._lane_tasks.append(group.create_task(lane.run(), name=f"lane {language}"))
        return lane

    async def _drain(self) -> None:
        await self._draining.wait()
        for lane in self._lanes.values():
            await lane.close()
        if self._lane_tasks:
            await asyncio.wait(self._lane_tasks, timeout=FINISH_S)
        raise Moving


def _unsupported(segment: Segment, target: Target) -> Failure:
    return Failure(
        segment.number,
        segment.revision,
        target.language,
        Component.TRANSLATION,
        ErrorCode.UNSUPPORTED_LANGUAGE,
        segment.is_final,
    )
