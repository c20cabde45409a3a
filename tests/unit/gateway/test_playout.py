"""What is still to be heard."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.playout import MOST_MS, Playout


def test_voices_are_heard_one_after_the_other() -> None:
    """What came while another was heard waits for it; languages do not wait for each other."""
    playout = Playout()
    playout.add("es", duration_ms=1_000, now_ms=100)
    playout.add("es", duration_ms=2_000, now_ms=600)
    assert playout.unplayed_ms("es", now_ms=600) == 2_500
    assert playout.unplayed_ms("fr", now_ms=600) == 0
    assert playout.unplayed_ms("es", now_ms=4_000) == 0
    playout.add("es", duration_ms=500, now_ms=5_000)
    assert playout.unplayed_ms("es", now_ms=5_200) == 300


@given(
    st.lists(st.tuples(st.integers(0, 10**13), st.integers(0, 20_000)), max_size=20), st.integers(0, 10**13)
)
def test_a_clock_that_jumps_does_not_make_voices_late_for_long(
    voices: list[tuple[int, int]], now_ms: int
) -> None:
    """Never more than a minute."""
    playout = Playout()
    for at_ms, duration_ms in voices:
        playout.add("es", duration_ms=duration_ms, now_ms=at_ms)
        assert 0 <= playout.unplayed_ms("es", now_ms=now_ms) <= MOST_MS
