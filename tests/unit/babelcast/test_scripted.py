"""Scripted speech: sentences that know their place, words of no language, translations that can be undone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast import scripted
from babelcast.scripted import Place
from gateway.ingest import Ingest
from translation_svc import numerals

scripts = st.integers(0, scripted.SCRIPTS - 1)
numbers = st.integers(0, scripted.SENTENCES - 1)


@given(scripts, numbers)
def test_a_sentence_tells_its_place(script: int, number: int) -> None:
    """Script and number are read back from the text alone."""
    assert scripted.place_of(scripted.sentence(script, number)) == Place(script, number)


@given(scripts, numbers, st.integers(0, scripted.WORDS_PER_SENTENCE - 1), st.sampled_from(scripted.WORDS))
def test_a_sentence_with_a_wrong_word_has_no_place_or_another(
    script: int, number: int, place: int, word: str
) -> None:
    """A damaged sentence is not taken for the one that was said."""
    words = scripted.sentence(script, number).rstrip(".").lower().split()
    if words[place] == word:
        return
    words[place] = word
    assert scripted.place_of(scripted.written(words)) != Place(script, number)
    assert scripted.place_of(scripted.written([*words[:-1], scripted.DAMAGED])) is None


@given(scripts, numbers)
def test_words_that_follow_each_other_differ(script: int, number: int) -> None:
    """A lost gap cannot make one word of two, and no word stands twice in a row."""
    words = scripted.sentence(script, number).rstrip(".").lower().split()
    halves = [scripted.WORDS.index(word) // 32 for word in words]
    assert halves == [0, 1] * 4


@pytest.mark.parametrize(
    ("script", "number"), [(-1, 0), (0, -1), (scripted.SCRIPTS, 0), (0, scripted.SENTENCES)]
)
def test_there_are_no_other_sentences(script: int, number: int) -> None:
    """What has no number is refused."""
    with pytest.raises(ValueError, match="no sentence"):
        scripted.sentence(script, number)


@given(scripts, numbers, st.sampled_from(scripted.LANGUAGES))
def test_a_translation_can_be_undone(script: int, number: int, language: str) -> None:
    """Each language differs, and says what it is a translation of."""
    text = scripted.sentence(script, number)
    translated = scripted.translated(text, language)
    assert translated != text
    assert scripted.original(translated, language) == text
    assert len({scripted.translated(text, other) for other in scripted.LANGUAGES}) == len(scripted.LANGUAGES)


def test_words_are_none_of_any_language_s_numbers() -> None:
    """Or they would be changed on the way."""
    text = " ".join([*scripted.WORDS, scripted.DAMAGED])
    for language in scripted.LANGUAGES:
        assert not numerals.numbers(text, source=language, target="es")
        assert not numerals.amounts(text, source=language, target="es")
    assert len(set(scripted.WORDS)) == 64
    assert scripted.DAMAGED not in scripted.WORDS
    assert list(scripted.LANGUAGES) == sorted(set(scripted.LANGUAGES))


def test_the_sound_is_that_of_the_words_and_a_pause() -> None:
    """Its length follows from its words, and it is not so loud that it is distorted."""
    pcm = scripted.speech(1, 2)
    words_ms = scripted.WORDS_PER_SENTENCE * (scripted.WORD_MS + scripted.GAP_MS)
    assert len(pcm) == 32 * (words_ms + scripted.PAUSE_MS)
    samples = np.frombuffer(pcm, "<i2")
    assert 8_000 < np.abs(samples).max() < 16_384
    assert np.abs(samples[-16 * scripted.PAUSE_MS :]).max() < 8
    assert scripted.script_speech(1, 3, first=2) == b"".join(scripted.speech(1, n) for n in (2, 3, 4))


@pytest.mark.parametrize("script", [0, 1, 27, 30, 33, 48, 500, 1023])
def test_a_gateway_takes_it_for_sound(script: int) -> None:
    """It looks like no other format, though a machine made it."""
    pcm = scripted.script_speech(script, 6)
    ingest = Ingest()
    chunks = [pcm[start : start + 3200] for start in range(0, len(pcm), 3200)]
    assert b"".join(ingest.accept(chunk, sample_rate_hz=None, volume=1.0) for chunk in chunks) == pcm
