"""What a reader sees of a growing transcript."""

import math

from bench.quality.display import (
    Flicker,
    Screen,
    Shown,
    commit_times_s,
    first_shown_s,
    flicker,
    screens,
)


def partial(at_s: float, text: str, stable: str = "", *, segment: int = 0) -> Shown:
    """A partial result."""
    return Shown(at_s, segment, text, stable, False, 0.0, at_s)


def final(at_s: float, text: str, *, segment: int = 0) -> Shown:
    """A final result."""
    return Shown(at_s, segment, text, text, True, 0.0, at_s)


TALK = screens(
    [
        partial(1.0, "The cap"),
        partial(2.0, "the cat sat", "the"),
        final(3.0, "The cat sat."),
        partial(4.0, "On a", segment=1),
        final(5.0, "on the mat", segment=1),
    ],
    "en",
)


def test_partial_results_replace_and_final_ones_stay() -> None:
    """Each screen holds all final words and the newest partial ones, without case and punctuation."""
    assert TALK[1] == Screen(2.0, ("the", "cat", "sat"), stable=1, final=0)
    assert TALK[3] == Screen(4.0, ("the", "cat", "sat", "on", "a"), stable=3, final=3)
    assert TALK[-1] == Screen(5.0, ("the", "cat", "sat", "on", "the", "mat"), stable=6, final=6)


def test_words_are_committed_when_they_first_count_as_stable() -> None:
    """By a stable prefix or by a final result."""
    assert commit_times_s(TALK) == [2.0, 3.0, 3.0, 5.0, 5.0, 5.0]
    assert commit_times_s([]) == []


def test_a_promise_that_shrinks_keeps_its_first_time() -> None:
    """The moment at which a reader could first have relied on the word."""
    shown = screens([partial(1.0, "a b", "a b"), partial(2.0, "a", "a"), final(3.0, "a c")], "en")
    assert commit_times_s(shown) == [1.0, 1.0]


def test_a_place_is_shown_from_its_first_word_on() -> None:
    """In whatever version, but not before its time."""
    assert first_shown_s(TALK, 1, not_before_s=0.0) == 1.0
    assert first_shown_s(TALK, 1, not_before_s=1.5) == 2.0
    assert first_shown_s(TALK, 9, not_before_s=0.0) is None


def test_changed_words_are_counted_once_for_each_change() -> None:
    """Cap → cat and a → the mat: two of eight shown words changed."""
    found = flicker(TALK)
    assert found == Flicker(shown=8, changed=2, erased=2, final=6, taken_back=0)
    assert found.changed_share == 2 / 8
    assert found.normalised_erasure == 2 / 6


def test_a_word_put_in_changes_no_other() -> None:
    """But everything behind it is written anew."""
    found = flicker(screens([partial(1.0, "a b c"), final(2.0, "x a b c")], "en"))
    assert (found.shown, found.changed, found.erased) == (4, 0, 3)


def test_broken_promises_are_counted() -> None:
    """A word that was stable and is another in the end."""
    found = flicker(screens([partial(1.0, "a b", "a b"), final(2.0, "a c")], "en"))
    assert found.taken_back == 1


def test_flicker_adds_up() -> None:
    """Over talks; nothing shown has no share."""
    assert Flicker(1, 2, 3, 4, 5) + Flicker(1, 1, 1, 1, 1) == Flicker(2, 3, 4, 5, 6)
    assert math.isnan(Flicker().changed_share)
    assert math.isnan(Flicker().normalised_erasure)
