"""Traces: what happened to one sentence, across processes.

A span's place is told from one process to the next as a W3C `traceparent`, in gRPC metadata, in the messages
of streams and on the bus. Whoever gets none makes no span, so what is not traced costs a look at an empty
string.

Sessions are sampled whole: all traces of one end in the same 64 bits, made from its id, and these are what
the standard sampler by ratio looks at. So every process comes to the same decision.
"""

import asyncio
import hashlib
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeAlias

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from babelcast.errors import BabelcastError

TRACEPARENT: Final = "traceparent"

SESSION: Final = "babelcast.session"
SEGMENT: Final = "babelcast.segment"
LANGUAGE: Final = "babelcast.language"
ENGINE: Final = "babelcast.engine"
KIND: Final = "babelcast.kind"
LISTENERS: Final = "babelcast.listeners"
OUTCOME: Final = "babelcast.outcome"
CANCELLED: Final = "babelcast.cancelled"
ERROR: Final = "error.type"

_LOW_BITS: Final = (1 << 64) - 1
_FORM: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)
ASKED_FOR: Final = 0
"""The last 64 bits of traces that a speaker asked for."""

Attributes: TypeAlias = Mapping[str, str | int | float | bool]

_wanted: ContextVar[SpanContext | None] = ContextVar("wanted span", default=None)
"""What the span that is being made is to be called."""


class Ids(RandomIdGenerator):
    """Random ids, but for spans that were spoken of before they were made."""

    def generate_span_id(self) -> int:
        """The next span's."""
        wanted = _wanted.get()
        return super().generate_span_id() if wanted is None else wanted.span_id

    def generate_trace_id(self) -> int:
        """The next root's."""
        wanted = _wanted.get()
        return super().generate_trace_id() if wanted is None else wanted.trace_id

    def is_trace_id_random(self) -> bool:
        """Not in the bits that samplers look at."""
        return False


@dataclass(slots=True)
class _Installed:
    provider: TracerProvider | None = None
    tracer: trace.Tracer | None = None


_installed = _Installed()


def install(provider: TracerProvider | None) -> Callable[[], None]:
    """Trace with a provider, whose ids are of `Ids`; returns what lets the one before take over again."""
    before = _installed.provider, _installed.tracer
    _installed.provider = provider
    _installed.tracer = None if provider is None else provider.get_tracer("babelcast")

    def restore() -> None:
        _installed.provider, _installed.tracer = before

    return restore


# Contexts


def parse(traceparent: str) -> SpanContext | None:
    """The span that a `traceparent` names, as one of elsewhere; None when it is none."""
    found = _FORM.match(traceparent)
    if found is None or found[1] == "ff":
        return None
    rest = traceparent[found.end() :]
    if rest and (found[1] == "00" or not rest.startswith("-")):
        return None
    named = SpanContext(
        int(found[2], 16), int(found[3], 16), is_remote=True, trace_flags=TraceFlags(int(found[4], 16))
    )
    return named if named.is_valid else None


def sampled_parent(traceparent: str) -> SpanContext | None:
    """The same, if it is one that is recorded."""
    named = parse(traceparent) if traceparent else None
    return named if named is not None and named.trace_flags.sampled else None


def written(named: SpanContext) -> str:
    """A span as a `traceparent`."""
    return f"00-{named.trace_id:032x}-{named.span_id:016x}-{'01' if named.trace_flags.sampled else '00'}"


def of_span(span: Span) -> str:
    """The `traceparent` of a span that is recorded; else empty."""
    named = span.get_span_context()
    return written(named) if named.is_valid and named.trace_flags.sampled else ""


def current() -> SpanContext | None:
    """The recorded span that this is done in, as long as it lasts: tasks that outlive it are not in it."""
    span = trace.get_current_span()
    if not span.is_recording():
        return None
    named = span.get_span_context()
    return named if named.trace_flags.sampled else None


def here() -> str:
    """The `traceparent` of `current`; empty when there is none."""
    named = current()
    return "" if named is None else written(named)


def metadata() -> tuple[tuple[str, str], ...] | None:
    """What a gRPC call takes along."""
    named = current()
    return None if named is None else ((TRACEPARENT, written(named)),)


class _Elsewhere(NonRecordingSpan):
    """A span of another process, current until whoever entered it leaves."""

    def __init__(self, named: SpanContext) -> None:
        super().__init__(named)
        self.entered = True

    def is_recording(self) -> bool:
        return self.entered


class _Under:
    """Makes a span of elsewhere the current one."""

    __slots__ = ("_span", "_token", "_traceparent")

    def __init__(self, traceparent: str) -> None:
        self._traceparent = traceparent
        self._span: _Elsewhere | None = None

    def __enter__(self) -> None:
        named = sampled_parent(self._traceparent)
        if named is not None and _installed.tracer is not None:
            self._span = _Elsewhere(named)
            self._token = otel.attach(trace.set_span_in_context(self._span))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None
    ) -> None:
        if self._span is not None:
            self._span.entered = False
            otel.detach(self._token)


