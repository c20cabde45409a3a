"""What a talk used and cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from babelcast.event.v1 import event_pb2 as event
from babelcast.prices import published
from babelcast.translation.v1 import translation_pb2 as api
from gateway.usage import SessionUsage

HOUR_MS = 3_600_000


class Clock:
    """A clock that is set by hand."""

    now_ms = 1_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    """The session's clock."""
    return Clock()


@pytest.fixture
def usage(clock: Clock) -> SessionUsage:
    """A session that begins with two listeners."""
    return SessionUsage(prices=published(), listeners=2, clock_ms=clock)


def _used(component: "api.Component.ValueType", engine: str, characters: int, usd: float) -> api.Usage:
    return api.Usage(component=component, engine=engine, language="es", characters=characters, cost_usd=usd)


def test_time_is_counted_for_each_listener(usage: SessionUsage, clock: Clock) -> None:
    """Two listeners for half an hour and one for an hour are two hours."""
    clock.now_ms += HOUR_MS // 2
    usage.listening(1)
    clock.now_ms += HOUR_MS
    assert usage.told().listener_hours == 2.0
    assert usage.told().listener_hours == 2.0


def test_the_cost_of_a_listener_s_hour(usage: SessionUsage, clock: Clock) -> None:
    """All engines together, what the translation service priced and what is priced here."""
    usage.take([_used(api.COMPONENT_TRANSLATION, "amazon", 1_000, 0.015)])
    usage.take([_used(api.COMPONENT_TRANSLATION, "amazon", 1_000, 0.015)])
    usage.take([_used(api.COMPONENT_SPEECH, "polly-neural", 2_000, 0.032)])
    usage.transcribed("amazon-transcribe", 300)
    clock.now_ms += HOUR_MS
    told = usage.told()
    assert told.cost_usd == pytest.approx(0.03 + 0.032 + 0.12)
    assert told.cost_per_listener_hour == pytest.approx(0.182 / 2)
    assert [(use.component, use.engine, use.language, use.amount, use.unit) for use in told.engines] == [
        ("speech", "polly-neural", "es", 2_000, "character"),
        ("transcription", "amazon-transcribe", UNSET, 300, "second"),
        ("translation", "amazon", "es", 2_000, "character"),
    ]


def test_what_runs_here_costs_nothing(usage: SessionUsage, clock: Clock) -> None:
    """It is counted all the same."""
    usage.transcribed("whisper-base", 12.5)
    clock.now_ms += HOUR_MS
    told = usage.told()
    assert (told.cost_usd, told.cost_per_listener_hour) == (0, 0)
    assert told.engines[0].amount == 12.5


def test_without_listeners_there_is_no_price_of_their_hour(clock: Clock) -> None:
    """Nothing is divided by nothing; a service that is not known is left out."""
    usage = SessionUsage(prices=published(), listeners=0, clock_ms=clock)
    usage.take([api.Usage(engine="later", characters=3)])
    clock.now_ms += HOUR_MS
    told = usage.told()
    assert told.cost_per_listener_hour is UNSET
    assert not told.engines


@given(st.lists(st.tuples(st.integers(-1_000, 100_000), st.integers(0, 500)), max_size=20))
def test_listeners_time_never_goes_back(steps: list[tuple[int, int]]) -> None:
    """Not even when the clock does; telling changes nothing."""
    clock = Clock()
    usage = SessionUsage(prices=published(), listeners=3, clock_ms=clock)
    before = 0.0
    for passed_ms, listeners in steps:
        clock.now_ms += passed_ms
        usage.listening(listeners)
        hours = usage.told().listener_hours
        assert hours >= before
        before = hours


def test_the_next_owner_goes_on_counting() -> None:
    """What a checkpoint tells is added to what is counted after it; unknown services are left out."""
    now = [0]
    first = SessionUsage(prices=published(), listeners=2, clock_ms=lambda: now[0])
    first.transcribed("whisper", 3)
    now[0] = 3_600_000
    checkpoint = event.Checkpoint()
    first.note(checkpoint)
    checkpoint.used.add(service="weather", amount=1)
    now[0] += 3_600_000
    second = SessionUsage(prices=published(), listeners=1, clock_ms=lambda: now[0])
    second.go_on(checkpoint)
    second.transcribed("whisper", 4)
    now[0] += 3_600_000
    told = second.told()
    assert told.listener_hours == 3
    assert [(use.component, use.engine, use.amount) for use in told.engines] == [
        ("transcription", "whisper", 7)
    ]
