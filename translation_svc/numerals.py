"""Numbers in a text: which of them a translation lost, and how the target language writes them. Pure.

Engines are given numbers as they are, for they decide about what stands beside them ("21 years", "1 year"),
and write them as the target language does ("1,234.56" becomes "1.234,56"). A number counts as kept when its
digits are there; an ordinal also as a Roman one ("21st century", "siglo XXI"), and an hour of the afternoon
only as one of 24 ("7 p.m.", "19:00") or with a word for afternoon, evening or night.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from translation_svc.placeholders import Span

_NUMBER = r"\d+(?:[.,:/-]\d+)*"
_FIGURE = re.compile(
    rf"(?<![\w.,:/])(?:(?P<sign>[+-])(?=\d))?(?P<euro>€\s?)?(?P<number>{_NUMBER})"
    r"(?:(?P<mark>\s?(?:[%‰]|€(?!\s?\d)))|(?P<ordinal>(?:st|nd|rd|th)\b)|(?P<noon>\s?(?P<half>[ap])\.?m\b\.?))?",
    re.IGNORECASE,
)
_AMOUNT = re.compile(
    rf"(?:(?:US|CA|AU|NZ|HK)?\$|[£¥₹₽₩])\s?{_NUMBER}|(?<![\w.,:/-]){_NUMBER}\s?[£¥₹₽₩](?!\s?\d)"
)
_RUN = re.compile(r"\d+")
_JOINED = re.compile(r"\d+(?:[.,'’\u00a0\u202f ]\d+)+")
_ROMAN = re.compile(r"\b[IVXLC]+")
_ROMAN_DIGITS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_POINT = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+")
_COMMA = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d+,\d+")
_DECIMAL_POINT = re.compile(r"bn|cy|en|ga|gu|he|hi|ja|kn|ko|ml|mr|ms|mt|pa|si|sw|ta|te|th|tl|ur|yo|zh")
_NOON = 12
_LATE = re.compile(
    r"\b(?:p\.? ?m\b|tard[ea]|noite|noche|vespre|nit\b|soir|nuit|après|sera\b|notte|pomeriggio|abend|nach)",
    re.IGNORECASE,
)
_SWAP = str.maketrans(".,", ",.")
_ORDINAL = {"es": "º", "pt": "º", "gl": "º", "it": "º", "ca": "è", "fr": "e"}


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in a text; `answers` are the sets of digits by one of which a translation keeps it."""

    start: int
    end: int
    answers: tuple[tuple[str, ...], ...]
    signs: str = ""
    """Signs that a translation must have, too."""
    in_24_hours: tuple[tuple[str, ...], ...] = ()
    """Of a time that is another one without its "p.m.": answers that stand for themselves."""


def figures(text: str) -> list[Figure]:
    """The numbers of `text`."""
    return [
        Figure(found.start(), _end(found), tuple(_answers(found)), _signs(found), tuple(_in_24_hours(found)))
        for found in _FIGURE.finditer(text)
    ]


def lost(wanted: Sequence[Figure], translated: str) -> bool:
    """Whether a translation lacks one of the numbers."""
    there = Counter(_RUN.findall(translated))
    there.update("".join(_RUN.findall(joined)) for joined in _JOINED.findall(translated))
    there.update(f"Roman {_roman(word)}" for word in _ROMAN.findall(translated))
    is_late = _LATE.search(translated) is not None
    for figure in wanted:
        answers = figure.in_24_hours + (figure.answers if is_late or not figure.in_24_hours else ())
        answer = next((answer for answer in answers if not Counter(answer) - there), None)
        if answer is None or not all(_has(sign, translated) for sign in figure.signs):
            return True
        there.subtract(answer)
    return False


def numbers(text: str, *, source: str, target: str) -> list[Span]:
    """All numbers of `text`, as `target` writes them."""
    return [
        Span(found.start(), _end(found), _written(found, source, target)) for found in _FIGURE.finditer(text)
    ]


def amounts(text: str, *, source: str, target: str) -> list[Span]:
    """Sums of money whose sign engines take for a word or for another currency. Euros they get right."""
    return [
        Span(found.start(), found.end(), localised(found[0], source=source, target=target))
        for found in _AMOUNT.finditer(text)
    ]


def localised(number: str, *, source: str, target: str) -> str:
    """`number` with the decimal sign of the target language; dates, times and versions stay as they are."""
    from_point, to_point = _DECIMAL_POINT.fullmatch(source), _DECIMAL_POINT.fullmatch(target)
    if bool(from_point) == bool(to_point):
        return number
    plain = _POINT if from_point else _COMMA
    digits = re.search(_NUMBER, number)
    if digits is None or not plain.fullmatch(digits[0]):
        return number
    return number[: digits.start()] + digits[0].translate(_SWAP) + number[digits.end() :]


def _answers(found: re.Match[str]) -> Iterator[tuple[str, ...]]:
    runs = tuple(_RUN.findall(found["number"]))
    yield runs
    if len(runs) > 1:
        yield ("".join(runs),)
    if found["ordinal"]:
        yield (f"Roman {runs[0]}",)


def _in_24_hours(found: re.Match[str]) -> Iterator[tuple[str, ...]]:
    hour = _hour(found)
    said, *minutes = _RUN.findall(found["number"])
    if hour is not None and hour != int(said):
        for spelt in (str(hour), f"{hour:02}"):
            yield (spelt, *minutes)
            yield ("".join((spelt, *minutes)),)


def _hour(found: re.Match[str]) -> int | None:
    """The hour of 24, of an "a.m." or "p.m."."""
    if not found["noon"]:
        return None
    hour = int(_RUN.findall(found["number"])[0])
    return hour % _NOON + (_NOON if found["half"] in "pP" else 0) if hour <= _NOON else None


def _signs(found: re.Match[str]) -> str:
    return "".join(filter(None, ((found["sign"]), found["euro"] and "€", (found["mark"] or "").strip())))


def _has(sign: str, translated: str) -> bool:
    if sign == "€":
        return "€" in translated or "eur" in translated.casefold()
    if sign == "-":
        return re.search(r"(?<!\w)[-−–]\s?\d", translated) is not None
    return sign in translated


def _end(found: re.Match[str]) -> int:
    """Without a full stop that also ends the sentence, and without a "p.m." that makes no sense."""
    if found["noon"] and _hour(found) is None:
        return found.start("noon")
    ends_sentence = found["noon"] and found[0].endswith(".") and found.end() == len(found.string)
    return found.end() - 1 if ends_sentence else found.end()


def _written(found: re.Match[str], source: str, target: str) -> str:
    text = found.string[found.start() : _end(found)]
    if found["ordinal"]:
        return text[: -len(found["ordinal"])] + _ORDINAL.get(target, ".")
    hour = _hour(found)
    if hour is not None:
        _, *minutes = _RUN.findall(found["number"])
        return ":".join((str(hour), *(minutes or ["00"])))
    return localised(text, source=source, target=target)


def _roman(word: str) -> int:
    values = [_ROMAN_DIGITS[letter] for letter in word]
    return sum(
        -value if value < following else value
        for value, following in zip(values, [*values[1:], 0], strict=True)
    )
