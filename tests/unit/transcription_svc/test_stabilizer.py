"""Committed words: what hypotheses agree on is shown as stable and never taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription_svc.stabilizer import (
    FlaggedItem,
    Stabilizer,
    agreements_for,
    continuation,
    flagged_caption,
    text_stability,
    word_stability,
)

WORDS = st.lists(
    st.builds(
        str.__add__, st.sampled_from(["one", "Two", "three", "vier"]), st.sampled_from(["", ",", ".", "!"])
    ),
    max_size=7,
)


@given(st.lists(WORDS, min_size=1, max_size=8), st.floats(0.7, 0.95))
def test_stable_text_only_grows(hypotheses: list[list[str]], stability: float) -> None:
    """Whatever is said later, each text begins with the stable text of every earlier one, the final too."""
    stabilizer = Stabilizer(min_stability=stability)
    stable = ""
    for hypothesis in hypotheses:
        caption = stabilizer.update(hypothesis)
        assert caption.text.startswith(caption.stable_text)
        assert caption.stable_text.startswith(stable)
        assert 0.0 <= caption.stability <= 1.0
        stable = caption.stable_text
    assert stabilizer.finish(hypotheses[-1]).startswith(stable)


def test_two_hypotheses_commit_what_they_share() -> None:
    """Words are stable once two hypotheses in a row begin with them; the last word's punctuation is not."""
    stabilizer = Stabilizer(min_stability=0.85)
    assert stabilizer.update(["So", "my."]).stable_text == ""
    caption = stabilizer.update(["So,", "my", "fellow."])
    assert (caption.text, caption.stable_text) == ("So, my fellow.", "So, my")
    assert stabilizer.update(["so", "my", "fellow", "Americans"]).stable_text == "So, my fellow"


def test_final_keeps_committed_words_and_takes_the_rest() -> None:
    """The final text continues the committed words even where it heard them differently."""
    stabilizer = Stabilizer(min_stability=0.85)
    stabilizer.update(["drop", "the", "tube"])
    stabilizer.update(["drop", "the", "tube", "when"])
    assert stabilizer.finish(["Drop", "the", "two", "when", "you", "add."]) == "drop the tube when you add."


def test_higher_stability_asks_for_more_agreement() -> None:
    """0.85 needs two hypotheses, 0.90 three, 0.95 four; never fewer than two."""
    assert [agreements_for(stability) for stability in (0.70, 0.85, 0.90, 0.95)] == [2, 2, 3, 4]


def test_commit_limit_holds_words_back() -> None:
    """Agreed words behind the limit stay uncommitted."""
    stabilizer = Stabilizer(min_stability=0.85)
    for _ in range(3):
        caption = stabilizer.update(["a", "b", "c", "d"], commit_at_most=2)
    assert caption.stable_text == "a b"


def test_split_goes_on_with_the_rest() -> None:
    """After a split the rest keeps the agreement it had."""
    stabilizer = Stabilizer(min_stability=0.85)
    stabilizer.update(["One.", "Two", "three"])
    stabilizer.update(["One.", "Two", "three", "four"], commit_at_most=1)
    rest = stabilizer.split(1).caption()
    assert (rest.text, rest.stable_text) == ("Two three four", "Two three")


@pytest.mark.parametrize(
    ("said", "heard", "covered"),
    [
        (["a", "b"], ["a", "b", "c"], 2),
        (["a", "b"], ["a", "x", "b", "c"], 3),
        (["a", "b"], ["b", "c"], 1),
        (["a", "b"], ["x", "y", "z"], 2),
        ([], ["x"], 0),
        (["a", "b", "c"], ["a", "x", "y", "c", "d"], 4),
    ],
)
def test_continuation_finds_where_new_words_begin(said: list[str], heard: list[str], covered: int) -> None:
    """The prefix that resembles what was said most is covered by it."""
    assert continuation(said, heard) == covered


def test_stability_is_the_mean_chance_of_a_word_to_stay() -> None:
    """Words that are sure count 1, a word heard once 0.62, and no words at all are sure to stay so."""
    assert text_stability([1.0, word_stability(1)]) == pytest.approx(0.81)
    assert word_stability(2) == pytest.approx(0.8556)
    assert text_stability([]) == 1.0


def test_committed_words_are_sure() -> None:
    """A text of committed words alone has stability 1: they will not be taken back."""
    stabilizer = Stabilizer(min_stability=0.85)
    stabilizer.update(["so", "my"])
    assert stabilizer.caption().stability == pytest.approx(0.62)
    assert stabilizer.update(["so", "my"]).stability == 1.0
    assert stabilizer.update(["so", "my", "fellow"]).stability == pytest.approx((1 + 1 + 0.62) / 3)


def test_words_that_wait_are_not_shown() -> None:
    """The last words can be held back, but never a committed one, nor the only one."""
    stabilizer = Stabilizer(min_stability=0.85)
    stabilizer.held_back = 2
    assert stabilizer.update(["so"]).text == "so"
    assert stabilizer.update(["so", "my", "fellow", "Americans"]).text == "so my"
    caption = stabilizer.update(["so", "my", "fellow", "Americans"])
    assert (caption.text, caption.stability) == ("so my fellow Americans", 1.0)
    assert stabilizer.words == ["so", "my", "fellow", "Americans"]


@given(st.lists(st.builds(FlaggedItem, st.sampled_from(["one", "two,", "drei."]), st.booleans())))
def test_flagged_words_have_the_same_scale(items: list[FlaggedItem]) -> None:
    """Of an engine that flags its words the leading stable ones are the stable text; flags set the score."""
    caption = flagged_caption(items)
    assert caption.text.startswith(caption.stable_text)
    stable = sum(item.stable for item in items)
    expected = (stable + 0.62 * (len(items) - stable)) / len(items) if items else 1.0
    assert caption.stability == pytest.approx(expected)
    if items and not items[0].stable:
        assert caption.stable_text == ""
