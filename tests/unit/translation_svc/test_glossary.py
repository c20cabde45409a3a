"""Fixed terms."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.glossary import Glossary


def _replaced(glossary: Glossary, text: str, target: str = "es") -> list[tuple[str, str]]:
    return [(text[span.start : span.end], span.becomes) for span in glossary.spans(text, target)]


def test_terms_are_whole_words_in_any_case() -> None:
    """Not parts of words."""
    glossary = Glossary({"cat": {"es": "GATO"}})
    assert _replaced(glossary, "Cat, concat, CAT.") == [("Cat", "GATO"), ("CAT", "GATO")]


def test_longer_terms_win() -> None:
    """A phrase before its words, whatever blanks it is written with."""
    glossary = Glossary({"machine": {"es": "máquina"}, "machine learning": {"es": "ML"}})
    assert _replaced(glossary, "machine  learning machine") == [
        ("machine  learning", "ML"),
        ("machine", "máquina"),
    ]


def test_a_term_without_a_translation_into_the_target_is_an_ordinary_word() -> None:
    """Other languages' terms have no effect."""
    glossary = Glossary({"cat": {"fr": "CHAT"}, "  ": {"es": "x"}})
    assert _replaced(glossary, "cat") == []
    assert _replaced(Glossary(), "cat") == []


def test_signs_in_terms_are_taken_literally() -> None:
    """C++ is not a regular expression."""
    assert _replaced(Glossary({"C++": {"es": "C++"}}), "I like C++ a lot") == [("C++", "C++")]


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("Kubernetes", "Kubernetes is here.", ["Kubernetes"]),
        ("Kubernetes", "Kubernetes' API and kubernetes’s nodes.", ["Kubernetes", "kubernetes"]),
        ("cat", "Two cats and a cat's tail.", ["cat"]),
        ("IT", "It is IT, isn't it?", ["IT"]),
        ("R&D", "Our R&D, our r&d.", ["R&D"]),
        ("O’Reilly", "An O'Reilly book.", ["O'Reilly"]),
        ("new york", "New\u00a0York and New  York", ["New\u00a0York", "New  York"]),
        ("e-mail", "An e-mail, no re-e-mailing.", ["e-mail"]),
        ("Straße", "Die STRASSE, die Straße, Straßen.", ["Straße"]),
        ("東京", "私は東京に行く。", ["東京"]),
        ("서울", "서울에서, 북서울.", ["서울"]),
        ("Москва", "Москва, москва и Москвы.", ["Москва", "москва"]),
        ("हिन", "हिन्दी और हिन।", ["हिन"]),
        ("กรุงเทพ", "ไปกรุงเทพด้วย", ["กรุงเทพ"]),
        ("القاهرة", "في القاهرة.", ["القاهرة"]),
    ],
)
def test_where_a_term_is_met(term: str, text: str, found: list[str]) -> None:
    """Whole words in the form given, in scripts with and without blanks."""
    assert [text[span.start : span.end] for span in Glossary({term: {"es": "x"}}).spans(text, "es")] == found


def test_terms_for_all_targets_yield_to_those_for_one() -> None:
    """`*` is for what nothing else is given for."""
    glossary = Glossary({"cat": {"*": "CAT", "es": "GATO"}})
    assert _replaced(glossary, "cat", "es") == [("cat", "GATO")]
    assert _replaced(glossary, "cat", "fr") == [("cat", "CAT")]


def test_a_session_s_terms_win_language_by_language() -> None:
    """In the session's spelling."""
    base = Glossary({"IT": {"es": "TI", "fr": "IT"}, "cat": {"es": "gato"}})
    session = Glossary({"it": {"es": "ELLO"}})
    assert session.over(base).terms == {"it": {"es": "ELLO", "fr": "IT"}, "cat": {"es": "gato"}}
    assert session.over(Glossary()) is session
    assert Glossary().over(base) is base


def test_the_version_tells_glossaries_apart() -> None:
    """For the keys of cached sentences."""
    assert Glossary({"a": {"es": "b"}}).version != Glossary({"a": {"es": "c"}}).version


_WORDS = st.lists(st.sampled_from(["machine", "learning", "deep", "a", "It", "IT", "machines"]), max_size=8)


@given(_WORDS, st.sets(st.sampled_from(["machine", "machine learning", "deep machine learning", "IT", "a"])))
def test_spans_never_overlap_and_are_terms(words: list[str], terms: set[str]) -> None:
    """The longest that begins first."""
    glossary, text = Glossary({term: {"es": term.upper()} for term in terms}), " ".join(words)
    spans = glossary.spans(text, "es")
    assert all(one.end <= other.start for one, other in itertools.pairwise(spans))
    for span in spans:
        assert span.becomes == text[span.start : span.end].upper()
        longer = [term for term in terms if text[span.start :].lower().startswith(f"{term.lower()} ")]
        assert len(max([*longer, ""], key=len)) <= span.end - span.start or "IT" in longer
