"""How long a connection may last."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.config import GatewayConfig
from gateway.lifetime import Lifetime, Limits, Step

LIMITS = Limits(refresh_s=100, warn_s=105, expire_s=120, idle_s=60, heartbeat_s=9)


def test_limits_come_from_the_configuration() -> None:
    """The defaults are those of the protocol."""
    limits = Limits.of(GatewayConfig())
    assert limits == Limits(refresh_s=6000, warn_s=6300, expire_s=7200, idle_s=600, heartbeat_s=90)


def test_steps_come_in_their_order_and_once() -> None:
    """A connection that is heard is asked to refresh, then warned, then closed."""
    lifetime = Lifetime(LIMITS, now_s=1000)
    steps = []
    for now_s in range(1000, 1130):
        lifetime.heard(now_s)
        steps.append((now_s - 1000, lifetime.due(now_s)))
    assert [step for step in steps if step[1] is not None] == [
        (100, Step.REFRESH),
        (105, Step.WARN),
        (120, Step.EXPIRE),
    ]
    assert lifetime.left_s(1105) == 15
    assert lifetime.left_s(2000) == 0


def test_silence_ends_a_connection() -> None:
    """A client that never beat may be silent for the idle time, and no longer."""
    lifetime = Lifetime(LIMITS, now_s=0)
    lifetime.heard(10)
    assert lifetime.due(69.9) is None
    assert lifetime.due(70) is Step.IDLE
    assert lifetime.silent_s(70) == 60
    assert lifetime.due(71) is None  # a client that is gone takes seconds to be closed


def test_a_heart_that_stops_is_noticed_sooner() -> None:
    """A client that has sent a heartbeat is expected to go on; any other message counts as well."""
    lifetime = Lifetime(LIMITS, now_s=0)
    lifetime.heard(1, heartbeat=True)
    lifetime.heard(5)
    assert lifetime.due(13.9) is None
    assert lifetime.due(14) is Step.IDLE


@given(st.lists(st.floats(0, 200), min_size=1).map(sorted))
def test_each_step_is_due_at_most_once(times: list[float]) -> None:
    """Whenever it is looked at, no step comes twice and none before its time."""
    lifetime = Lifetime(LIMITS, now_s=0)
    seen: list[Step] = []
    for now_s in times:
        lifetime.heard(now_s)
        step = lifetime.due(now_s)
        if step is not None:
            assert now_s >= {Step.REFRESH: 100, Step.WARN: 105, Step.EXPIRE: 120}[step]
            seen.append(step)
    assert len(seen) == len(set(seen))
