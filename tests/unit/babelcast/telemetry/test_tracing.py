"""Names of spans, sampling by session, and what is told of a stage."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags

from babelcast.errors import ServiceUnavailable
from babelcast.telemetry import tracing
from babelcast.telemetry.sampling import OrAskedFor
from tests.traced import parent_of, recording, traceparent_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{SPAN}-01"


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
)
def test_a_name_is_read_as_it_was_written(trace_id: int, span_id: int, sampled: bool) -> None:
    """Any span's."""
    named = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(int(sampled)))
    assert tracing.parse(tracing.written(named)) == named


@given(st.text())
def test_anything_else_is_no_name(text: str) -> None:
    """And nothing fails."""
    assert tracing.parse(text) is None


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (SAMPLED, True),
        (f"{SAMPLED}-more", False),
        (f"01-{TRACE}-{SPAN}-01-more", True),
        (f"01-{TRACE}-{SPAN}-01more", False),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (SAMPLED.upper(), False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f" {SAMPLED}", False),
        (f"{SAMPLED}\n", False),
    ],
)
def test_the_form_is_that_of_the_standard(text: str, good: bool) -> None:
    """Later versions may have more behind it, the first has not."""
    assert (tracing.parse(text) is not None) is good


@given(st.text(min_size=1), st.floats(0.0, 1.0))
def test_a_session_is_sampled_whole(session_id: str, ratio: float) -> None:
    """The standard sampler by ratio comes to the same decision for all of its traces, as foretold."""
    with recording(ParentBased(TraceIdRatioBased(ratio))) as recorded:
        bits = tracing.session_bits(session_id)
        foretold = tracing.is_sampled(bits)
        for _ in range(3):
            tracing.finish(tracing.begin("said", called=tracing.root(bits)))
        assert len(recorded.spans) == (3 if foretold else 0)
        assert len({span.context.trace_id for span in recorded.spans if span.context}) == len(recorded.spans)


def test_the_share_of_sessions_is_the_ratio() -> None:
    """As far as a thousand sessions can tell."""
    with recording(TraceIdRatioBased(0.2)):
        sampled = sum(tracing.is_sampled(tracing.session_bits(f"golden-eagle-{n}")) for n in range(1000))
    assert 150 < sampled < 250


def test_what_was_asked_for_is_sampled_whatever_the_ratio() -> None:
    """Its first spans have no parent that could say so."""
    with recording(ParentBased(OrAskedFor(TraceIdRatioBased(0.0)))) as recorded:
        tracing.finish(tracing.begin("asked", called=tracing.root(tracing.ASKED_FOR)))
        tracing.finish(tracing.begin("not asked", called=tracing.root(1)))
    assert recorded.names == ["asked"]


def test_a_span_bears_the_name_that_was_told_before_it_was_made() -> None:
    """With and without a parent, and at the times that are given."""
    parent = tracing.parse(SAMPLED)
    assert parent is not None
    with recording() as recorded:
        for above in (None, parent):
            called = tracing.root(7) if above is None else tracing.child(above)
            tracing.finish(tracing.begin("said", parent=above, called=called, start_ns=5), end_ns=9)
            span = recorded.spans[-1]
            assert traceparent_of(span) == tracing.written(called)
            assert parent_of(span) == (0 if above is None else above.span_id)
            assert (span.start_time, span.end_time) == (5, 9)


def test_stages_stand_below_each_other() -> None:
    """What is done in one is below it; after it there is nothing to be below."""
    with recording() as recorded:
        with tracing.stage("outer", SAMPLED) as outer, tracing.stage("inner") as inner:
            assert tracing.here() == inner.traceparent
            assert tracing.metadata() == (("traceparent", inner.traceparent),)
        assert tracing.here() == ""
        assert tracing.metadata() is None
    assert recorded.names == ["inner", "outer"]
    assert parent_of(recorded.only("inner")) == int(outer.traceparent.split("-")[2], 16)
    assert parent_of(recorded.only("outer")) == int(SPAN, 16)


@pytest.mark.parametrize("above", ["", f"00-{TRACE}-{SPAN}-00", "nonsense"])
def test_what_is_not_recorded_makes_no_span(above: str) -> None:
    """A stage without a recorded parent is none."""
    with recording() as recorded:
        with tracing.under(above), tracing.stage("step") as step:
            assert step.traceparent == tracing.here() == ""
        with tracing.stage("step", above):
            pass
    assert recorded.spans == []


def test_without_a_provider_nothing_is_made() -> None:
    """However the caller is traced."""
    with tracing.under(SAMPLED), tracing.stage("step", SAMPLED) as step:
        assert step.traceparent == tracing.here() == ""
    assert not tracing.is_sampled(tracing.ASKED_FOR)


async def test_a_task_that_outlives_a_span_is_not_in_it() -> None:
    """Neither below a span of its own process nor below one of elsewhere."""
    go_on = asyncio.Event()

    async def lasting() -> tuple[str, str]:
        before = tracing.here()
        await go_on.wait()
        return before, tracing.here()

    with recording():
        with tracing.stage("step", SAMPLED):
            first = asyncio.create_task(lasting())
            await asyncio.sleep(0)
        with tracing.under(SAMPLED):
            second = asyncio.create_task(lasting())
            await asyncio.sleep(0)
        go_on.set()
        for task in (first, second):
            before, after = await task
            assert before != ""
            assert after == ""


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ServiceUnavailable("secret"), "SERVICE_UNAVAILABLE"),
        (TimeoutError("secret"), "TimeoutError"),
        (asyncio.CancelledError("secret"), "cancelled"),
    ],
)
def test_what_goes_wrong_marks_its_stage(error: BaseException, why: str) -> None:
    """By a code or a class, and never by a text, which may tell anything."""
    with recording() as recorded:
        with pytest.raises(type(error)), tracing.stage("step", SAMPLED):
            raise error
        with pytest.raises(type(error)), tracing.request("request", session_id="golden-eagle-427"):
            raise error
    for span in recorded.spans:
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, why)
        attributes = dict(span.attributes or {})
        assert attributes["error.type"] == why
        assert attributes.get("babelcast.cancelled", False) is (why == "cancelled")
        assert "secret" not in span.to_json()


def test_a_request_is_the_first_of_a_trace_or_goes_on_with_one() -> None:
    """Of its session's, or of the client's."""
    with recording() as recorded:
        with tracing.request("own", session_id="golden-eagle-427"):
            assert tracing.here() != ""
        with tracing.request("continued", parent=tracing.parse(SAMPLED)):
            assert tracing.here().startswith(f"00-{TRACE}-")
    own = recorded.only("own")
    assert own.context is not None
    assert own.context.trace_id & (2**64 - 1) == tracing.session_bits("golden-eagle-427")
    assert parent_of(recorded.only("continued")) == int(SPAN, 16)


def test_other_causes_are_links() -> None:
    """As far as they are recorded."""
    with recording() as recorded, tracing.stage("step", SAMPLED, links=[SAMPLED, "", "nonsense"]):
        pass
    assert [link.context.trace_id for link in recorded.only("step").links] == [int(TRACE, 16)]
