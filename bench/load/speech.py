"""What speakers say, in rounds with a pause after each: recordings again and again, or a script of tones."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from babelcast import scripted
from babelcast.client import pace
from babelcast.pcm import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from babelcast.wav import Sound

PAUSE_S = 1.2
"""After a recording, so that its last sentence is over before the next begins."""


@dataclass(frozen=True, slots=True)
class Round:
    """Chunks of pace.CHUNK_S, and which sentence of a script they are."""

    chunks: Sequence[bytes]
    sample_rate_hz: int
    sentence: int | None = None


def recorded(sounds: Sequence[Sound]) -> Iterator[Round]:
    """The sounds in turn, for ever."""
    rounds = []
    for sound in sounds:
        pause = bytes(BYTES_PER_SAMPLE * round(sound.sample_rate_hz * PAUSE_S))
        rounds.append(
            Round(pace.chunks(Sound(sound.pcm + pause, sound.sample_rate_hz)), sound.sample_rate_hz)
        )
    return itertools.cycle(rounds)


def tones(script: int) -> Iterator[Round]:
    """The sentences of a script, until it has no more."""
    for number in range(scripted.SENTENCES):
        pcm = scripted.speech(script % scripted.SCRIPTS, number)
        yield Round(pace.chunks(Sound(pcm, SAMPLE_RATE_HZ)), SAMPLE_RATE_HZ, number)
