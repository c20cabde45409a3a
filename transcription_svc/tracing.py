"""The recognition of each segment as a span of the trace that the audio it begins in belongs to."""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable

from opentelemetry.trace import INVALID_SPAN, Span

from babelcast.errors import Moving
from babelcast.telemetry import tracing
from transcription_svc.engines.base import SegmentResult

REMEMBER = 4_096


class SegmentTraces:
    """Follows one stream. Does nothing as long as no audio comes with a trace context."""

    def __init__(
        self, *, session_id: str, language: str, engine: str, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._attributes: dict[str, str | int | float | bool] = {
            tracing.LANGUAGE: language,
            tracing.ENGINE: engine,
        }
        if session_id:  # a talk's first stream is opened before its session
            self._attributes[tracing.SESSION] = session_id
        self._clock_ns = clock_ns
        self._positions: list[int] = []
        self._heard: list[tuple[str, int]] = []
        self._span: Span = INVALID_SPAN
        self._segment: int | None = None
        self._cause = ""
        self._answered = 0

    def heard(self, position: int, traceparent: str) -> None:
        """Audio from a position on, in samples, came with a trace context."""
        self._positions.append(position)
        self._heard.append((traceparent, self._clock_ns()))
        if len(self._positions) > REMEMBER:
            del self._positions[: REMEMBER // 2], self._heard[: REMEMBER // 2]

    def partial(self, result: SegmentResult) -> None:
        """A segment is open, or was none after all."""
        if not self._heard:
            return
        if self._segment != result.segment:
            self._begin(result.segment, result.start)
        if not result.text:
            self._span.set_attribute(tracing.OUTCOME, "no speech")
            self._end(None)

    def final(self, result: SegmentResult) -> tuple[str, str]:
        """A segment is recognised: the trace contexts of that, and of the audio it begins in."""
        if not self._heard:
            return "", ""
        if self._segment != result.segment:
            self._begin(result.segment, result.start)
        self._span.set_attribute("babelcast.revisions", result.revision + 1)
        named = tracing.of_span(self._span), self._cause
        self._end(None)
        self._answered = result.end
        kept = max(0, bisect_right(self._positions, result.end) - 1)
        del self._positions[:kept], self._heard[:kept]
        return named

    def over(self, work: asyncio.Task[None]) -> None:
        """The stream has ended: what is open was cancelled, or failed with it."""
        error = asyncio.CancelledError() if work.cancelled() else _first(work.exception())
        if self._segment is None and self._heard and _is_failure(error):
            self._begin(-1, self._answered)
        self._end(error or asyncio.CancelledError())

    def _begin(self, segment: int, start: int) -> None:
        self._end(asyncio.CancelledError())
        self._cause, began_ns = self._heard[max(0, bisect_right(self._positions, start) - 1)]
        attributes = dict(self._attributes)
        if segment >= 0:
            attributes[tracing.SEGMENT] = segment
        self._segment = segment
        self._span = tracing.begin(
            "transcription",
            parent=tracing.sampled_parent(self._cause),
            attributes=attributes,
            start_ns=began_ns,
        )

    def _end(self, error: BaseException | None) -> None:
        if self._segment is not None:
            tracing.finish(self._span, error)
            self._span, self._segment = INVALID_SPAN, None


def _first(error: BaseException | None) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _is_failure(error: BaseException | None) -> bool:
    return error is not None and not isinstance(error, Moving | asyncio.CancelledError)
