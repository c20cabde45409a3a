"""Scripted speech: sentences of made-up words, each word two tones. For load and fault tests.

A speaker says what `sentence` gives, as the sound of `speech`; the scripted engine of the transcription
service reads the words back from the sound that reached it. So audio that is lost or comes twice is seen in
the text. Sentences carry their own number, and no word is one of any language: nobody can take the text for
something that was recognised. Translations are the same words with the language's code behind each.

Pure but for numpy. A word is WORD_MS of sound and GAP_MS of silence, a sentence ends with PAUSE_MS of it.
"""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from babelcast.pcm import SAMPLE_RATE_HZ

NAME = "scripted"
"""What all engines of the kind are called."""
NOTICE = "Scripted engines: speech is tones, text and voices are made up. For tests only."
"""What whoever starts them, or asks for them, is told."""
LANGUAGES = (
    *("ca", "cs", "da", "de", "en", "es", "fi", "fr", "gl"),
    *("it", "nl", "pl", "pt", "ro", "sv", "tr", "uk"),
)
"""ISO 639-1 codes of all that can be spoken and heard, sorted."""
WORDS = tuple(
    first + second
    for first in ("ba", "do", "fu", "ga", "ke", "lu", "ni", "po")
    for second in ("bi", "da", "go", "ku", "le", "ma", "ro", "vu")
)
"""The vocabulary. Words that follow each other in a sentence are of different halves of it."""
DAMAGED = "krak"
"""Stands in the text for a tone that is too short or too long to be a word."""

WORD_MS, GAP_MS, PAUSE_MS = 160, 40, 600
TONES_HZ = tuple(500.0 + 187.5 * step for step in range(16))
"""The first eight are the lower tone of a word, the others its higher one. All fit in 8 kHz sound."""
WORDS_PER_SENTENCE = 8
SCRIPTS = 32**2
"""How many scripts there are: each speaker has one."""
SENTENCES = 32**3
"""How many sentences a script has; that is 20 hours."""

_HALF = len(WORDS) // 2
_ROW = len(TONES_HZ) // 2
_AMPLITUDE = 0.2
_RAMP_MS = 4
_HISS = 3
_LETTERS = re.compile(r"\b[^\W\d_]+\b")

Pcm: TypeAlias = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Place:
    """Which sentence of which script."""

    script: int
    sentence: int


def sentence(script: int, number: int) -> str:
    """Sentence `number` of a script, both from 0: three words tell the number, two the script, three follow
    from these.

    Raises: ValueError when there is no such script or sentence.
    """
    return written(_words(script, number))


def place_of(text: str) -> Place | None:
    """Which sentence a text is; None when it is not exactly one."""
    keys = text.rstrip(".").lower().split()
    if len(keys) != WORDS_PER_SENTENCE or any(key not in _INDEX for key in keys):
        return None
    digits = [_INDEX[key] % _HALF for key in keys]
    number = (digits[0] * _HALF + digits[1]) * _HALF + digits[2]
    found = Place(digits[3] * _HALF + digits[4], number)
    return found if sentence(found.script, found.sentence) == text else None


def written(words: Iterable[str], *, begins: bool = True, ends: bool = True) -> str:
    """Words as text: a capital where a sentence begins, a full stop where it ends."""
    text = " ".join(words)
    return (text[:1].upper() + text[1:] if begins else text) + ("." if ends else "")


def translated(text: str, language: str) -> str:
    """Each word of `text` with the language's code behind it. Whatever holds a digit stays as it is."""
    return _LETTERS.sub(lambda word: word[0] + language, text)


def original(text: str, language: str) -> str:
    """What `translated` made `text` of."""
    return _LETTERS.sub(lambda word: word[0].removesuffix(language), text)


def speech(script: int, number: int) -> bytes:
    """The sound of a sentence and of the pause after it: 16-bit little-endian mono PCM at 16 kHz."""
    return spoken(_words(script, number)) + _hiss(PAUSE_MS).tobytes()


def spoken(words: Iterable[str], *, gap_ms: float = GAP_MS) -> bytes:
    """The sound of words of the vocabulary, each with a gap after it.

    Raises: KeyError for any other word.
    """
    gap = _hiss(gap_ms).tobytes()
    return b"".join(_tone(_INDEX[word.lower()]).tobytes() + gap for word in words)


def script_speech(script: int, sentences: int, *, first: int = 0) -> bytes:
    """The sound of so many sentences of a script, one after the other."""
    return b"".join(speech(script, number) for number in range(first, first + sentences))


def _words(script: int, number: int) -> list[str]:
    if not 0 <= script < SCRIPTS or not 0 <= number < SENTENCES:
        raise ValueError(f"there is no sentence {number} of script {script}")
    digits = [
        *(number // _HALF**2, number // _HALF % _HALF, number % _HALF),
        *(script // _HALF, script % _HALF),
    ]
    mixed = (number * 7919 + script * 104729) * 2654435761 % 2**32
    digits += [mixed >> shift & (_HALF - 1) for shift in (7, 14, 21)]
    return [WORDS[digit + _HALF * (place % 2)] for place, digit in enumerate(digits)]


@functools.cache
def _tone(index: int) -> Pcm:
    length, ramp = _samples(WORD_MS), _samples(_RAMP_MS)
    phase = 2 * np.pi * np.arange(length) / SAMPLE_RATE_HZ
    sound = np.sin(phase * TONES_HZ[index // _ROW]) + np.sin(phase * TONES_HZ[_ROW + index % _ROW])
    rise = np.minimum(1.0, np.arange(1, length + 1) / ramp)
    samples: Pcm = np.rint(sound * rise * rise[::-1] * _AMPLITUDE * 32767).astype("<i2") + _hiss(WORD_MS)
    return samples


@functools.cache
def _hiss(ms: float) -> Pcm:
    """What stands for silence: digital silence between tones makes them look like 8-bit sound."""
    noise: Pcm = np.random.default_rng(1).integers(-_HISS, _HISS + 1, _samples(ms)).astype("<i2")
    return noise


def _samples(ms: float) -> int:
    return round(ms * SAMPLE_RATE_HZ / 1000)


_INDEX = {word: index for index, word in enumerate(WORDS)}
