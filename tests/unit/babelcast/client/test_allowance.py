"""Audio messages stay within what the server takes."""

from hypothesis import given
from hypothesis import strategies as st

from babelcast.client.allowance import Allowance


@given(st.lists(st.floats(0, 2), min_size=1, max_size=100), st.floats(0, 50))
def test_no_more_goes_than_burst_and_rate_allow(pauses: list[float], extra: float) -> None:
    """In any stretch from the beginning: burst, extra, and the rate times the time."""
    allowance = Allowance(10, 15, 0.0)
    allowance.renew(0.0, extra=extra)
    now_s, taken = 0.0, 0
    for pause_s in pauses:
        now_s += pause_s
        while allowance.wait_s(now_s) <= 0:
            allowance.take(now_s)
            taken += 1
        assert taken <= 15 + extra + 10 * now_s + 1e-6


def test_a_refusal_stops_for_as_long_as_the_server_says() -> None:
    """Then messages go one by one."""
    allowance = Allowance(10, 15, 0.0)
    allowance.renew(0.0)
    allowance.refused(0.0, retry_after_s=0.5)
    assert allowance.wait_s(0.0) == 0.5
    allowance.take(0.5)
    assert allowance.wait_s(0.5) == 0.0
