"""The plain live recogniser."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from babelcast.pcm import SAMPLE_RATE_HZ
from bench.quality import talks
from bench.quality.every_second import Decode, every_second
from bench.quality.recordings import Recording
from bench.quality.talks import Talk
from transcription_svc.audio import Samples


def silent_talk(seconds: float) -> Talk:
    """The decoder knows what is said."""
    samples = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
    return talks.single(Recording("talk", "en", "", samples))


class WorkClock:
    """Time of the work, and a decoder that takes it: a word for each second that it hears."""

    def __init__(self, takes_s: float, *, per_segment: int = 10) -> None:
        self.now_s = 0.0
        self.windows_s: list[float] = []
        self._takes_s = takes_s
        self._per_segment = per_segment

    def __call__(self) -> float:
        return self.now_s

    def decode(self, samples: Samples, language: str) -> Sequence[tuple[str, float]]:
        """Segments of some words."""
        self.now_s += self._takes_s
        self.windows_s.append(len(samples) / SAMPLE_RATE_HZ)
        words = ["word"] * int(len(samples) / SAMPLE_RATE_HZ)
        starts = range(0, len(words), self._per_segment)
        return [(" ".join(words[start : start + self._per_segment]), float(start)) for start in starts]


def scripted(*texts: str) -> Decode:
    """Says one text after the other."""
    rest = iter(texts)
    return lambda *_: [(next(rest), 0.0)]


def stopped() -> Callable[[], float]:
    """Work that takes no time."""
    return lambda: 0.0


def test_the_window_is_decoded_each_second() -> None:
    """From its begin, with results as late as their decode."""
    clock = WorkClock(0.25)
    results = every_second(silent_talk(3.0), clock.decode, tail_s=1.0, work_clock=clock)
    assert clock.windows_s == [1.0, 2.0, 3.0, 4.0]
    assert [result.at_s for result in results] == [1.25, 2.25, 3.25, 4.25]
    assert [result.is_final for result in results] == [False, False, False, True]
    assert results[-1].text == "word word word word"


def test_a_slow_decode_makes_the_next_one_late() -> None:
    """It hears all that was said meanwhile."""
    clock = WorkClock(1.5)
    results = every_second(silent_talk(4.0), clock.decode, tail_s=0.0, work_clock=clock)
    assert clock.windows_s == [1.0, 2.5, 4.0]
    assert [result.at_s for result in results] == [2.5, 4.0, 5.5]


def test_words_that_two_decodes_begin_with_are_stable() -> None:
    """Neither case nor punctuation counts."""
    decode = scripted("so the hat", "So, the cat sat", "so the cat sat down", "so the cat")
    results = every_second(silent_talk(4.0), decode, tail_s=0.0, work_clock=stopped())
    assert [result.stable_text for result in results] == ["", "So, the", "so the cat sat", "so the cat"]


def test_a_full_window_goes_on_with_its_last_segment() -> None:
    """All others become final, and no word is lost or said twice."""
    clock = WorkClock(0.0)
    results = every_second(silent_talk(60.0), clock.decode, tail_s=0.0, work_clock=clock)
    assert max(clock.windows_s) == 28.0
    finals = [result for result in results if result.is_final]
    assert [(result.start_s, result.end_s) for result in finals] == [(0, 20), (20, 40), (40, 60)]
    assert sum(len(result.text.split()) for result in finals) == 60
    assert [result.segment for result in finals] == [0, 1, 2]


def test_a_full_window_of_one_segment_is_final_as_a_whole() -> None:
    """There is nothing to go on with."""
    clock = WorkClock(0.0, per_segment=100)
    results = every_second(silent_talk(30.0), clock.decode, tail_s=0.0, work_clock=clock)
    assert [result.end_s for result in results if result.is_final] == pytest.approx([28.0, 30.0])


def test_silence_gives_no_results() -> None:
    """Not even empty ones."""
    assert every_second(silent_talk(30.0), lambda *_: [], tail_s=0.0, work_clock=stopped()) == []
