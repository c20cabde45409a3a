"""The words of scripted speech, read back from the sound, whatever pieces it comes in.

Each 8 ms a window of 16 ms is compared with the 16 tones that words are made of. Their periods fit in the
window, so a window inside a word is all of its two tones, at any volume; one at an edge or a join is not. As
many windows in a row as a word has are that word; fewer or more of them are a damaged one. A word that was
torn by silence, as by a speaker's connection that was away, is whole when its rest comes next. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from babelcast import scripted
from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import Samples

_WINDOW = 256
_HOP = _WINDOW // 2
_SILENT = (8 / 32768) ** 2
"""Mean square below which a window is silent."""
_PURE = 0.8
"""Share of a window's energy that is in its two tones, if it lies in a word."""
_EACH = 0.25
"""Share that each of them has at least."""
_WHOLE = (16, 22)
"""Windows in a row that are a word of WORD_MS: it may have lost, or gained, 16 to 24 ms."""
_TRACE = 1
"""So few windows are no word, not even a damaged one."""
_REST = 3
"""The same where a stream begins: the rest of a word that the stream before it has heard."""
_SEAM = 2
"""So many windows a word loses where it was torn."""
_BRIDGE = 3
"""So many windows of no clear sound may lie in a word: a join of two pieces of the same sound."""
_NOTHING, _UNCLEAR = -1, -2


@dataclass(frozen=True, slots=True)
class Heard:
    """A word, and where it was; positions count samples from the stream's start."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Torn:
    """A word of which something is missing, so far."""

    tone: int
    windows: int
    start: int
    end: int


class Ear:
    """Follows one stream."""

    def __init__(self) -> None:
        self._rest: Samples = np.zeros(0, np.float32)
        self._at = 0
        """Position of the next window."""
        self._tone = _NOTHING
        self._windows = 0
        self._start = 0
        self._end = 0
        self._unclear = 0
        self._torn: _Torn | None = None

    @property
    def position(self) -> int:
        """Up to where all was heard."""
        return self._at

    @property
    def under_way(self) -> Heard | None:
        """The word that is being said, as far as it is known: what is half over."""
        if self._tone < 0 or not _WHOLE[0] // 2 <= self._windows <= _WHOLE[1]:
            return None
        return Heard(scripted.WORDS[self._tone], self._start, self._end)

    @property
    def in_word(self) -> bool:
        """Whether there is sound whose word has not ended."""
        return self._tone >= 0

    def hear(self, samples: Samples) -> list[Heard]:
        """Take samples; returns the words that ended."""
        joined = np.concatenate((self._rest, samples))
        count = max(0, (len(joined) - _WINDOW) // _HOP + 1)
        self._rest = joined[count * _HOP :]
        if not count:
            return []
        found: list[Heard] = []
        for tone in _tones(joined[: (count - 1) * _HOP + _WINDOW]):
            self._take(tone, found)
            self._at += _HOP
        return found

    def finish(self) -> list[Heard]:
        """No more sound comes; returns the word that it broke off in."""
        found = self.hear(np.zeros(_WINDOW, np.float32))
        self._end_word(found)
        self._give_up_torn(found)
        return found

    def _take(self, tone: int, found: list[Heard]) -> None:
        if tone >= 0 and tone == self._tone:
            self._windows += 1 + self._unclear
            self._unclear = 0
            self._end = self._at + _WINDOW
            return
        if tone == _UNCLEAR and self._tone >= 0 and self._unclear < _BRIDGE:
            self._unclear += 1
            return
        self._end_word(found)
        if tone >= 0:
            self._tone, self._windows = tone, 1
            self._start, self._end = self._at, self._at + _WINDOW

    def _end_word(self, found: list[Heard]) -> None:
        tone, windows = self._tone, self._windows
        self._tone, self._windows, self._unclear = _NOTHING, 0, 0
        if tone < 0 or (not self._start and windows <= _REST):
            return
        least, most = _WHOLE
        torn = self._torn
        both = windows + (torn.windows if torn is not None else 0)
        if torn is not None and torn.tone == tone and windows < least and least - _SEAM <= both <= most:
            self._torn = None
            found.append(Heard(scripted.WORDS[tone], torn.start, self._end))
            return
        if torn is not None and windows <= _TRACE:
            return
        self._give_up_torn(found)
        if windows < least:
            self._torn = _Torn(tone, windows, self._start, self._end)
        else:
            text = scripted.WORDS[tone] if windows <= most else scripted.DAMAGED
            found.append(Heard(text, self._start, self._end))

    def _give_up_torn(self, found: list[Heard]) -> None:
        torn, self._torn = self._torn, None
        if torn is not None and torn.windows > _TRACE:
            found.append(Heard(scripted.DAMAGED, torn.start, torn.end))


def _tones(samples: Samples) -> Sequence[int]:
    """The word of each window, by its number; _NOTHING for silence, _UNCLEAR for any other sound."""
    blocks = samples.reshape(-1, _HOP)
    windows = np.concatenate((blocks[:-1], blocks[1:]), axis=1)
    energy = np.einsum("ij,ij->i", windows, windows)
    if float(energy.max()) < _SILENT * _WINDOW:
        return [_NOTHING] * len(windows)
    waves = windows @ _WAVES
    power = np.square(waves[:, :_COUNT]) + np.square(waves[:, _COUNT:])
    power *= 2.0 / _WINDOW / np.maximum(energy, _SILENT)[:, None]
    low, high = power[:, : _COUNT // 2], power[:, _COUNT // 2 :]
    low_best, high_best = low.max(axis=1), high.max(axis=1)
    pure = (low_best + high_best >= _PURE) & (low_best >= _EACH) & (high_best >= _EACH)
    words = low.argmax(axis=1) * (_COUNT // 2) + high.argmax(axis=1)
    tones: list[int] = np.where(
        energy < _SILENT * _WINDOW, _NOTHING, np.where(pure, words, _UNCLEAR)
    ).tolist()
    return tones


_COUNT = len(scripted.TONES_HZ)
_ANGLES = 2 * np.pi * np.outer(np.arange(_WINDOW), scripted.TONES_HZ) / SAMPLE_RATE_HZ
_WAVES = np.concatenate((np.cos(_ANGLES), np.sin(_ANGLES)), axis=1).astype(np.float32)
