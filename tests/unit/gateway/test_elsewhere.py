"""Languages that are made on for listeners whose gateway went away."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.elsewhere import SETTLED_S, Elsewhere

WINDOW_S = 120.0


def test_who_left_elsewhere_is_awaited() -> None:
    """For the window, when the last of a language is gone."""
    elsewhere = Elsewhere(window_s=WINDOW_S)
    elsewhere.changed({"es": 2}, {"es": 1}, now_s=0)
    assert elsewhere.awaited(now_s=0) == set()
    elsewhere.changed({"es": 1, "fr": 1}, {"fr": 1}, now_s=5)
    assert elsewhere.awaited(now_s=5 + WINDOW_S - 1) == {"es"}
    assert elsewhere.awaited(now_s=5 + WINDOW_S) == set()


def test_who_left_here_is_not() -> None:
    """The fan-out knows of those, if they may come back at all."""
    elsewhere = Elsewhere(window_s=WINDOW_S)
    elsewhere.left_here("es", now_s=0)
    elsewhere.left_here("es", now_s=0)
    elsewhere.changed({"es": 2}, {"es": 1}, now_s=1)
    elsewhere.changed({"es": 1}, {}, now_s=1)
    assert elsewhere.awaited(now_s=1) == set()
    elsewhere.changed({"es": 1}, {}, now_s=2)
    assert elsewhere.awaited(now_s=2) == {"es"}


def test_a_departure_that_nobody_told_of_is_forgotten() -> None:
    """A seat that was taken over here is left without being one less."""
    elsewhere = Elsewhere(window_s=WINDOW_S)
    elsewhere.left_here("es", now_s=0)
    elsewhere.changed({"es": 1}, {}, now_s=SETTLED_S + 1)
    assert elsewhere.awaited(now_s=SETTLED_S + 1) == {"es"}


@given(st.integers(0, 5), st.integers(0, 5))
def test_one_elsewhere_among_many_here_counts(here: int, there: int) -> None:
    """However they go together, a language is awaited exactly if somebody of it was elsewhere."""
    elsewhere = Elsewhere(window_s=WINDOW_S)
    for _ in range(here):
        elsewhere.left_here("es", now_s=0)
    if here + there:
        elsewhere.changed({"es": here + there}, {}, now_s=1)
    assert elsewhere.awaited(now_s=1) == ({"es"} if there else set())
