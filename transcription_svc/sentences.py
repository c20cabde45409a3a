"""Sentences in running words."""

from collections.abc import Sequence

_STOPS = (".", "!", "?", "…")
_CLAUSE_STOPS = (",", ";", ":", "–", "—", *_STOPS)
_CLOSERS = "\"'»”)]"
_ABBREVIATIONS = """
mr. mrs. ms. dr. prof. st. vs. etc. e.g. i.e. sr. sra. srta. dra. ud. uds. m. mme. mlle. sig. dott. hr. z.b.
usw. bzw. nr. p.ex. pág. art.
"""
_NO_SENTENCE_END = frozenset(_ABBREVIATIONS.split())
_MIN_WORDS = 3


def ends_sentence(word: str) -> bool:
    """Whether a sentence ends with this word inside a text, where "1." may be "1.5" and "J." an initial."""
    bare = word.rstrip(_CLOSERS)
    initial = len(bare) == 2 and bare[0].isupper()  # noqa: PLR2004 - a letter and a full stop
    return ends_text(word) and not initial and not bare[:-1].replace(".", "").isdigit()


def ends_text(word: str) -> bool:
    """Whether a text that ends with this word ends with a whole sentence."""
    bare = word.rstrip(_CLOSERS)
    return bare.endswith(_STOPS) and not bare.endswith("...") and bare.casefold() not in _NO_SENTENCE_END


def ends_clause(word: str) -> bool:
    """Whether a clause or a sentence ends with this word."""
    return word.rstrip(_CLOSERS).endswith(_CLAUSE_STOPS)


def sentence_end(words: Sequence[str]) -> int:
    """Number of words of the first whole sentence that has something after it; 0 if there is none.

    Sentences of fewer than three words stay with the next one: they are mostly no sentences, and not worth a
    voice of their own.
    """
    for count in range(_MIN_WORDS, len(words)):
        if ends_sentence(words[count - 1]):
            return count
    return 0
