"""Speech whose words can be read off its samples, and scripts that read them.

A word is half a second of one sample value, its number; between words and in pauses all is zero. So what a
script says is what the server was really sent, and whatever was lost or came twice shows in the text.
"""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.amazon.server import SAMPLE_RATE_HZ, Call

WORD_S = 0.4
GAP_S = 0.1
_LEAST_S = 0.2
_STEP = 64
"""Between the values of two words, so that none is near another, and all are far from silence."""


@dataclass(frozen=True)
class Spoken:
    """A word that was found in audio."""

    text: str
    start_s: float
    end_s: float


def speak(first: int, count: int) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """Samples of the words w<first> to w<first + count - 1>."""
    word, gap = int(WORD_S * SAMPLE_RATE_HZ), int(GAP_S * SAMPLE_RATE_HZ)
    parts = []
    for number in range(first, first + count):
        parts += [np.full(word, number * _STEP, np.float32), np.zeros(gap, np.float32)]
    return np.concatenate(parts) / np.float32(32768.0)


def words_in(pcm: bytes) -> list[Spoken]:
    """The words of PCM. The last one may not be whole; what is shorter than half a word is none."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
    borders = [0, *(np.flatnonzero(np.diff(samples)) + 1).tolist(), len(samples)]
    found = []
    for start, end in itertools.pairwise(borders):
        if end > start and samples[start] and (end - start) / SAMPLE_RATE_HZ >= _LEAST_S:
            text = f"w{samples[start] // _STEP}"
            found.append(Spoken(text, start / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ))
    return found


def result(
    words: Sequence[Spoken], *, number: int, partial: bool, stable: int = 0, stop: str = ""
) -> dict[str, object]:
    """A Result in the shape of Amazon's."""
    items: list[dict[str, object]] = []
    for position, word in enumerate(words):
        item: dict[str, object] = {
            "StartTime": word.start_s,
            "EndTime": word.end_s,
            "Type": "pronunciation",
            "Content": word.text,
            "VocabularyFilterMatch": False,
        }
        item |= {"Stable": position < stable} if partial else {"Confidence": 0.98}
        items.append(item)
    if stop and items:
        end = words[-1].end_s
        items.append({"StartTime": end, "EndTime": end, "Type": "punctuation", "Content": stop})
    return {
        "ResultId": f"00000000-0000-0000-0000-{number:012}",
        "StartTime": words[0].start_s if words else 0.0,
        "EndTime": words[-1].end_s if words else 0.0,
        "IsPartial": partial,
        "Alternatives": [{"Transcript": " ".join(word.text for word in words) + stop, "Items": items}],
    }


@dataclass(frozen=True)
class Reciter:
    """Says what it hears: a partial result a word, a final one every `length` words or at a pause.

    `then` is done once so much audio was heard, in place of all that would follow.
    """

    length: int = 5
    unstable: int = 1
    until_s: float = 1e9
    then: Callable[[Call], Awaitable[None] | None] | None = None

    async def __call__(self, call: Call) -> None:
        """Play the script."""
        call.accept()
        said = shown = 0
        number = itertools.count(1)
        result_id = next(number)
        heard_s = 0.0
        while True:
            heard_s = max(heard_s, call.seconds) + 0.05
            await call.until_heard(min(heard_s, self.until_s))
            if call.seconds >= self.until_s and self.then is not None:
                coming = self.then(call)
                if coming is not None:
                    await coming
                return
            words = words_in(bytes(call.pcm))
            whole = [word for word in words if call.ended or word.end_s < call.seconds - GAP_S / 2]
            paused = bool(whole) and call.seconds - whole[-1].end_s > 1.0
            while len(whole) - said >= self.length or (len(whole) > said and (call.ended or paused)):
                now = whole[said : said + self.length]
                call.results(result(now, number=result_id, partial=False, stop="."))
                said += len(now)
                shown = said
                result_id = next(number)
            if len(whole) > shown:
                shown = len(whole)
                now = whole[said:]
                call.results(
                    result(now, number=result_id, partial=True, stable=max(0, len(now) - self.unstable))
                )
            if call.ended:
                call.finish()
                return
