"""Captions while somebody speaks: how much they flicker and how late they are.

Translates growing beginnings of sentences with the embedded engines and replays what listeners see, by the
rules of `gateway/captions.py` and without any. Normalised erasure is words deleted from the end of the
caption, so that the new one could be written, per word of the final one (Arivazhagan et al., 2020).
"""

import argparse
import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.measures import Summary
from bench.quality.growing import Captions, Show, captions, updates
from bench.quality.report import delays, number, percent, table
from gateway.captions import OpenCaption
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig
from translation_svc.glossary import Glossary
from translation_svc.turns import Urgency

MOST_ERASED = 0.2
"""Per word, at any interval and in any language."""
INTERVALS_S = (0.5, 1.0)
SENTENCES = (
    "Good morning, everyone, and welcome to the spring meeting of our neighbourhood library.",
    "Last year, more than 12,000 people borrowed at least one book from us.",
    "Because the door is open, the coffee is hot, and nobody asks what you are reading!",
    "In March, we will move the children's corner to the sunny side of the building.",
    "If you would like to help, write your name on the list near the entrance.",
    "We have lost two shelves to the water, but not a single page of the archive.",
    "I think that this is the most important decision we have made in ten years.",
    "And so, my fellow Americans, ask not what your country can do for you, "
    "ask what you can do for your country.",
    "What we need to do now is to look at the numbers again, because the last report that we got was written "
    "before the summer, and since then a lot of things have changed.",
    "When my grandfather came to this country, he had nothing but a small suitcase, two languages, and the "
    "address of a cousin whom he had never met.",
)
HEADS = (
    "language",
    "renewed every",
    "captions",
    "erasure",
    "word there for good, s: p50 / p95",
    "before the final",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of the sub-command."""
    parser.add_argument(
        "--transcript", type=Path, help="English sentences, one a line, in place of the built-in"
    )
    parser.add_argument("--languages", nargs="+", default=["es", "fr", "pt", "it"])


def run(arguments: argparse.Namespace) -> bool:
    """Measure and print; returns whether captions are calm."""
    path: Path | None = arguments.transcript
    lines = path.read_text(encoding="utf-8").splitlines() if path else SENTENCES
    sentences = [line.strip() for line in lines if line.strip()]
    rows, worst = asyncio.run(measure(sentences, arguments.languages))
    print(table(HEADS, rows))
    print(f"\nWorst erasure by the rules: {worst:.2f}, at most {MOST_ERASED}.")
    return worst <= MOST_ERASED


async def measure(sentences: Sequence[str], languages: Sequence[str]) -> tuple[list[list[str]], float]:
    """The rows of the table, and the most erasure with the rules."""
    rows: list[list[str]] = []
    worst = 0.0
    app = TranslationApp(TranslationConfig(translation_bind="127.0.0.1:0"))
    try:
        for language in languages:
            translations = [await beginnings(app, sentence, language) for sentence in sentences]
            for interval_s in INTERVALS_S:
                plain, calm = (
                    _seen(sentences, translations, policy, interval_s)
                    for policy in (_as_it_is, _by_the_rules)
                )
                rows += [
                    _row(language, interval_s, "as translated", plain),
                    _row(language, interval_s, "by the rules", calm),
                ]
                worst = max(worst, calm.flicker.normalised_erasure)
    finally:
        await app.aclose()
    return rows, worst


async def beginnings(app: TranslationApp, sentence: str, target: str) -> dict[int, str]:
    """Translations of the beginnings that captions are made of, and of the whole, by their words' number."""
    words = sentence.split()
    counts = {count for interval_s in INTERVALS_S for _, count in updates(len(words), interval_s=interval_s)}
    return {
        count: await app.interpreter.translate(
            " ".join(words[:count]),
            source="en",
            target=target,
            glossary=Glossary(),
            urgency=Urgency.PARTIAL if count < len(words) else Urgency.FINAL,
        )
        for count in sorted({*counts, len(words)})
    }


def _as_it_is() -> Show:
    return lambda text: text


def _by_the_rules() -> Show:
    caption = OpenCaption()
    return lambda text: caption.show(0, text)


def _seen(
    sentences: Sequence[str],
    translations: Sequence[Mapping[int, str]],
    policy: Callable[[], Show],
    interval_s: float,
) -> Captions:
    return sum(
        (
            captions(sentence, made, policy(), interval_s=interval_s)
            for sentence, made in zip(sentences, translations, strict=True)
        ),
        Captions(),
    )


def _row(language: str, interval_s: float, policy: str, seen: Captions) -> list[str]:
    return [
        language,
        f"{interval_s:g} s",
        policy,
        number(seen.flicker.normalised_erasure),
        delays(Summary.of(seen.waits_s)),
        percent(seen.seen_share),
    ]
