"""The traces of one talk, as its owner makes them."""

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased

from babelcast.telemetry import tracing
from babelcast.telemetry.sampling import OrAskedFor
from babelcast.transcription.v1 import transcription_pb2 as api
from gateway.tracing import REMEMBER, TalkTraces, of_message
from tests.traced import parent_of, recording, traceparent_of

CODE = "golden-eagle-427"
CLIENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = CLIENT[:-1] + "0"
IF_ASKED = ParentBased(OrAskedFor(ALWAYS_OFF))
RECOGNISED = "b7ad6b7169203331"


def final(segment: int, audio: str, *, recognised: bool = True) -> api.TranscriptResult:
    """A final result, as a service answers that knows of traces, or one that does not."""
    if not recognised:
        return api.TranscriptResult(segment=segment, is_final=True)
    own = f"{audio[:36]}{RECOGNISED}-01"
    return api.TranscriptResult(segment=segment, is_final=True, traceparent=own, audio_traceparent=audio)


def test_a_sentence_begins_with_the_message_that_it_begins_in() -> None:
    """Chunks take a name along; only the one that a sentence begins in becomes a span, from when it came."""
    with recording() as recorded:
        traces = TalkTraces(CODE)
        chunks = [traces.chunk("", at_ms=1_000 + 100 * number) for number in range(5)]
        with traces.segment(final(7, chunks[2]), began_ms=0, ended_ms=1_900):
            here = tracing.here()
    assert len({chunk for chunk in chunks if tracing.parse(chunk)}) == 5
    segment, said = recorded.only("segment"), recorded.only("speaker.utterance")
    assert recorded.names == ["speaker.utterance", "segment"]
    assert traceparent_of(said) == chunks[2]
    assert (said.start_time, said.end_time) == (1_200_000_000, 1_900_000_000)
    assert dict(said.attributes or {}) == {"babelcast.session": CODE, "babelcast.segment": 7}
    assert traceparent_of(segment) == here
    assert parent_of(segment) == int(RECOGNISED, 16)


def test_two_sentences_in_one_message_have_one_root() -> None:
    """It is told once, and those that nothing began in never."""
    with recording() as recorded:
        traces = TalkTraces(CODE)
        chunks = [traces.chunk("", at_ms=number) for number in range(3)]
        for segment in (1, 2):
            with traces.segment(final(segment, chunks[1]), began_ms=0, ended_ms=0):
                pass
    assert recorded.names == ["speaker.utterance", "segment", "segment"]


def test_a_service_that_knows_no_traces_is_left_out() -> None:
    """The sentence begins when its sound came, with its segment right below."""
    with recording() as recorded:
        traces = TalkTraces(CODE)
        traces.chunk("", at_ms=1)
        with traces.segment(final(1, "", recognised=False), began_ms=3, ended_ms=5):
            pass
    said, segment = recorded.only("speaker.utterance"), recorded.only("segment")
    assert said.context is not None
    assert parent_of(segment) == said.context.span_id
    assert said.start_time == 3_000_000


def test_a_message_with_a_context_goes_on_with_the_clients_trace() -> None:
    """From the first on the whole talk is traced, its other sentences in traces of their own."""
    with recording(IF_ASKED) as recorded:
        traces = TalkTraces(CODE)
        assert traces.chunk("", at_ms=0) == ""
        asked = traces.chunk(CLIENT, at_ms=1)
        own = traces.chunk("", at_ms=2)
        for segment, chunk in enumerate((asked, own)):
            with traces.segment(final(segment, chunk), began_ms=0, ended_ms=0):
                pass
    first, second = (span for span in recorded.spans if span.name == "speaker.utterance")
    assert asked.split("-")[1] == CLIENT.split("-")[1] != own.split("-")[1]
    assert parent_of(first) == int(CLIENT.split("-")[2], 16)
    assert parent_of(second) == 0


@pytest.mark.parametrize("context", ["", UNSAMPLED, "nonsense"])
def test_a_talk_that_nobody_asked_for_costs_nothing(context: str) -> None:
    """No names, no spans."""
    with recording(IF_ASKED) as recorded:
        traces = TalkTraces(CODE)
        traces.decide(context)
        assert traces.chunk(context, at_ms=0) == ""
        with traces.segment(final(1, ""), began_ms=0, ended_ms=0):
            assert tracing.here() == ""
    assert recorded.spans == []


@pytest.mark.parametrize(("context", "traced"), [(CLIENT, True), (UNSAMPLED, False), ("", True)])
def test_the_speaker_decides_if_it_says_anything(context: str, traced: bool) -> None:
    """With the message that makes the session, to which each sentence is linked."""
    with recording(ParentBased(ALWAYS_ON)) as recorded:
        traces = TalkTraces(CODE)
        traces.decide(context)
        chunk = traces.chunk("", at_ms=0)
        assert bool(chunk) is traced
        with traces.segment(final(1, chunk), began_ms=0, ended_ms=0):
            pass
    links = [link.context for span in recorded.spans for link in span.links]
    assert links == ([tracing.parse(CLIENT)] if context == CLIENT else [])


def test_the_next_owner_traces_what_the_last_one_traced() -> None:
    """As the log of the talk tells; not where it tells of nothing."""
    with recording(IF_ASKED):
        traces = TalkTraces(CODE)
        traces.go_on([])
        assert traces.chunk("", at_ms=0) == ""
        traces.go_on([CLIENT])
        assert traces.chunk("", at_ms=0) != ""


def test_what_is_remembered_is_bounded() -> None:
    """Of a talk in which nothing is recognised."""
    with recording():
        traces = TalkTraces(CODE)
        for number in range(REMEMBER + 10):
            traces.chunk("", at_ms=number)
        assert len(traces._chunks) == REMEMBER


@pytest.mark.parametrize(
    ("context", "session_id", "trusted", "traced"),
    [
        (CLIENT, "", True, True),
        (CLIENT, CODE, True, True),
        (CLIENT, CODE, False, False),
        (UNSAMPLED, CODE, True, False),
        ("", CODE, True, False),
        ("", "", False, False),
    ],
)
def test_a_message_is_traced_as_a_speaker_asks_or_its_session_is(
    context: str, session_id: str, trusted: bool, traced: bool
) -> None:
    """Whoever listens cannot have more traced than is sampled."""
    with (
        recording(IF_ASKED) as recorded,
        of_message("joinSession", context, session_id=session_id, trusted=trusted),
    ):
        assert tracing.here().startswith(CLIENT[:36] if traced else "")
        assert bool(tracing.here()) is traced
    assert recorded.names == (["client.joinSession"] if traced else [])


def test_a_listeners_message_goes_on_with_its_trace_where_the_session_is_sampled() -> None:
    """And begins one of the session where it brings none."""
    with recording() as recorded:
        for context in (CLIENT, UNSAMPLED, ""):
            with of_message("joinSession", context, session_id=CODE, trusted=False):
                pass
    continued, *own = recorded.spans
    assert parent_of(continued) == int(CLIENT.split("-")[2], 16)
    bits = tracing.session_bits(CODE)
    assert [span.context and span.context.trace_id & (2**64 - 1) for span in own] == [bits, bits]
