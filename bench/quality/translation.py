"""Translation: chrF and BLEU of every route, and how long a sentence takes into 1, 3 and 6 languages.

The sentences are the project's own, into every language from English and back, or those of two files with one
sentence a line (--source, --reference, --from, --to), as FLORES has them. Engines are the embedded ones.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sacrebleu

from bench.quality.interpreting import MOST_TIMES_ONE, Took, in_time, interpreting, took, translate
from bench.quality.parallel_text import Direction, from_files, own, own_directions
from bench.quality.report import number, table
from translation_svc.composition import TranslationApp

QUALITY = ("from", "to", "route", "sentences", "chrF", "BLEU")
SPEED = ("languages at once", "text, ms: p50 / p95", "text and voice, ms: p50 / p95")
COUNTS = (1, 3, 6)


@dataclass(frozen=True, slots=True)
class Score:
    """How near a direction's translations are to a person's, each 0 to 100."""

    direction: Direction
    route: str
    chrf: float
    bleu: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("--source", type=Path, help="a file of sentences, one a line")
    parser.add_argument("--reference", type=Path, help="a file of the same sentences, translated")
    parser.add_argument("--from", dest="source_language", default="en", help="language of --source")
    parser.add_argument("--to", dest="target_language", default="es", help="language of --reference")
    parser.add_argument("--parts", nargs="+", choices=["quality", "speed"], default=["quality", "speed"])
    parser.add_argument("--show", action="store_true", help="print the translations")
    parser.add_argument("--json", type=Path, help="write the figures there too")


def run(arguments: argparse.Namespace) -> bool:
    """Measure and print; whether six languages take no more than twice the time of one."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> bool:
    directions = own_directions()
    if arguments.source and arguments.reference:
        languages = (arguments.source_language, arguments.target_language)
        directions = [from_files(arguments.source, arguments.reference, languages=languages)]
    scores: list[Score] = []
    speeds: list[Took] = []
    async with interpreting() as app:
        if "quality" in arguments.parts:
            scores = [await _score(app, each, show=arguments.show) for each in directions]
            print(table(QUALITY, [_score_row(score) for score in scores]))
        if "speed" in arguments.parts:
            texts = own()
            targets = [code for code in sorted(texts) if app.interpreter.routes.find("en", code)]
            counts = [count for count in COUNTS if count <= len(targets)]
            speeds = await took(app, texts["en"], "en", targets, counts=counts)
            print(f"\n{table(SPEED, [speed_row(each) for each in speeds])}")
    kept = not speeds or in_time(speeds)
    if not kept:
        print(f"\nAll languages at once took more than {MOST_TIMES_ONE:g} times what one takes.")
    if arguments.json:
        arguments.json.write_text(json.dumps(_plain(scores, speeds), indent=1))
    return kept


async def _score(app: TranslationApp, direction: Direction, *, show: bool) -> Score:
    source, target = direction.source, direction.target
    translations = [await translate(app, sentence, source, target) for sentence in direction.sentences]
    if show:
        for sentence, translation in zip(direction.sentences, translations, strict=True):
            print(f"{source}  {sentence}\n{target}  {translation}\n")
    references = [list(direction.references)]
    steps = app.interpreter.routes.find(source, target) or ()
    return Score(
        direction,
        ", ".join(f"{step.pair.source}-{step.pair.target} ({step.engine})" for step in steps),
        sacrebleu.corpus_chrf(translations, references).score,
        sacrebleu.corpus_bleu(translations, references).score,
    )


def _score_row(score: Score) -> list[str]:
    direction = score.direction
    return [
        direction.source,
        direction.target,
        score.route,
        str(len(direction.sentences)),
        number(score.chrf, places=1),
        number(score.bleu, places=1),
    ]


def speed_row(found: Took) -> list[str]:
    """A row under SPEED."""
    times = [f"{1000 * one.median_s:.0f} / {1000 * one.p95_s:.0f}" for one in (found.text_s, found.voice_s)]
    return [str(found.languages), *times]


def _plain(scores: Sequence[Score], speeds: Sequence[Took]) -> dict[str, list[dict[str, str | float]]]:
    return {
        "quality": [
            {
                "from": score.direction.source,
                "to": score.direction.target,
                "route": score.route,
                "chrf": score.chrf,
                "bleu": score.bleu,
            }
            for score in scores
        ],
        "speed": [
            {
                "languages": found.languages,
                "text_p50_s": found.text_s.median_s,
                "text_p95_s": found.text_s.p95_s,
                "voice_p50_s": found.voice_s.median_s,
                "voice_p95_s": found.voice_s.p95_s,
            }
            for found in speeds
        ],
    }
