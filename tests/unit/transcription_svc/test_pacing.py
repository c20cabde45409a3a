"""How often a stream has partial results."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from transcription_svc.pacing import Pace

USUAL_MS = 500.0


def paced(took_ms: Sequence[float], *, every_ms: float = USUAL_MS) -> Pace:
    """A pace after decodes that took so long, each so much audio after the one before."""
    pace = Pace(USUAL_MS)
    for number, took in enumerate(took_ms, start=1):
        pace.took(took, position_ms=number * every_ms)
    return pace


def test_one_slow_decode_moves_nothing() -> None:
    """Partial results stay at their places when a decode comes late: words do not depend on chance."""
    pace = paced([200] * 20 + [900])
    assert pace.interval_ms == USUAL_MS
    assert not pace.slowed


def test_decodes_that_stay_slow_make_partial_results_rare() -> None:
    """When decodes take most of the time for a while, partial results leave room for finals."""
    pace = paced([450] * 40)
    assert pace.slowed
    assert pace.interval_ms == 2.5 * 450


def test_audio_that_waits_makes_partial_results_rare() -> None:
    """When live audio would wait for more than a second, places are left out, until it does not wait."""
    pace = paced([330] * 4, every_ms=50)
    assert pace.slowed
    pace.took(200, position_ms=3_000)
    assert not pace.slowed


@given(st.lists(st.tuples(st.floats(0, 20_000), st.floats(0, 5_000)), max_size=60))
def test_the_interval_has_bounds(decodes: list[tuple[float, float]]) -> None:
    """Partial results are never more frequent than usual and never stop."""
    pace = Pace(USUAL_MS)
    position_ms = 0.0
    for took_ms, passed_ms in decodes:
        position_ms += passed_ms
        pace.took(took_ms, position_ms=position_ms)
        assert USUAL_MS <= pace.interval_ms <= 3_000
        assert pace.slowed == (pace.interval_ms > USUAL_MS)
