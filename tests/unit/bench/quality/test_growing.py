"""What is measured of growing captions."""

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from bench.quality.display import Screen
from bench.quality.growing import COMMITTED_AFTER_S, FINAL_AFTER_S, WORDS_PER_S, captions, settled, updates
from gateway.captions import OpenCaption

TEN = "one two three four five six seven eight nine ten"


def _as_it_is(text: str) -> str:
    return text


@given(st.integers(0, 80), st.sampled_from([0.2, 0.5, 1.0, 3.0]))
def test_words_are_committed_in_order_and_only_once_they_were_said(words: int, interval_s: float) -> None:
    """And captions are renewed no more often than at the interval, and before the final one."""
    found = list(updates(words, interval_s=interval_s))
    for (one_s, fewer), (other_s, more) in itertools.pairwise(found):
        assert other_s - one_s >= interval_s - 1e-9
        assert fewer < more
    for at_s, count in found:
        assert 0 < count <= words
        assert count / WORDS_PER_S + COMMITTED_AFTER_S <= at_s + 1e-9
        assert at_s < words / WORDS_PER_S + FINAL_AFTER_S


def test_a_translation_that_grows_is_not_erased() -> None:
    """Nothing is deleted, and some was seen early."""
    beginnings = {count: " ".join(TEN.split()[:count]) for count in range(1, 11)}
    seen = captions(TEN, beginnings, _as_it_is, interval_s=0.5)
    assert (seen.flicker.erased, seen.flicker.final) == (0, 10)
    assert 0 < seen.seen_share < 1
    assert max(seen.waits_s) < COMMITTED_AFTER_S + 1


def test_what_changes_its_mind_is_erased_and_late() -> None:
    """Every word of it, every time."""
    beginnings = {count: " ".join([str(count)] * count) for count in range(1, 11)}
    seen = captions(TEN, beginnings, _as_it_is, interval_s=0.5)
    counts = [count for _, count in updates(10, interval_s=0.5)]
    assert seen.flicker.normalised_erasure == sum(counts) / 10
    assert seen.seen_share == 0
    caption = OpenCaption()
    calm = captions(TEN, beginnings, lambda text: caption.show(0, text), interval_s=0.5)
    assert calm.flicker.normalised_erasure <= 0.2


def test_figures_of_nothing_are_none() -> None:
    """Rather than a division by zero."""
    assert math.isnan((captions("", {0: ""}, _as_it_is, interval_s=1)).seen_share)


def test_a_word_has_settled_with_those_before_it() -> None:
    """A change in front of it counts for it too."""
    texts = ["a", "a b", "x b", "x b c"]
    screens = [Screen(at_s, tuple(text.split()), 0, 0) for at_s, text in enumerate(texts)]
    assert settled(screens) == [2, 2, 3]
