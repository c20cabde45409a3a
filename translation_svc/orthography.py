"""What engines lose or spoil of a sentence's looks, and how it comes back."""

import re
import unicodedata
from dataclasses import dataclass

_NOT_SPOKEN = re.compile(r"[{}<>\\^|~*_`\x00-\x1f\x7f]+")
_PLAIN = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "—": " - ", "–": "-"})
_FINAL_MARK = re.compile(r"([.!?…]+)[\"'”’»)\]]*$")
_CONTINUES = re.compile(r"[,;:—–-]$")
_SPACE_BEFORE = re.compile(r"\s+([,.;:!?…)\]»”](?![0-9]))")
_SPACE_AFTER = re.compile(r"([(\[«“¿¡])\s+")
_ELISION = re.compile(
    r"(?<!['’\w])((?:[cdjlmnst]|qu|dell|nell|all|dall|sull|un|quest)['’])\s+(?=[aeiouhàèéêìíòóùú])",
    re.IGNORECASE,
)
_OPENING = re.compile(r"^[\s\"'“‘«(\[—–-]*")
_OPENS = {"?": "¿", "!": "¡"}
_LOOP = re.compile(r"(\b[\w'’-]+(?:[ ,]+[\w'’-]+){0,3}[ ,]+?)\1{3,}|((?:[^\w\s]\s*){1,2}?)\2{5,}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A sentence as engines do best with it, and what was done to it."""

    text: str
    final_mark: str
    """The marks that the sentence ends with by itself, or empty."""
    stop_added: bool
    starts_upper: bool
    lowered_start: bool
    """Whether it began with a small letter, for which a capital was put."""


def clean(text: str) -> str:
    """Composed Unicode, single blanks, plain quotes and dashes, and no signs that nobody speaks.

    Models drop words beside typographic quotes and dashes, and stumble over the rest.
    """
    plain = unicodedata.normalize("NFC", text).translate(_PLAIN)
    return " ".join(_NOT_SPOKEN.sub(" ", plain).split())


def prepare(sentence: str) -> Prepared:
    """A capital in front and a full stop at the end, where they lack."""
    mark = _FINAL_MARK.search(sentence)
    stop_added = mark is None
    first = _first_letter(sentence)
    letter = sentence[first : first + 1]
    lower = letter.islower()
    text = sentence[:first] + letter.upper() + sentence[first + 1 :] if lower else sentence
    if stop_added:
        text = _CONTINUES.sub("", text).rstrip() + "."
    return Prepared(text, mark[1] if mark else "", stop_added, letter.isupper(), lower)


def finish(translated: str, prepared: Prepared, *, language: str) -> str:
    """The translation with the source's capital, final mark and, in Spanish, opening marks."""
    text = _calm(tidy(translated), prepared.text)
    text = _final_mark(text, prepared)
    text = _capital(text, prepared)
    return _opening_marks(text, language)


def tidy(text: str) -> str:
    """No blank before closing or after opening punctuation, none after an elision."""
    text = _SPACE_BEFORE.sub(r"\1", " ".join(text.split()))
    return _ELISION.sub(r"\1", _SPACE_AFTER.sub(r"\1", text))


def _calm(text: str, source: str) -> str:
    """Cut a model's stammer ("b, b, b, b") down to one, unless the speaker stammers."""
    return text if _LOOP.search(source) else _LOOP.sub(lambda loop: loop[1] or loop[2], text).strip()


def _final_mark(text: str, prepared: Prepared) -> str:
    if prepared.stop_added:
        return text.removesuffix(".").rstrip() if not text.endswith("..") else text
    if text and not _FINAL_MARK.search(text):
        return _CONTINUES.sub("", text) + prepared.final_mark
    return text


def _capital(text: str, prepared: Prepared) -> str:
    first = _first_letter(text)
    letter = text[first : first + 1]
    word = text[first:].split(" ", 1)[0]
    if prepared.starts_upper and letter.islower():
        return text[:first] + letter.upper() + text[first + 1 :]
    if prepared.lowered_start and letter.isupper() and not (len(word) > 1 and word.isupper()):
        return text[:first] + letter.lower() + text[first + 1 :]
    return text


def _opening_marks(text: str, language: str) -> str:
    if language != "es":
        return text.replace("¿", "").replace("¡", "")
    mark = _FINAL_MARK.search(text)
    sign = next((sign for sign in _OPENS if mark and sign in mark[1]), "")
    if not sign or _OPENS[sign] in text:
        return text
    start = len(_OPENING.match(text)[0]) if _OPENING.match(text) else 0  # type: ignore[index]  # it matches empty
    return text[:start] + _OPENS[sign] + text[start:]


def _first_letter(text: str) -> int:
    """Where the first word's letter stands; the text's length when it begins otherwise (a number)."""
    found = re.match(r"[\s\"'“‘«(\[¿¡—–-]*(?=[^\W\d_])", text)
    return found.end() if found else len(text)
