"""Sentence ends."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription_svc.sentences import clause_end, ends_clause, ends_sentence, ends_text, sentence_end
from transcription_svc.words import join


@pytest.mark.parametrize("word", ["zero.", "que?", "now!", 'said."', "好。", "吗？", "है।", "ہے۔", "؟", "ነው።"])
def test_stops_end_sentences(word: str) -> None:
    """The stops of all scripts end a sentence, also inside quotes."""
    assert ends_sentence(word)


@pytest.mark.parametrize(
    "word", ["Dr.", "J.", "3.", "word", "word,", "Sra.", "wait...", "wait…", "a.m.", "e.g."]
)
def test_abbreviations_and_numbers_do_not(word: str) -> None:
    """Abbreviations, initials, numbers and unfinished words do not, as long as nothing says otherwise."""
    assert not ends_sentence(word)


def test_a_number_may_end_a_text() -> None:
    """At the end of a text there is nothing that a number's point could belong to."""
    assert ends_text("1.")


@pytest.mark.parametrize("word", ["two,", "so;", "wait…", "天，", "نعم،", "ครับ "])
def test_clauses_end_at_their_signs(word: str) -> None:
    """Commas of all scripts end a clause; in Thai a space does."""
    assert ends_clause(word)
    assert not ends_clause("ครับ")
    assert not ends_clause("word")


SPOKEN = [
    ("en", "I met Dr. Smith at 5 a.m. yesterday. | He has left."),
    ("en", "He came at 5 a.m. | Then he left."),
    ("en", "We are No. 5 in the U.S. today. | I paid."),
    ("en", "It costs 3.14 dollars. | Yes."),
    ("en", "For sales press 1. | To speak"),
    ("en", "We need, e.g. this one. | See"),
    ("en", "It was J. R. Smith. | He"),
    ("en", "Wait... what is it? | Yes"),
    ("en", 'He said "go away." | Then he'),
    ("de", "Das ist z. B. gut, d. h. sehr gut. | Und dann"),
    ("de", "Am 3. Oktober kam Dr. Müller nach Berlin. | Und dann"),
    ("es", "El Sr. García vive en la Av. Juárez. | ¿Qué tal?"),
    ("fr", "M. Dupont est là. | Oui"),
    ("it", "Il sig. Rossi e il dott. Verdi. | Sì"),
    ("pt", "Veja a pág. 5 do livro. | Sim"),
    ("nl", "Dhr. Jansen woont in o.a. Delft. | Ja"),
    ("pl", "Dr. Kowalski, np. tak. | To jest"),
    ("ca", "El Sr. Puig és aquí. | Sí"),
    ("gl", "O Sr. Souto vive na Av. Central. | Si"),
    ("ru", "Он жил в 1990 г. и работал, т. е. был здесь. | Да"),
    ("ar", "كيف حالك يا صديقي؟ | أنا بخير."),
    ("ur", "یہ بہت اچھا ہے۔ | وہ گیا۔"),
    ("hi", "यह अच्छा है। | वह गया।"),
    ("am", "ሰላም ነው ዛሬ። | እንዴት ነህ።"),
    ("zh", "今天天气很好！|你呢？"),
    ("ja", "今日はいい天気ですね！|はい"),
    ("my", "မင်္ဂလာပါ။ |နေကောင်းလား။"),
]


def split(text: str) -> list[str]:
    """Words as an engine gives them: spaced ones, or signs one by one with what follows them."""
    if re.search("[一-鿿က-႟]", text):
        return re.findall(r"[^\s。！？။][。！？။]? ?", text)
    return text.split()


@pytest.mark.parametrize(("language", "marked"), SPOKEN)
def test_the_first_sentence_is_found(language: str, marked: str) -> None:
    """In each language the sentence before the bar ends there, and nowhere before."""
    first, rest = marked.split("|")
    words = split(first.strip()) + split(rest.strip())
    assert join(words[: sentence_end(words, language)]) == first.strip()


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "We need, e.g. this one"),
        ("en", "He paid 3. 5 of them"),
        ("en", "And then we stopped. because it rained"),
        ("en", "So I thought... But then"),
        ("th", "สวัสดีครับ วันนี้อากาศดี ขอบคุณ"),
        ("tlh", "no sentence here"),
    ],
)
def test_no_end_is_invented(language: str, text: str) -> None:
    """Abbreviations, split figures, pauses and scripts without stops end no sentence."""
    assert sentence_end(text.split(), language) == 0


def test_first_sentence_with_something_after_it() -> None:
    """A sentence counts only when more words follow, and when it is no mere interjection."""
    assert sentence_end(["Thank", "you", "all.", "Next"]) == 3
    assert sentence_end(["Thank", "you", "all."]) == 0
    assert sentence_end(["Yes.", "Thank", "you", "all.", "Next"]) == 4
    assert sentence_end([]) == 0


def test_the_last_clause_with_something_after_it() -> None:
    """Only a clause that words follow counts, and the latest of them."""
    assert clause_end(["well,", "when", "done,", "press", "pound,"]) == 3
    assert clause_end(["when", "done,"]) == 0


@given(st.lists(st.text(max_size=6), max_size=12), st.sampled_from(["en", "de", "zh", "th", "ar", "xx"]))
def test_any_words_have_a_place_to_end(words: list[str], language: str) -> None:
    """Whatever an engine says, the answer is a number of words with something after them."""
    assert 0 <= sentence_end(words, language) < max(1, len(words))
