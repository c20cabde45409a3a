"""Word error rate on normalised text.

Normalising makes spelling differences vanish that are no errors of recognition: case, punctuation, accents,
and digits against number words.
"""

import re
import unicodedata
from collections.abc import Sequence

from num2words import num2words

_DIGITS = re.compile(r"\d+")
_NOT_WORD = re.compile(r"[^\w]+")


def normalise(text: str, language: str) -> list[str]:
    """The words of `text` in lower case, without punctuation and accents, numbers spelt out.

    `language` is the ISO 639-1 code that numbers are spelt in.
    """
    spelt = _DIGITS.sub(lambda digits: f" {num2words(int(digits[0]), lang=language)} ", text.lower())
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", spelt) if not unicodedata.combining(sign))
    return [word for word in _NOT_WORD.sub(" ", plain.replace("'", "")).split() if word]


def edits(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Levenshtein distance in words: substitutions + deletions + insertions."""
    row = list(range(len(hypothesis) + 1))
    for position, expected in enumerate(reference, start=1):
        diagonal, row[0] = row[0], position
        for column, found in enumerate(hypothesis, start=1):
            best = min(diagonal + (expected != found), row[column] + 1, row[column - 1] + 1)
            diagonal, row[column] = row[column], best
    return row[-1]


def word_error_rate(reference: str, hypothesis: str, language: str) -> float:
    """Edits per word of the reference, 0.0 for equal texts.

    Raises: ValueError when the reference has no words.
    """
    expected = normalise(reference, language)
    if not expected:
        raise ValueError("the reference has no words")
    return edits(expected, normalise(hypothesis, language)) / len(expected)
