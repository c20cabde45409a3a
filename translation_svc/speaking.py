"""The voice of one lane: texts in order, each spoken, merged with its neighbours, or spoken over."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from babelcast.errors import BabelcastError, ErrorCode
from babelcast.telemetry import tracing
from babelcast.telemetry.instruments import GENERATED, KIND, LANGUAGE, OUTCOME, VOICE_PACE, VOICE_TEXTS
from translation_svc import failures
from translation_svc.cost import Tally
from translation_svc.governor import Governor, Rest, Say, Skip, Text
from translation_svc.interpreter import Interpreter
from translation_svc.pauses import shorten
from translation_svc.segments import (
    Answer,
    Clip,
    Component,
    Failure,
    Prosody,
    Segment,
    Speech,
    SpokenOver,
    Target,
    Tier,
)

log = logging.getLogger(__name__)

MAX_WAITING = 64


@dataclass(frozen=True, slots=True)
class _Waiting:
    segment: Segment
    opus: bool
    words: str
    text: Text
    traceparent: str = ""


class Speaking:
    """Speaks final texts as the governor says.

    The queue: those that become too late are spoken over. So is the oldest once MAX_WAITING wait, which takes
    minutes of a hanging voice that may be late: captions never wait for it. A text that is corrected while it
    waits is spoken corrected.
    """

    def __init__(
        self,
        language: str,
        *,
        interpreter: Interpreter,
        emit: Callable[[Answer], Awaitable[None]],
        governor: Governor,
        timeout_s: float,
        tier: Tier,
        tally: Tally,
        clock: Callable[[], float],
    ) -> None:
        """`timeout_s` is how long one clip may take, from its turn."""
        self._language = language
        self._interpreter = interpreter
        self._emit = emit
        self._governor = governor
        self._timeout_s = timeout_s
        self._tier = tier
        self._tally = tally
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._changed = asyncio.Event()
        self._resumed = False
        self._closed = False

    async def put(
        self, segment: Segment, target: Target, words: str, *, ended_s: float, traceparent: str = ""
    ) -> None:
        """Have `words` spoken for a segment whose speech ended at `ended_s` of the clock; its translation has
        a trace context, or not.
        """
        now_s = self._clock()
        if not self._resumed:
            self._governor = self._governor.resumed(now_s=now_s, unplayed_s=target.unplayed_s)
            self._resumed = True
        new = _Waiting(segment, target.opus, words, Text(ended_s, now_s, len(words)), traceparent)
        for place, old in enumerate(self._waiting):
            if old.segment.number == segment.number:
                text = replace(old.text, characters=len(words))
                self._waiting[place] = replace(new, text=text)
                return
        overdue = self._take(1) if len(self._waiting) >= MAX_WAITING else []
        self._waiting.append(new)
        self._changed.set()
        await self._skip(overdue)

    def close(self) -> None:
        """No more texts: `run` says what waits without rest, and returns."""
        self._closed = True
        self._changed.set()

    async def run(self) -> None:
        """Speak until closed and empty."""
        while self._waiting or not self._closed:
            self._changed.clear()
            if not self._waiting:
                await self._changed.wait()
                continue
            texts = [waiting.text for waiting in self._waiting]
            move = self._governor.decide(texts, now_s=self._clock(), hurry=self._closed)
            match move:
                case Rest():
                    await self._rest(move.until_s)
                case Skip():
                    await self._skip(self._take(1))
                case Say():
                    await self._say(self._take(move.texts), move)

    async def _rest(self, until_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(until_s - self._clock()):
                await self._changed.wait()

    def _take(self, count: int) -> list[_Waiting]:
        return [self._waiting.popleft() for _ in range(count)]

    async def _skip(self, taken: Sequence[_Waiting]) -> None:
        for waiting in taken:
            self._count("skipped")
            with self._traced([waiting]) as stage:
                stage.span.set_attribute(tracing.OUTCOME, "skipped")
                spoken_over = SpokenOver(waiting.segment.number, self._language, stage.traceparent)
                await self._emit(spoken_over)

    def _traced(self, taken: Sequence[_Waiting]) -> tracing.Stage:
        first, *rest = taken
        return tracing.stage(
            f"speak {self._language}",
            first.traceparent,
            attributes={tracing.LANGUAGE: self._language, tracing.SEGMENT: first.segment.number},
            links=[waiting.traceparent for waiting in rest],
        )

    async def _say(self, taken: Sequence[_Waiting], say: Say) -> None:
        with self._traced(taken) as stage:
            await self._say_traced(taken, say, stage)

    async def _say_traced(self, taken: Sequence[_Waiting], say: Say, stage: tracing.Stage) -> None:
        began_s = self._clock()
        try:
            async with asyncio.timeout(self._timeout_s):
                clip = await self._clip(taken, say)
                wanted = any(waiting.opus for waiting in taken)
                opus = await self._interpreter.opus(clip) if wanted else b""
        except (BabelcastError, TimeoutError) as error:
            self._governor = self._governor.tried(self._clock() - began_s)
            tracing.mark(stage.span, error)
            await self._fail(taken, error, stage.traceparent)
            return
        now_s = self._clock()
        if not self._governor.in_time(taken[0].text, now_s=now_s):
            self._governor = self._governor.tried(now_s - began_s)
            stage.span.set_attribute(tracing.OUTCOME, "too late")
            await self._skip(taken)
            return
        self._governor = self._governor.said(
            say,
            characters=sum(waiting.text.characters for waiting in taken),
            duration_s=clip.duration_ms / 1000,
            took_s=now_s - began_s,
            now_s=now_s,
        )
        self._count("spoken")
        GENERATED.add(len(taken), {LANGUAGE: self._language, KIND: "voice"})
        for _ in taken[1:]:
            self._count("merged")
        VOICE_PACE.record(say.pace, {LANGUAGE: self._language})
        first, *rest = (waiting.segment.number for waiting in taken)
        await self._emit(
            Speech(
                *(first, self._language, clip, opus),
                merged=tuple(rest),
                pace=say.pace,
                traceparent=stage.traceparent,
            )
        )

    async def _clip(self, taken: Sequence[_Waiting], say: Say) -> Clip:
        prosody = blended([(waiting.segment.prosody, waiting.text.characters) for waiting in taken])
        clip = await self._interpreter.speak(
            " ".join(waiting.words for waiting in taken),
            language=self._language,
            prosody=replace(prosody, pace=say.pace),
            tier=self._tier,
            tally=self._tally,
        )
        if say.longest_pause_s is not None:
            clip = shorten(clip, longest_s=say.longest_pause_s)
        return clip

    async def _fail(self, taken: Sequence[_Waiting], error: BaseException, traceparent: str) -> None:
        reason = error.code if isinstance(error, BabelcastError) else ErrorCode.SERVICE_UNAVAILABLE
        log.warning("speech failed", extra={"language": self._language, "error": type(error).__name__})
        for waiting in taken:
            failures.count(Component.SPEECH, error)
            number, revision = waiting.segment.number, waiting.segment.revision
            await self._emit(
                Failure(
                    *(number, revision, self._language, Component.SPEECH, reason),
                    is_final=True,
                    traceparent=traceparent,
                )
            )

    def _count(self, outcome: str) -> None:
        VOICE_TEXTS.add(1, {LANGUAGE: self._language, OUTCOME: outcome})


def blended(parts: Sequence[tuple[Prosody, int]]) -> Prosody:
    """One prosody for texts of so many characters: the mean of volume and rate, and the strongest emotion."""
    if len(parts) == 1:
        return parts[0][0]
    total = sum(length for _, length in parts) or 1
    strongest = max((prosody for prosody, _ in parts), key=lambda prosody: prosody.intensity)
    return replace(
        strongest,
        volume_db=sum(prosody.volume_db * length for prosody, length in parts) / total,
        rate=sum(prosody.rate * length for prosody, length in parts) / total,
    )
