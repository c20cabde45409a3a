"""Two hearings of one sentence, put together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.continuity import Joined, join, without_repeated

texts = st.lists(st.sampled_from(["a", "b", "c", "D.", "e,"]), max_size=8).map(" ".join)


@given(texts, texts)
def test_what_was_shown_begins_the_text(shown: str, heard: str) -> None:
    """Whatever is heard, no shown word is lost, and nothing but heard words is added."""
    joined = join(shown, heard)
    old, new = shown.split(), joined.text.split()
    assert new[: len(old)] == old
    assert not new[len(old) :] or heard.split()[-len(new[len(old) :]) :] == new[len(old) :]
    assert shown.endswith(joined.left)


@given(texts, texts)
def test_the_same_words_go_on_as_they_are(shown: str, more: str) -> None:
    """A stream that says again what was shown, and more, changes nothing."""
    whole = f"{shown} {more}".strip()
    assert join(shown, whole).text == whole
    assert without_repeated(shown, whole).text == more


@pytest.mark.parametrize(
    ("shown", "heard", "joined"),
    [
        ("", "Anything else", Joined("Anything else")),
        ("Ask not what", "ask not, what your country", Joined("Ask not what your country")),
        ("Two and", "To and three", Joined("Two and three")),
        ("the cat sat", "cat sat down", Joined("the cat sat down")),
        ("cat sat", "The cat sat down", Joined("cat sat down")),
        ("one two three four", "one two", Joined("one two three four", "three four")),
        ("one two", "", Joined("one two", "one two")),
        ("a b c d", "a b x y z", Joined("a b c d z")),
        ("— one", "— one two", Joined("— one two")),
    ],
)
def test_words_are_aligned(shown: str, heard: str, joined: Joined) -> None:
    """Spelling, words misheard, and ends that lie elsewhere."""
    assert join(shown, heard) == joined


@pytest.mark.parametrize(
    ("repeated", "heard", "rest"),
    [
        ("three four", "Three, four five", Joined("five")),
        ("three four", "three", Joined("", "four")),
        ("three four", "My fellow Americans", Joined("My fellow Americans")),
        ("one two three four", "one two tree four five", Joined("five")),
        ("three", "", Joined("", "three")),
        ("", "three", Joined("three")),
    ],
)
def test_repeated_words_are_left_out(repeated: str, heard: str, rest: Joined) -> None:
    """Only words that are the same for the greater part."""
    assert without_repeated(repeated, heard) == rest
