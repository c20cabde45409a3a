"""What a segment that begins after a cut goes on from."""

import numpy as np
import pytest

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.context import last_words, says_again
from transcription_svc.engines.base import Word


def words(text: str) -> list[Word]:
    """One each 0.3 s, in the way of a decoder that can go on from them."""
    return [
        Word(word, 0.3 * number, 0.3 * number + 0.3, (number,)) for number, word in enumerate(text.split())
    ]


NOISE = np.random.default_rng(1).normal(scale=0.1, size=5 * SAMPLE_RATE_HZ).astype(np.float32)


def test_whole_words_are_gone_on_from() -> None:
    """The words that begin in the last second, from where the one before them ends."""
    said = words("the children hurt the small dog again")
    found = last_words(said, NOISE, seconds=1.0)
    assert found is not None
    start, last = found
    assert [word.text for word in last] == ["small", "dog", "again"]
    assert start == pytest.approx(1.2 * SAMPLE_RATE_HZ, abs=0.2 * SAMPLE_RATE_HZ)


def test_what_is_short_is_gone_on_from_as_a_whole() -> None:
    """All words of a short text are taken, with the sound before the first, from the start on at most."""
    assert last_words(words("the dog"), NOISE, seconds=1.0) == (0, tuple(words("the dog")))
    later = [Word("dog", 0.5, 0.8, (1,))]
    assert last_words(later, NOISE, seconds=1.0) == (int(0.4 * SAMPLE_RATE_HZ), tuple(later))


def test_nothing_is_gone_on_from_without_words() -> None:
    """Nor from a word that is longer than the time, nor where the decoder cannot go on from words."""
    assert last_words([], NOISE, seconds=1.0) is None
    assert last_words([Word("aaaah", 0.0, 3.0, (1,))], NOISE, seconds=1.0) is None
    assert last_words([Word("dog", 0.0, 0.3)], NOISE, seconds=1.0) is None


@pytest.mark.parametrize(
    ("before", "heard", "again"),
    [
        ("un test d'équipe.", "Pour un test d'équipe. Ce que", True),
        ("quindi premere il tasto", "Premere il tasto cancelletto", True),
        ("the dog", "The dog.", True),
        ("the dog", "is the small dog", False),
        ("dog", "dog", False),
        ("ask what you can", "do for your country and ask what you can", False),
        ("ask what you can", "", False),
        ("", "ask", False),
    ],
)
def test_the_end_of_what_is_known_is_not_what_follows(before: str, heard: str, again: bool) -> None:
    """Up to three words of the end, said again soon, are an echo; one word is none."""
    assert says_again(words(before), words(heard)) is again
