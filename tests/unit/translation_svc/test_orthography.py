"""Looks of a sentence, lost and found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.orthography import clean, finish, prepare, tidy


def _through(source: str, answer: str, language: str = "es") -> str:
    return finish(answer, prepare(source), language=language)


def test_engines_see_a_capital_and_a_full_stop() -> None:
    """Models do better with both."""
    assert prepare("so what").text == "So what."
    assert prepare("and then,").text == "And then."
    assert prepare("Done!").text == "Done!"
    assert prepare("«hola»").text == "«Hola»."
    assert prepare("3 apples").text == "3 apples."


@pytest.mark.parametrize(
    ("source", "answer", "finished"),
    [
        ("Hello there", "hola.", "Hola"),
        ("hello there", "Hola.", "hola"),
        ("and NATO", "NATO y.", "NATO y"),
        ("Hello.", "hola", "Hola."),
        ("Wait...", "Espere...", "Espere..."),
        ("Wait...", "Espere", "Espere..."),
        ("Is it?", "lo es?", "¿Lo es?"),
        ("Is it?", "¿lo es?", "¿Lo es?"),
        ("What a day!", "qué día!", "¡Qué día!"),
        ('"Is it?"', '"lo es?"', '"¿Lo es?"'),
        ("Really?!", "de verdad?!", "¿De verdad?!"),
        ("3 apples", "3 manzanas.", "3 manzanas"),
        ("Yes , no .", "sí , no .", "Sí, no."),
    ],
)
def test_the_source_gives_capital_mark_and_opening_marks(source: str, answer: str, finished: str) -> None:
    """What the engine lost comes back; what was added for it goes."""
    assert _through(source, answer) == finished


def test_opening_marks_are_spanish_only() -> None:
    """They go from every other language."""
    assert _through("¿Qué?", "¿què?", "ca") == "Què?"
    assert _through("Why?", "pourquoi?", "fr") == "Pourquoi?"


@pytest.mark.parametrize(
    ("spoilt", "tidied"),
    [
        ("hola , mundo !", "hola, mundo!"),
        ("( hola )", "(hola)"),
        ("dell' acqua e l' ora", "dell'acqua e l'ora"),
        ("a las 9 .30", "a las 9 .30"),
        ("rock 'n' roll", "rock 'n' roll"),
    ],
)
def test_blanks_stand_where_they_belong(spoilt: str, tidied: str) -> None:
    """None before closing punctuation or after an elision; numbers are left alone."""
    assert tidy(spoilt) == tidied


def test_a_stammering_model_is_calmed() -> None:
    """Runs of the same words or signs that the speaker did not say are cut down to one."""
    assert _through("So happy.", "Feliz, b, b, b, b, b, b.") == "Feliz, b, b."
    assert _through("Hmm.", "Hmm , , , , , , , , , .").count(",") <= 2


def test_a_stammering_speaker_is_not() -> None:
    """Who says it five times is translated five times."""
    said = "no, no, no, no, no, no, stop."
    assert _through(said, said) == said


def test_cleaning_takes_signs_that_nobody_speaks() -> None:
    """Markup loses its brackets, words and money stay, and accents are composed."""
    assert clean("It’s “it” — 3–5") == 'It\'s "it" - 3-5'
    assert clean("a<b>  {c}\x00 $3.50 caf" + "e\u0301") == "a b c $3.50 café"


@given(st.text(max_size=80))
def test_any_text_can_be_prepared_and_finished(text: str) -> None:
    """Whatever comes, and an engine that echoes, the result is tidy and nothing is raised."""
    prepared = prepare(clean(text))
    finished = finish(prepared.text, prepared, language="es")
    assert finished == finished.strip()
