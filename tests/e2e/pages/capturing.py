"""What a speaker's page was given by its microphone, and the words of it.

The browser's false microphone skips and stops on a busy machine. So what its script says is not what was
said: that is what the page's audio thread handed over. From there on nothing may be lost, come twice or
change places.
"""

import base64
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

import numpy as np
from playwright.async_api import Page

from babelcast.pcm import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from transcription_svc.audio import PcmReader, Samples
from transcription_svc.engines.scripted.hearing import Ear, Heard

CAPTURE = """
window.__captured = [];
window.AudioWorkletNode = class extends AudioWorkletNode {
  constructor(context, name, options) {
    super(context, name, options);
    if (name !== 'capture') return;
    this.port.addEventListener('message', ({data}) => {
      if (data.pcm) window.__captured.push(new Uint8Array(data.pcm.slice(0)));
    });
  }
};
"""
"""Runs in the page before its own scripts: copies of all pieces, in order."""
_TAKE = """
(from) => window.__captured.slice(from).map((bytes) => btoa(String.fromCharCode(...bytes)))
"""
_OFFSETS = (0, 32, 64, 96)
"""Samples left out at the start. A word that the microphone has damaged may be heard in one way or another,
depending on where the recogniser's windows of 128 samples begin; after a takeover they begin elsewhere.
"""
_LOUD = 100


@dataclass(slots=True)
class Captured:
    """The sound of one page, as far as it was fetched."""

    pieces: list[bytes] = field(default_factory=list)

    async def fetch(self, page: Page) -> None:
        """What came since the last time."""
        fresh: list[str] = await page.evaluate(_TAKE, len(self.pieces))
        self.pieces += map(base64.b64decode, fresh)

    @property
    def silent_s(self) -> float:
        """For how long nothing was heard at the end."""
        samples = np.frombuffer(b"".join(self.pieces), "<i2")
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _LOUD)
        return float(len(samples) - (loud[-1] + 1 if len(loud) else 0)) / SAMPLE_RATE_HZ

    def words(self) -> list["Place"]:
        """What the scripted recogniser hears in it."""
        pcm = b"".join(self.pieces)
        return places([_heard(pcm[offset * BYTES_PER_SAMPLE :], offset) for offset in _OFFSETS])


@dataclass(frozen=True, slots=True)
class Place:
    """What may be heard at one place: one word, unless it is damaged."""

    readings: tuple[tuple[str, ...], ...]


def places(hearings: Sequence[Sequence[Heard]]) -> list[Place]:
    """One for all words that lie upon each other in different hearings of the same sound."""
    marked = [(word, number) for number, hearing in enumerate(hearings) for word in hearing]
    marked.sort(key=lambda one: (one[0].start, one[1]))
    found: list[Place] = []
    group: list[tuple[Heard, int]] = []
    end = 0
    for word, number in marked:
        if group and word.start >= end:
            found.append(_place(group, len(hearings)))
            group = []
        end = max(end, word.end) if group else word.end
        group.append((word, number))
    return [*found, _place(group, len(hearings))] if group else found


def matches(words: Sequence[str], said: Sequence[Place]) -> bool:
    """Whether these are the words of all places, in order, each once."""
    ends = {0}
    for place in said:
        ends = {
            end + len(reading)
            for end in ends
            for reading in place.readings
            if tuple(words[end : end + len(reading)]) == reading
        }
    return len(words) in ends


def share(script: Sequence[str], said: Sequence[Place]) -> float:
    """How much of a script's words were said as they should."""
    words = list(first_reading(said))
    blocks = SequenceMatcher(None, list(script), words, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(script)


def first_reading(said: Sequence[Place]) -> Iterator[str]:
    """Words, of which some might be others."""
    return itertools.chain.from_iterable(place.readings[0] for place in said)


def _place(group: Sequence[tuple[Heard, int]], hearings: int) -> Place:
    every = [tuple(word.text for word, by in group if by == number) for number in range(hearings)]
    return Place(tuple(dict.fromkeys(every)))


def _heard(pcm: bytes, offset: int) -> list[Heard]:
    samples: Samples = PcmReader(SAMPLE_RATE_HZ).read(pcm)
    ear = Ear()
    found = [*ear.hear(samples), *ear.finish()] if len(samples) else []
    return [Heard(word.text, word.start + offset, word.end + offset) for word in found]
