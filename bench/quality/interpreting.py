"""How long a sentence takes into several languages at once, by the embedded engines."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice

from bench.measures import Summary
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig
from translation_svc.glossary import Glossary
from translation_svc.segments import Prosody
from translation_svc.turns import Urgency

MOST_TIMES_ONE = 2.0
"""Six languages take at most so many times what one takes."""


@dataclass(frozen=True, slots=True)
class Took:
    """Until the language that waits longest has a sentence, while so many are at work on it at once, s."""

    languages: int
    text_s: Summary
    voice_s: Summary
    """With its voice; a clip comes whole, so that this is also the time to the first sound."""


@asynccontextmanager
async def interpreting() -> AsyncIterator[TranslationApp]:
    """The engines, warm, and without help from the cache."""
    app = TranslationApp(
        TranslationConfig(translation_bind="127.0.0.1:0", translation_cache_ttl_seconds=1e-9)
    )
    await app.start()
    try:
        yield app
    finally:
        await app.aclose()


async def translate(app: TranslationApp, sentence: str, source: str, target: str) -> str:
    """One sentence."""
    return await app.interpreter.translate(
        sentence, source=source, target=target, glossary=Glossary(), urgency=Urgency.FINAL
    )


async def took(
    app: TranslationApp,
    sentences: Sequence[str],
    source: str,
    targets: Sequence[str],
    *,
    counts: Sequence[int],
) -> list[Took]:
    """For each count: all sentences into all languages, so many of them at once.

    One at once is each alone in its turn, three are two groups. What counts is the language that waits
    longest, in each case: so the longest route is in all of them, and what differs is the company.
    """
    for target in targets:
        await _sentence(app, sentences[0], source, target)
    found: list[Took] = []
    for count in counts:
        texts: list[float] = []
        voices: list[float] = []
        for sentence in sentences:
            times: list[tuple[float, float]] = []
            for group in _groups(targets, count):
                times += await asyncio.gather(*(_sentence(app, sentence, source, target) for target in group))
            texts.append(max(text_s for text_s, _ in times))
            voices.append(max(voice_s for _, voice_s in times))
        found.append(Took(count, Summary.of(texts), Summary.of(voices)))
    return found


def in_time(found: Sequence[Took]) -> bool:
    """Whether the most languages take no longer than MOST_TIMES_ONE what one takes, by the medians."""
    one, most = found[0], found[-1]
    return (
        most.text_s.median_s <= MOST_TIMES_ONE * one.text_s.median_s
        and most.voice_s.median_s <= MOST_TIMES_ONE * one.voice_s.median_s
    )


def _groups(targets: Sequence[str], count: int) -> list[tuple[str, ...]]:
    rest = iter(targets)
    groups = iter(lambda: tuple(islice(rest, count)), ())
    return [group for group in groups if len(group) == count]


async def _sentence(app: TranslationApp, sentence: str, source: str, target: str) -> tuple[float, float]:
    """Seconds until the text and until the voice."""
    began_s = time.perf_counter()
    text = await translate(app, sentence, source, target)
    text_s = time.perf_counter() - began_s
    await app.interpreter.speak(text, language=target, prosody=Prosody())
    return text_s, time.perf_counter() - began_s
