"""Words of any script, and the text that they make.

Chinese, Japanese, Thai, Lao, Khmer and Burmese put no spaces between words. There a "word" is whatever piece
the engine gives, and one that a space follows in the text carries it at its end: in Thai that ends a phrase.
"""

import functools
import unicodedata
from collections.abc import Iterable

_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3000, 0x30FF),  # signs, Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),
    (0xFF00, 0xFFEF),  # full-width signs
    (0x20000, 0x3FFFF),
)
_PARTS_OF_WORDS = "%#@&*°"
"""Signs that Unicode takes for punctuation and a reader does not."""


def unspaced(sign: str) -> bool:
    """Whether a sign belongs to a script without spaces between words; False for an empty string."""
    return bool(sign) and any(first <= ord(sign[0]) <= last for first, last in _UNSPACED)


def join(words: Iterable[str]) -> str:
    """The text of words; that of the first n is a beginning of that of all, but for spaces at its end."""
    text = ""
    for word in words:
        close = not text or text.endswith(" ") or unspaced(text[-1]) or unspaced(word[:1])
        text += word if close else f" {word}"
    return text.rstrip()


def pieces(text: str) -> list[str]:
    """The words of a text, to compare it: what stands between spaces, and each sign of unspaced scripts."""
    spread = "".join(f" {sign} " if unspaced(sign) else sign for sign in text)
    return [word for word in spread.split() if key(word)]


def bare(text: str) -> str:
    """`text` without the punctuation and spaces at its end."""
    end = len(text)
    while end and _is_punctuation(text[end - 1]):
        end -= 1
    return text[:end]


@functools.lru_cache(maxsize=4096)
def key(word: str) -> str:
    """What makes two words the same: neither case nor punctuation counts."""
    start, end = 0, len(word)
    while end and _is_punctuation(word[end - 1]):
        end -= 1
    while start < end and _is_punctuation(word[start]):
        start += 1
    return word[start:end].casefold()


def _is_punctuation(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "PZ" and sign not in _PARTS_OF_WORDS
