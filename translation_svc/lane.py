"""One target language of one stream: its segments in order, one after the other."""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from babelcast.errors import BabelcastError, ErrorCode
from babelcast.telemetry import tracing
from babelcast.telemetry.instruments import GENERATED, KIND, LANGUAGE
from translation_svc import failures
from translation_svc.cost import Tally, uncounted
from translation_svc.glossary import Glossary
from translation_svc.governor import VOICE_LAG_S, Governor
from translation_svc.interpreter import Interpreter
from translation_svc.segments import (
    Answer,
    Component,
    Failure,
    Segment,
    Target,
    Tier,
    Translation,
)
from translation_svc.speaking import Speaking
from translation_svc.turns import Urgency

log = logging.getLogger(__name__)

MAX_WAITING = 256
_REMEMBERED_FINALS = 4_096


@dataclass(frozen=True, slots=True)
class _Work:
    segment: Segment
    target: Target
    arrived_s: float


class Lane:
    """Answers one language's segments.

    The queue: finals block the submitter once MAX_WAITING wait (which takes minutes of a dead engine);
    of partials only the newest waits, and none that a final has overtaken; one that is under way then is
    given up, for at a busy engine it may wait for long. A final that was accepted before,
    at this revision or a later one, is not accepted again.
    """

    def __init__(
        self,
        language: str,
        *,
        source: str,
        glossary: Glossary,
        interpreter: Interpreter,
        emit: Callable[[Answer], Awaitable[None]],
        segment_timeout_s: float,
        voice_lag_s: float = VOICE_LAG_S,
        tier: Tier = Tier.STANDARD,
        tally: Tally = uncounted,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`voice_lag_s` is how late a voice may begin after the end of its speech."""
        self.language = language
        self._source = source
        self._glossary = glossary
        self._interpreter = interpreter
        self._emit = emit
        self._segment_timeout_s = segment_timeout_s
        self._tally = tally
        self._clock = clock
        self._speaking = Speaking(
            language,
            interpreter=interpreter,
            emit=emit,
            governor=Governor(voice_lag_s),
            timeout_s=segment_timeout_s,
            tier=tier,
            tally=tally,
            clock=clock,
        )
        self._waiting: deque[_Work] = deque()
        self._finals: OrderedDict[int, int] = OrderedDict()
        self._newest_final = -1
        self._under_way: tuple[int, asyncio.Timeout] | None = None
        """The partial that is being translated, and what gives it up."""
        self._said = (-1, "")
        self._closed = False
        self._changed = asyncio.Condition()

    async def submit(self, segment: Segment, target: Target) -> None:
        """Queue a segment, or leave it out by the rules above. On a closed lane it is left out."""
        async with self._changed:
            if self._is_outdated(segment):
                return
            self._drop_overtaken_partials(segment)
            if segment.is_final:
                self._give_up_partial(segment)
                self._remember(segment)
                await self._changed.wait_for(lambda: self._closed or len(self._waiting) < MAX_WAITING)
            if not self._closed:
                self._waiting.append(_Work(segment, target, self._clock()))
                self._changed.notify_all()

    async def close(self) -> None:
        """No more segments; `run` returns when those that wait are answered."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def run(self) -> None:
        """Answer until closed and empty."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._speaking.run(), name=f"speak {self.language}")
            await self._translate_all()
            self._speaking.close()

    async def _translate_all(self) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._closed or bool(self._waiting))
                if not self._waiting:
                    return
                work = self._waiting.popleft()
                self._changed.notify_all()
            if work.segment.is_final:
                await self._answer(work)
            else:
                await self._answer_partial(work)

    async def _answer_partial(self, work: _Work) -> None:
        """Answer, unless a final overtakes it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as until_overtaken:
                self._under_way = work.segment.number, until_overtaken
                try:
                    await self._answer(work)
                finally:
                    self._under_way = None

    def _give_up_partial(self, final: Segment) -> None:
        if self._under_way is not None and self._under_way[0] <= final.number:
            self._under_way[1].reschedule(asyncio.get_running_loop().time())
            self._under_way = None  # what has been rescheduled to now cannot be again

    def _is_outdated(self, segment: Segment) -> bool:
        if segment.is_final:
            return self._finals.get(segment.number, -1) >= segment.revision
        return segment.number <= self._newest_final

    def _drop_overtaken_partials(self, segment: Segment) -> None:
        self._waiting = deque(
            work
            for work in self._waiting
            if work.segment.is_final or (segment.is_final and work.segment.number > segment.number)
        )

    def _remember(self, segment: Segment) -> None:
        self._finals[segment.number] = segment.revision
        self._newest_final = max(self._newest_final, segment.number)
        if len(self._finals) > _REMEMBERED_FINALS:
            self._finals.popitem(last=False)

    async def _answer(self, work: _Work) -> None:
        segment = work.segment
        with self._traced(segment) as stage:
            try:
                async with self._deadline(work):
                    text = await self._translate(segment)
            except (BabelcastError, TimeoutError) as error:
                tracing.mark(stage.span, error)
                await self._emit(self._failure(segment, error, stage.traceparent))
                return
            await self._emit(
                Translation(
                    *(segment.number, segment.revision, self.language, text, segment.is_final),
                    stage.traceparent,
                )
            )
        if segment.is_final:
            GENERATED.add(1, {LANGUAGE: self.language, KIND: "caption"})
        if segment.is_final and work.target.speak:
            ended_s = work.arrived_s - segment.ended_ago_s
            await self._speaking.put(
                segment, work.target, text, ended_s=ended_s, traceparent=stage.traceparent
            )

    def _traced(self, segment: Segment) -> tracing.Stage:
        return tracing.stage(
            f"translate {self.language}",
            segment.traceparent,
            attributes={tracing.LANGUAGE: self.language, tracing.SEGMENT: segment.number},
        )

    async def _translate(self, segment: Segment) -> str:
        number, context = self._said
        if segment.is_final and segment.number > number:
            self._said = segment.number, segment.text
        return await self._interpreter.translate(
            segment.text,
            source=self._source,
            target=self.language,
            glossary=self._glossary,
            urgency=Urgency.FINAL if segment.is_final else Urgency.PARTIAL,
            tally=self._tally,
            context=context if segment.number > number else "",
        )

    def _deadline(self, work: _Work) -> asyncio.Timeout:
        """From the segment's arrival, so that a lane behind a dead engine does not fall further behind."""
        left = work.arrived_s + self._segment_timeout_s - self._clock()
        return asyncio.timeout(max(left, 0.0))

    def _failure(self, segment: Segment, error: BaseException, traceparent: str) -> Failure:
        component = Component.TRANSLATION
        if segment.is_final:
            failures.count(component, error)
        reason = error.code if isinstance(error, BabelcastError) else ErrorCode.SERVICE_UNAVAILABLE
        log.warning(
            "segment failed",
            extra={"component": component.value, "language": self.language, "error": type(error).__name__},
        )
        return Failure(
            *(segment.number, segment.revision, self.language, component, reason, segment.is_final),
            traceparent,
        )
