"""Sentence ends."""

import pytest

from transcription_svc.sentences import ends_clause, ends_sentence, ends_text, sentence_end


@pytest.mark.parametrize("word", ["zero.", "que?", "now!", 'said."', "end…"])
def test_stops_end_sentences(word: str) -> None:
    """A full stop, question mark or exclamation mark ends a sentence, also inside quotes."""
    assert ends_sentence(word)


@pytest.mark.parametrize("word", ["Dr.", "J.", "3.", "word", "word,", "Sra.", "wait..."])
def test_abbreviations_and_numbers_do_not(word: str) -> None:
    """Abbreviations, initials, ordinals and unfinished words do not."""
    assert not ends_sentence(word)


def test_a_number_may_end_a_text() -> None:
    """At the end of a text there is nothing that a number's point could belong to."""
    assert ends_text("1.")
    assert ends_clause("two,")


def test_first_sentence_with_something_after_it() -> None:
    """A sentence counts only when more words follow, and when it is no mere interjection."""
    assert sentence_end(["Thank", "you", "all.", "Next"]) == 3
    assert sentence_end(["Thank", "you", "all."]) == 0
    assert sentence_end(["Yes.", "Thank", "you", "all.", "Next"]) == 4
    assert sentence_end([]) == 0
