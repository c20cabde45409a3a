"""The traces of one talk, as its owner makes them: one for each sentence, from the speaker's message on.

Where a sentence begins is known only when it was recognised. So every chunk of a talk that is traced takes
the name of a root along, and of those the one that a sentence turns out to begin in becomes a span.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from opentelemetry.trace import SpanContext, SpanKind

from babelcast.telemetry import tracing
from babelcast.transcription.v1 import transcription_pb2 as api

REMEMBER = 4_096
"""Chunks of which it is not known yet whether a sentence begins in them."""
NS_PER_MS = 1_000_000


@dataclass(slots=True)
class _Chunk:
    named: SpanContext
    parent: SpanContext | None
    at_ms: int
    told: bool = False


class TalkTraces:
    """Traced whole or not: by its id, or as its speaker asks. Until that is so, a chunk costs nothing."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._bits = tracing.session_bits(session_id)
        self._sampled = tracing.is_sampled(self._bits)
        self._cause = ""
        self._chunks: OrderedDict[str, _Chunk] = OrderedDict()

    def decide(self, traceparent: str) -> None:
        """Do as the message with which the speaker came says, if that has a trace context."""
        named = tracing.parse(traceparent)
        if named is None:
            return
        self._cause = traceparent
        wanted = tracing.is_sampled(self._bits, parent=named)
        if wanted:
            self._ask()
        self._sampled = wanted

    def go_on(self, traceparents: Iterable[str]) -> None:
        """Trace a talk that its owner before traced."""
        if any(map(tracing.sampled_parent, traceparents)):
            self._ask()

    def chunk(self, traceparent: str, *, at_ms: int) -> str:
        """What a chunk takes along that came at `at_ms` (epoch), in a message with a trace context or
        without; empty when the talk is not traced.
        """
        if not self._sampled and not traceparent:
            return ""
        parent = tracing.sampled_parent(traceparent)
        if parent is not None and not tracing.is_sampled(self._bits, parent=parent):
            return ""
        if parent is not None:
            self._ask()
        if not self._sampled:
            return ""
        named = tracing.root(self._bits) if parent is None else tracing.child(parent)
        chunk = _Chunk(named, parent, at_ms)
        written = tracing.written(named)
        self._chunks[written] = chunk
        if len(self._chunks) > REMEMBER:
            self._chunks.popitem(last=False)
        return written

    def segment(
        self, result: api.TranscriptResult, *, began_ms: int, ended_ms: int
    ) -> AbstractContextManager[tracing.Stage | None]:
        """A block in which a final result is taken, whose sound came from `began_ms` to `ended_ms`, epoch."""
        if not self._sampled:
            return contextlib.nullcontext()
        said = self._said(result, began_ms=began_ms, ended_ms=ended_ms)
        return tracing.stage(
            "segment",
            result.traceparent or said,
            attributes={tracing.SESSION: self._session_id, tracing.SEGMENT: result.segment},
        )

    def _said(self, result: api.TranscriptResult, *, began_ms: int, ended_ms: int) -> str:
        """The root of a sentence's trace."""
        written = result.audio_traceparent
        chunk = self._chunks.get(written)
        if chunk is None:
            chunk = _Chunk(tracing.root(self._bits), None, began_ms)
            written = tracing.written(chunk.named)
        else:
            while next(iter(self._chunks)) != written:
                self._chunks.popitem(last=False)
        if not chunk.told:
            chunk.told = True
            span = tracing.begin(
                "speaker.utterance",
                parent=chunk.parent,
                called=chunk.named,
                kind=SpanKind.SERVER,
                attributes={tracing.SESSION: self._session_id, tracing.SEGMENT: result.segment},
                links=[self._cause] if self._cause else (),
                start_ns=chunk.at_ms * NS_PER_MS,
            )
            tracing.finish(span, end_ns=max(chunk.at_ms, ended_ms) * NS_PER_MS)
        return written

    def _ask(self) -> None:
        if not self._sampled:
            self._sampled, self._bits = True, tracing.ASKED_FOR


def of_message(
    action: str, traceparent: str, *, session_id: str, trusted: bool
) -> AbstractContextManager[object]:
    """A block that deals with a client's message, other than audio. A message of a client that is `trusted`
    is traced as its trace context asks; any other as its session is.
    """
    named = tracing.parse(traceparent) if traceparent else None
    name = f"client.{action}"
    if named is not None and trusted:
        return tracing.request(name, parent=named)
    if session_id and not tracing.is_sampled(tracing.session_bits(session_id)):
        return contextlib.nullcontext()
    if session_id and named is not None and named.trace_flags.sampled:
        return tracing.request(name, parent=named, attributes={tracing.SESSION: session_id})
    attributes = {tracing.SESSION: session_id} if session_id else None
    return tracing.request(name, session_id=session_id, attributes=attributes)
