"""Fixed terms."""

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
