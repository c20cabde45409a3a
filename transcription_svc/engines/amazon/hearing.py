"""What Amazon says it heard, as values with positions in our stream."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from babelcast.pcm import SAMPLE_RATE_HZ

_OPENING = "¿¡«„“([{"


class Item(Protocol):
    """What is read of the library's Item."""

    start_time: float | None
    end_time: float | None
    item_type: str | None
    content: str | None
    stable: bool | None


class Alternative(Protocol):
    """What is read of the library's Alternative."""

    @property
    def items(self) -> Sequence[Item]: ...  # noqa: D102


class Result(Protocol):
    """What is read of the library's Result."""

    @property
    def result_id(self) -> str | None: ...  # noqa: D102
    @property
    def end_time(self) -> float | None: ...  # noqa: D102
    @property
    def is_partial(self) -> bool | None: ...  # noqa: D102
    @property
    def alternatives(self) -> Sequence[Alternative] | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word with its punctuation."""

    text: str
    start: int
    """Position of its first sample in our stream."""
    end: int
    stable: bool = False
    """Whether Amazon promises not to change it; punctuation behind it may still come."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One result: everything heard since the last final one."""

    result_id: str
    final: bool
    words: tuple[HeardWord, ...]
    end: int
    """Position up to which this result knows the audio."""


class StreamClock:
    """Tells positions in our stream from Amazon's times, which count what one connection was sent."""

    def __init__(self, start: int) -> None:
        """`start` is the position of the first sample that is sent."""
        self._start = start
        self._sent = 0
        self._inserted: list[tuple[int, int]] = []

    def sent(self, samples: int) -> None:
        """Samples of our stream went out."""
        self._sent += samples

    def inserted(self, samples: int) -> None:
        """Silence went out that is not part of our stream."""
        self._inserted.append((self._sent, samples))
        self._sent += samples

    def position(self, seconds: float) -> int:
        """Where in our stream this is; the place of the insertion for times in inserted silence."""
        at = max(0, round(seconds * SAMPLE_RATE_HZ))
        shift = sum(min(samples, at - begin) for begin, samples in self._inserted if at > begin)
        return self._start + at - shift


def read_result(result: Result, position: Callable[[float], int]) -> Heard:
    """A result of the library's as a value."""
    words: list[HeardWord] = []
    opening = ""
    end_s = result.end_time or 0.0
    for item in result.alternatives[0].items if result.alternatives else ():
        content = (item.content or "").strip()
        if not content:
            continue
        if item.item_type != "punctuation":
            start = position(item.start_time or 0.0)
            end = max(start, position(item.end_time or item.start_time or 0.0))
            words.append(HeardWord(opening + content, start, end, bool(item.stable)))
            opening = ""
        elif content in _OPENING:
            opening += content
        elif words:
            last = words[-1]
            words[-1] = HeardWord(last.text + content, last.start, last.end, last.stable)
    return Heard(result.result_id or "", not result.is_partial, tuple(words), position(end_s))
