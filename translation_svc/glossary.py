"""Terms whose translation is fixed, by the speaker or by whoever runs the service.

How a term is met in what is said:

- As whole words, any blanks between them, in any case; but one in capitals alone ("IT", "WHO") only so.
- In the form it is given in: "cats" is no "cat", so that a plural is never replaced by a singular. What a
  language hangs on with an apostrophe ("Kubernetes'", "NASA's") stays outside the term.
- Where letters are written without blanks (Chinese, Japanese, Thai) wherever they stand; in Korean as the
  beginning of a word, which particles may follow.
- The longest term that begins first counts, and nothing within it.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from translation_svc.cache import version_of
from translation_svc.placeholders import Span

ANY = "*"
"""In place of a target language: all for which there is nothing else."""

_ALIKE = str.maketrans("’‘ʼς", "'''σ")
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")


@dataclass(frozen=True)
class Glossary:
    """Term to target language to translation. For a target without one, a term is an ordinary word."""

    terms: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @cached_property
    def version(self) -> str:
        """The same for the same terms and translations."""
        return version_of(self.terms)

    def over(self, base: "Glossary") -> "Glossary":
        """These terms and those of `base`; these win, for each language."""
        if not base.terms or not self.terms:
            return self if self.terms else base
        merged: dict[str, tuple[str, dict[str, str]]] = {}
        for term, translations in (*base.terms.items(), *self.terms.items()):
            key = folded(term)
            _, before = merged.get(key, ("", {}))
            merged[key] = term, before | dict(translations)
        return Glossary(dict(merged.values()))

    def spans(self, text: str, target: str) -> list[Span]:
        """Where terms with a translation into `target` stand in `text`."""
        index = self._indexes.get(target)
        if index is None:
            index = self._indexes[target] = _Index.of(self.terms, target)
        return list(index.find(text)) if index.translations else []

    @cached_property
    def _indexes(self) -> dict[str, "_Index"]:
        return {}


@dataclass(frozen=True, slots=True)
class _Index:
    """The terms for one target: looking them up takes as long for 5,000 of them as for 5."""

    translations: Mapping[str, str]
    """By folded term."""
    capitals: frozenset[str]
    """Folded terms that count in capitals only."""
    lengths: Mapping[str, tuple[int, ...]]
    """First sign of folded terms to their lengths, longest first."""

    @classmethod
    def of(cls, terms: Mapping[str, Mapping[str, str]], target: str) -> "_Index":
        translations: dict[str, str] = {}
        capitals: set[str] = set()
        lengths: dict[str, set[int]] = {}
        for term, into in terms.items():
            becomes, key = into.get(target) or into.get(ANY), folded(term)
            if becomes and key:
                translations[key] = becomes
                lengths.setdefault(key[0], set()).add(len(key))
                if term.isupper() and sum(map(str.isalpha, term)) > 1:
                    capitals.add(key)
        sorted_lengths = {sign: tuple(sorted(found, reverse=True)) for sign, found in lengths.items()}
        return cls(translations, frozenset(capitals), sorted_lengths)

    def find(self, text: str) -> Iterator[Span]:
        plain, places = _fold(text)
        at = 0
        while at < len(plain):
            size = self._size_at(plain, at, text, places)
            if size:
                start, end = places[at], places[at + size - 1] + 1
                yield Span(start, end, self.translations[plain[at : at + size]], is_prose=True)
            at += size or 1

    def _size_at(self, plain: str, at: int, text: str, places: list[int]) -> int:
        for size in self.lengths.get(plain[at], ()):
            key, end = plain[at : at + size], at + size
            if len(key) < size or key not in self.translations:
                continue
            if not (_is_edge(plain, at) and (_is_edge(plain, end) or _is_hangul(key[-1]))):
                continue
            if key in self.capitals and not text[places[at] : places[end - 1] + 1].isupper():
                continue
            return size
        return 0


def folded(term: str) -> str:
    """What is the same for two spellings of one term."""
    plain = " ".join(unicodedata.normalize("NFC", term).split())
    return plain.lower() if plain.isascii() else _fold(plain)[0]


def _fold(text: str) -> tuple[str, list[int]]:
    """`text` with small letters and single blanks, and where each of its signs stands in `text`."""
    signs: list[str] = []
    places: list[int] = []
    for place, sign in enumerate(text.translate(_ALIKE)):
        lower = " " if sign.isspace() else sign.lower()
        if lower == " " and signs and signs[-1] == " ":
            continue
        signs.append(lower if len(lower) == 1 else sign)
        places.append(place)
    return "".join(signs), places


def _is_edge(text: str, place: int) -> bool:
    """Whether a word can begin or end between the signs before and at `place`."""
    before, after = text[place - 1 : place], text[place : place + 1]
    if not before or not after or not _is_letter(before) or not _is_letter(after):
        return True
    if unicodedata.category(after).startswith("M"):
        return False
    return _is_unspaced(before) or _is_unspaced(after)


def _is_hangul(sign: str) -> bool:
    return not sign.isascii() and unicodedata.name(sign, "").startswith("HANGUL")


def _is_letter(sign: str) -> bool:
    return sign.isalnum() or sign == "_" or unicodedata.category(sign).startswith("M")


def _is_unspaced(sign: str) -> bool:
    return not sign.isascii() and unicodedata.name(sign, "").startswith(_UNSPACED)
