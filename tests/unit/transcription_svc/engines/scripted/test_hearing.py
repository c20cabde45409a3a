"""Words read back from sound: from any pieces of it, at any volume and rate; what is missing shows."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from babelcast import scripted
from transcription_svc.engines.scripted.hearing import Ear, Heard

Pcm = npt.NDArray[np.int16]
CHUNK = 1600


def pcm_of(script: int, sentences: int) -> Pcm:
    """The sound of some sentences."""
    return np.frombuffer(scripted.script_speech(script, sentences), "<i2")


def words_of(script: int, sentences: int) -> list[str]:
    """Their words."""
    texts = [scripted.sentence(script, number) for number in range(sentences)]
    return [word.rstrip(".").lower() for text in texts for word in text.split()]


def heard(pcm: Pcm, cuts: list[int] | None = None) -> list[Heard]:
    """All words of a sound that comes in pieces of some lengths, again and again."""
    samples = pcm.astype(np.float32) / np.float32(32768)
    ear = Ear()
    found: list[Heard] = []
    at = 0
    for cut in itertools.cycle(cuts or [CHUNK]):
        if at >= len(samples):
            return found + ear.finish()
        found += ear.hear(samples[at : at + cut])
        at += cut
    return found


def sounding(pcm: Pcm) -> int:
    """How many samples are no silence."""
    return int(np.count_nonzero(np.abs(pcm) > 100))


def texts(found: list[Heard]) -> list[str]:
    """Only the words."""
    return [word.text for word in found]


@given(
    st.integers(0, scripted.SCRIPTS - 1),
    st.integers(0, 700),
    st.lists(st.integers(1, 6000), min_size=1, max_size=8),
)
@settings(deadline=None)
def test_any_pieces_give_the_same_words(script: int, silence: int, cuts: list[int]) -> None:
    """Neither where pieces end nor where the sound begins makes a difference."""
    pcm = np.concatenate((np.zeros(silence, np.int16), pcm_of(script, 3)))
    assert texts(heard(pcm, cuts)) == words_of(script, 3)


@given(st.sampled_from(scripted.WORDS))
@settings(deadline=None)
def test_every_word_is_heard_where_it_was_said(word: str) -> None:
    """Its times are right to 10 ms."""
    pcm = np.frombuffer(bytes(2 * 4000) + scripted.spoken([word]), "<i2")
    (found,) = heard(pcm)
    assert found.text == word
    assert found.start == pytest.approx(4000, abs=160)
    assert found.end == pytest.approx(4000 + 16 * scripted.WORD_MS, abs=160)


@pytest.mark.parametrize("volume", [1.0, 0.5, 0.1, 0.02])
def test_volume_makes_no_difference(volume: float) -> None:
    """A speaker may turn the volume down to 2 %."""
    assert texts(heard((pcm_of(5, 4) * volume).astype("<i2"))) == words_of(5, 4)


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 48_000])
def test_the_sample_rate_makes_no_difference(rate_hz: int) -> None:
    """Neither does bringing it back to 16 kHz, as the gateway does."""
    there = soxr.resample(pcm_of(5, 4), 16_000, rate_hz)
    assert texts(heard(soxr.resample(there, rate_hz, 16_000, quality="MQ"))) == words_of(5, 4)


@given(st.integers(0, 200), st.integers(0, CHUNK - 1))
@settings(deadline=None)
def test_a_lost_piece_shows(chunk: int, offset: int) -> None:
    """A tenth of a second that is missing changes the words, unless it was of a pause."""
    pcm = pcm_of(6, 12)
    start = (offset + chunk * CHUNK) % (len(pcm) - CHUNK)
    lost = pcm[start : start + CHUNK]
    found = texts(heard(np.concatenate((pcm[:start], pcm[start + CHUNK :]))))
    assert (found != words_of(6, 12)) or sounding(lost) < 400


@given(st.integers(0, 200), st.integers(0, CHUNK - 1))
@settings(deadline=None)
def test_a_doubled_piece_shows(chunk: int, offset: int) -> None:
    """So does one that comes twice."""
    pcm = pcm_of(6, 12)
    start = (offset + chunk * CHUNK) % (len(pcm) - CHUNK)
    twice = pcm[start : start + CHUNK]
    found = texts(heard(np.concatenate((pcm[: start + CHUNK], pcm[start:]))))
    assert (found != words_of(6, 12)) or sounding(twice) < 400


def test_a_sentence_that_comes_twice_is_heard_twice() -> None:
    """Nothing tidies it up."""
    pcm = pcm_of(2, 1)
    assert texts(heard(np.concatenate((pcm, pcm)))) == words_of(2, 1) * 2


@given(st.integers(1, 8 * 3200 - 1))
@settings(deadline=None)
def test_silence_in_the_middle_tears_no_word(at: int) -> None:
    """A word whose rest comes a second later is the same word: nothing of it was lost."""
    pcm = pcm_of(3, 2)
    before = np.zeros(3000, np.int16)
    torn = np.concatenate((before, pcm[:at], np.zeros(16_000, np.int16), pcm[at:]))
    assert texts(heard(torn)) == words_of(3, 2)


def test_the_rest_of_a_word_at_the_start_is_none() -> None:
    """A stream that is opened anew may hear the end of a word that was answered before."""
    pcm = pcm_of(3, 1)
    assert texts(heard(pcm[16 * (scripted.WORD_MS - 30) :])) == words_of(3, 1)[1:]


def test_other_sound_is_no_speech() -> None:
    """Noise, a hum and single tones are no words, not even damaged ones."""
    noise = np.random.default_rng(1).normal(0, 3000, 32_000).astype(np.int16)
    hum = (8000 * np.sin(2 * np.pi * 50 * np.arange(32_000) / 16_000)).astype(np.int16)
    tone = (8000 * np.sin(2 * np.pi * 687.5 * np.arange(32_000) / 16_000)).astype(np.int16)
    assert heard(np.concatenate((noise, hum, tone))) == []
