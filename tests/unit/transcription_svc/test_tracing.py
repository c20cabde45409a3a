"""Recognitions as spans, below the audio that they begin in."""

import asyncio

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from babelcast.errors import ServiceUnavailable
from babelcast.telemetry import tracing
from tests.traced import Recorded, parent_of, recording, traceparent_of
from transcription_svc.engines.base import SegmentResult
from transcription_svc.tracing import REMEMBER, SegmentTraces

STEP = 1600


def chunk(number: int) -> str:
    """The trace context of a chunk: each begins a trace of its own."""
    return f"00-{number + 1:032x}-{number + 1:016x}-01"


def result(segment: int, start: int, *, end: int = 0, text: str = "So", final: bool = True) -> SegmentResult:
    """A result of a segment that begins at a sample."""
    return SegmentResult(segment, 0, text, text, final, 1.0, start, end or start + STEP)


def traces(*, chunks: int = 10, first: int = 0) -> SegmentTraces:
    """A stream that has heard chunks of STEP samples, each 1 ms after the one before."""
    now = iter(range(0, 10**12, 10**6))
    made = SegmentTraces(
        session_id="golden-eagle-427", language="en", engine="scripted", clock_ns=lambda: next(now)
    )
    for number in range(chunks):
        made.heard(first + number * STEP, chunk(number))
    return made


def trace_of(span: ReadableSpan) -> int:
    """The id of its trace."""
    assert span.context is not None
    return int(span.context.trace_id)


@pytest.mark.parametrize(
    ("start", "number"), [(0, 0), (STEP - 1, 0), (STEP, 1), (5 * STEP + 7, 5), (99 * STEP, 9)]
)
def test_a_segment_belongs_to_the_chunk_it_begins_in(start: int, number: int) -> None:
    """Since when that came; with what the gateway needs to know of both."""
    with recording() as recorded:
        own, cause = traces().final(result(3, start))
        span = recorded.only("transcription")
    assert (own, cause) == (traceparent_of(span), chunk(number))
    assert (trace_of(span), parent_of(span)) == (number + 1, number + 1)
    assert span.start_time == number * 10**6
    attributes = dict(span.attributes or {})
    assert attributes["babelcast.segment"] == 3
    assert attributes["babelcast.engine"] == "scripted"
    assert attributes["babelcast.session"] == "golden-eagle-427"


def test_a_segment_that_begins_before_all_belongs_to_the_first() -> None:
    """A stream that was opened anew may find its beginning in what only warmed it up."""
    with recording():
        _, cause = traces(first=STEP).final(result(0, 0))
    assert cause == chunk(0)


def test_each_segment_is_one_span() -> None:
    """However often it was shown, also when a later one begins in the same chunk."""
    with recording() as recorded:
        stream = traces()
        for _ in range(3):
            stream.partial(result(0, 10, final=False))
        stream.final(result(0, 10, end=20))
        stream.final(result(1, 30, end=5 * STEP))
        stream.final(result(2, 6 * STEP))
    assert recorded.names == ["transcription"] * 3
    assert [trace_of(span) for span in recorded.spans] == [1, 1, 7]


def test_what_was_no_speech_ends_without_error() -> None:
    """Its number goes to the next speech, which is another span."""
    with recording() as recorded:
        stream = traces()
        stream.partial(result(0, 0, final=False))
        stream.partial(result(0, 0, text="", final=False))
        stream.final(result(0, 3 * STEP))
    first, second = recorded.spans
    assert (first.attributes or {})["babelcast.outcome"] == "no speech"
    assert first.status.is_ok or first.status.is_unset
    assert trace_of(second) == 4


def test_without_contexts_nothing_is_made() -> None:
    """Nor with one, where nothing is recorded."""
    with recording() as recorded:
        stream = traces(chunks=0)
        stream.partial(result(0, 0, final=False))
        assert stream.final(result(0, 0)) == ("", "")
    assert recorded.spans == []
    stream = traces()
    stream.partial(result(0, 0, final=False))
    assert stream.final(result(0, 0))[0] == ""


async def ended(stream: SegmentTraces, error: BaseException | None, *, cancel: bool = False) -> Recorded:
    """End a stream's task in some way."""
    forever = asyncio.Event()

    async def work() -> None:
        if error is not None:
            raise ExceptionGroup("stream", [error]) if isinstance(error, Exception) else error
        if cancel:
            await forever.wait()

    with recording() as recorded:
        stream.partial(result(0, 0, final=False))
        task = asyncio.create_task(work())
        task.add_done_callback(stream.over)
        await asyncio.sleep(0)
        if cancel:
            task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)
        if not task.cancelled():
            task.exception()
        return recorded


@pytest.mark.parametrize(
    ("error", "cancel", "why"),
    [
        (None, True, "cancelled"),
        (None, False, "cancelled"),
        (ServiceUnavailable("secret"), False, "SERVICE_UNAVAILABLE"),
        (ValueError("secret"), False, "ValueError"),
    ],
)
async def test_an_open_segment_ends_with_its_stream(
    error: BaseException | None, cancel: bool, why: str
) -> None:
    """As cancelled, or with what broke the stream."""
    recorded = await ended(traces(), error, cancel=cancel)
    span = recorded.only("transcription")
    assert span.status.description == why
    assert (span.attributes or {}).get("babelcast.cancelled", False) is (why == "cancelled")


async def test_an_engine_that_fails_before_any_word_is_seen() -> None:
    """In the trace of the first audio that has no words yet; what ends in order then is not worth a span."""
    with recording() as recorded:
        stream = traces()
        stream.final(result(0, 0, end=4 * STEP))
        broken = asyncio.get_running_loop().create_task(_raise(ValueError("secret")))
        await asyncio.wait([broken])
        stream.over(broken)
        quiet = asyncio.get_running_loop().create_task(_raise(None))
        await asyncio.wait([quiet])
        traces().over(quiet)
    _, failed = recorded.spans
    assert failed.status.description == "ValueError"
    assert trace_of(failed) == 5


async def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error


def test_what_is_remembered_is_bounded() -> None:
    """Of a stream without words; the newest stay."""
    with recording():
        stream = traces(chunks=3 * REMEMBER)
        assert len(stream._heard) <= REMEMBER
        assert stream.final(result(0, 3 * REMEMBER * STEP))[1] == chunk(3 * REMEMBER - 1)


def test_contexts_are_of_the_standard() -> None:
    """Those of this test too."""
    assert tracing.sampled_parent(chunk(0)) is not None