def under(traceparent: str) -> _Under:
    """A block that belongs to a span of elsewhere; to none when that is empty or not recorded."""
    return _Under(traceparent)


# Sessions


def session_bits(session_id: str) -> int:
    """The last 64 bits of all traces of a session; never those of traces that were asked for."""
    return int.from_bytes(hashlib.blake2b(session_id.encode(), digest_size=8).digest()) or 1


def is_sampled(low_bits: int, *, parent: SpanContext | None = None) -> bool:
    """Whether traces with these last 64 bits are recorded, or those that continue one of elsewhere."""
    if _installed.provider is None:
        return False
    context = otel.Context()
    if parent is not None:
        context = trace.set_span_in_context(NonRecordingSpan(parent), context)
    trace_id = (1 << 64) | low_bits if parent is None else parent.trace_id
    decision = _installed.provider.sampler.should_sample(context, trace_id, "session").decision
    return decision is Decision.RECORD_AND_SAMPLE


def root(low_bits: int) -> SpanContext:
    """A name for the first span of a new trace that is recorded."""
    trace_id = (random.getrandbits(64) or 1) << 64 | (low_bits & _LOW_BITS)
    return SpanContext(
        trace_id, random.getrandbits(64) or 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


def child(parent: SpanContext) -> SpanContext:
    """A name for a span below another."""
    return SpanContext(
        parent.trace_id, random.getrandbits(64) or 1, is_remote=False, trace_flags=parent.trace_flags
    )


# Spans


def begin(
    name: str,
    *,
    parent: SpanContext | None = None,
    called: SpanContext | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    links: Sequence[str] = (),
    start_ns: int | None = None,
) -> Span:
    """A span below `parent`, or the first of a trace, that somebody has to `finish`. `called` is its name
    where that is out already, `links` are other causes (`traceparent`s), `start_ns` when it began, epoch.
    """
    if _installed.tracer is None:
        return trace.INVALID_SPAN
    context = otel.Context()
    if parent is not None:
        context = trace.set_span_in_context(NonRecordingSpan(parent), context)
    token = _wanted.set(called)
    try:
        return _installed.tracer.start_span(
            name,
            context,
            kind=kind,
            attributes=attributes,
            links=[Link(named) for named in map(sampled_parent, links) if named is not None],
            start_time=start_ns,
        )
    finally:
        _wanted.reset(token)


def finish(span: Span, error: BaseException | None = None, *, end_ns: int | None = None) -> None:
    """End a span, marked with what went wrong if anything did: no text of it, that may tell anything."""
    if error is not None:
        mark(span, error)
    span.end(end_ns)


def mark(span: Span, error: BaseException) -> None:
    """Mark a span as cancelled or failed."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        span.set_attribute(CANCELLED, True)
        why = "cancelled"
    else:
        why = error.code.value if isinstance(error, BabelcastError) else type(error).__name__
    fail(span, why)


def fail(span: Span, why: str) -> None:
    """Mark a span as failed; `why` is a code or the name of a class."""
    span.set_attribute(ERROR, why)
    span.set_status(Status(StatusCode.ERROR, why))


class Stage:
    """A block as a span below the current one, or below `parent`; nothing where neither is recorded."""

    __slots__ = ("_attributes", "_kind", "_links", "_name", "_parent", "_token", "span")

    def __init__(
        self,
        name: str,
        *,
        parent: SpanContext | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        links: Sequence[str] = (),
    ) -> None:
        self._name = name
        self._parent = parent
        self._kind = kind
        self._attributes = attributes
        self._links = links
        self.span: Span = trace.INVALID_SPAN

    def __enter__(self) -> Self:
        parent = self._parent or current()
        if parent is not None and _installed.tracer is not None:
            self.span = begin(
                self._name, parent=parent, kind=self._kind, attributes=self._attributes, links=self._links
            )
            self._token = otel.attach(trace.set_span_in_context(self.span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None
    ) -> None:
        if self.span is not trace.INVALID_SPAN:
            finish(self.span, error)
            otel.detach(self._token)

    @property
    def traceparent(self) -> str:
        """To be taken along; empty when nothing is recorded."""
        return of_span(self.span)


def stage(
    name: str, parent: str = "", *, attributes: Attributes | None = None, links: Sequence[str] = ()
) -> Stage:
    """A step of the way, below a `traceparent` or else the current span."""
    return Stage(name, parent=sampled_parent(parent), attributes=attributes, links=links)


@contextmanager
def request(
    name: str,
    *,
    session_id: str = "",
    parent: SpanContext | None = None,
    attributes: Attributes | None = None,
) -> Iterator[Span]:
    """Somebody's request as a span: of the trace that came with it, or the first of one of its session."""
    called = root(session_bits(session_id)) if session_id else None
    span = begin(name, parent=parent, called=called, kind=SpanKind.SERVER, attributes=attributes)
    if not span.is_recording():
        yield span
        return
    token = otel.attach(trace.set_span_in_context(span))
    try:
        yield span
    except BaseException as error:
        mark(span, error)
        raise
    finally:
        span.end()
        otel.detach(token)
