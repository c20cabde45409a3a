"""Recognition: truth, delays and CPU beside plain Whisper, and talks that are hard to sit through.

The folder holds 16-bit mono WAV files and an index.json: a list of {"file", "language", "text"}. The service
runs in this process; without --simulated it is spoken to over gRPC at the pace of speech, with it time is
virtual: waits take none, work takes its CPU time, and gRPC is left out. Plain Whisper always runs in time of
that kind, with a core of its own. How words are counted and timed is told in bench/README.md.
"""

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from bench.quality import report, talks
from bench.quality.endurance import Endurance, endurance, speech_spans
from bench.quality.figures import Figures, Held, of_results, of_text
from bench.quality.holding import hold_on_one_core
from bench.quality.recordings import Recording, read_folder
from bench.quality.streaming import Speech, at_real_pace, in_virtual_time
from bench.quality.talks import Talk
from bench.quality.truth import TimedWord, spoken_words
from bench.quality.whole_window import WholeWindowWhisper
from transcription_svc.config import TranscriptionConfig

OURS, EVERY_SECOND, WHOLE_FILE = "babelcast", "whole window, every second", "whole file, offline"
WANTED_CPU_RATIO = 2.0
WANTED_POINTS = 1.0
_ALL = "all"
_QUICK_MINUTES = 1.0
_RANDOM = 1
_HOLD_S = 60.0
_MOST_STREAMS = 8


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for on the command line."""

    speech: Path
    language: str | None
    minutes: float
    parts: Sequence[str]
    simulated: bool
    verbose: bool
    json: Path | None


PARTS = ("recordings", "talks", "streams")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of the sub-command."""
    parser.add_argument("--speech", type=Path, required=True, help="folder of recordings")
    parser.add_argument("--language", help="only recordings in this language")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=5.0, help="length of the talks")
    parser.add_argument("--simulated", action="store_true", help="virtual time: quick, for busy machines")
    parser.add_argument(
        "--quick", action="store_true", help=f"simulated, talks of {_QUICK_MINUTES:g} min, no part `streams`"
    )
    parser.add_argument("--verbose", action="store_true", help="print all final results")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")


def run(arguments: argparse.Namespace) -> bool:
    """Measure and print; returns whether all that is promised holds."""
    quick: bool = arguments.quick
    return measure(
        Options(
            speech=arguments.speech,
            language=arguments.language,
            minutes=_QUICK_MINUTES if quick else arguments.minutes,
            parts=[part for part in arguments.parts if not (quick and part == "streams")],
            simulated=arguments.simulated or quick,
            verbose=arguments.verbose,
            json=arguments.json,
        )
    )


def measure(options: Options) -> bool:
    """All parts that are asked for; returns whether all that is promised holds."""
    recordings = read_folder(options.speech, language=options.language)
    whisper = WholeWindowWhisper(TranscriptionConfig())
    data: dict[str, list[report.Plain]] = {}
    kept = True
    with in_virtual_time() if options.simulated else at_real_pace() as say:
        if "recordings" in options.parts:
            rows = compare(recordings, say, whisper, options)
            data["recordings"] = [report.plain_figures(*row) for row in rows]
            kept &= _print_comparison(rows)
        if "talks" in options.parts:
            found = list(endure(recordings, say, whisper, options))
            data["talks"] = [report.plain_endurance(name, each) for name, each in found]
            kept &= _print_endurance(found)
    if "streams" in options.parts:
        held = hold_on_one_core(talks.first_language(recordings), seconds=_HOLD_S, most=_MOST_STREAMS)
        data["streams"] = [report.plain_held(each) for each in held]
        _print_held(held)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(data), indent=1))
    return kept


def compare(
    recordings: Sequence[Recording], say: Speech, whisper: WholeWindowWhisper, options: Options
) -> list[tuple[str, str, Figures]]:
    """Each recording to all three recognisers; figures by language, then of all."""
    sums: dict[tuple[str, str], Figures] = defaultdict(Figures)
    for recording in recordings:
        talk = talks.single(recording)
        spoken = whisper.words(recording)
        cpu = CpuWatch()
        results = say(talk)
        ours = of_results(talk, results, spoken, cpu_s=cpu.lap_s())
        shown = whisper.live(talk)
        live = of_results(talk, shown, spoken, cpu_s=cpu.lap_s())
        text = whisper.whole_file(recording.samples, recording.language)
        offline = of_text(talk, text, cpu_s=cpu.lap_s())
        _note(talk, [result.text for result in results if result.is_final], [ours, live, offline], options)
        for name, figures in ((OURS, ours), (EVERY_SECOND, live), (WHOLE_FILE, offline)):
            for language in (recording.language, _ALL):
                sums[language, name] += figures
    return [(*names, figures) for names, figures in sorted(sums.items(), key=_languages_first)]


def endure(
    recordings: Sequence[Recording], say: Speech, whisper: WholeWindowWhisper, options: Options
) -> Iterator[tuple[str, Endurance]]:
    """The hard talks, and for each what plain Whisper makes of the whole of it."""
    for talk in talks.hard(recordings, np.random.default_rng(_RANDOM), seconds=options.minutes * 60):
        spoken = spoken_words(talk, whisper.words)
        spans = speech_spans(all_words(talk, whisper))
        cpu = CpuWatch()
        results = say(talk)
        ours = endurance(talk, results, spoken, spans, cpu_s=cpu.lap_s())
        _note(talk, [result.text for result in results if result.is_final], [ours.figures], options)
        if len(talk.own_pieces) == len(talk.pieces):  # its text has no times to tell languages apart by
            text = whisper.whole_file(talk.samples, talk.language)
            offline = of_text(talk, text, cpu_s=cpu.lap_s()).errors
            print(
                f"  {WHOLE_FILE}: WER {report.percent(offline.rate)}, "
                f"inserted {report.percent(offline.insertion_rate)}",
                flush=True,
            )
        yield talk.name, ours


def all_words(talk: Talk, whisper: WholeWindowWhisper) -> list[TimedWord]:
    """The words of a talk in all its languages."""
    return [
        TimedWord(word.text, piece.start_s + word.start_s, piece.start_s + word.end_s)
        for piece in talk.pieces
        for word in whisper.words(piece.recording)
    ]


class CpuWatch:
    """CPU seconds of this process, all threads, from lap to lap."""

    def __init__(self) -> None:
        self._last_s = time.process_time()

    def lap_s(self) -> float:
        """Since the last call."""
        before, self._last_s = self._last_s, time.process_time()
        return self._last_s - before


def _languages_first(item: tuple[tuple[str, str], Figures]) -> tuple[bool, str, int]:
    (language, name), _ = item
    return language == _ALL, language, (OURS, EVERY_SECOND, WHOLE_FILE).index(name)


def _note(talk: Talk, finals: Sequence[str], figures: Sequence[Figures], options: Options) -> None:
    rates = ", ".join(report.percent(each.errors.rate) for each in figures)
    print(f"{talk.name} ({talk.language}, {talk.seconds:.0f} s): WER {rates}", flush=True)
    if options.verbose:
        print("\n".join(f"    {text}" for text in finals))


def _print_comparison(rows: Sequence[tuple[str, str, Figures]]) -> bool:
    print("\n" + report.table(report.FIGURES, [report.figures_row(*row) for row in rows]))
    total = {name: figures for language, name, figures in rows if language == _ALL}
    ratio = total[EVERY_SECOND].real_time_factor / total[OURS].real_time_factor
    points = {
        name: 100 * (total[OURS].errors.rate - total[name].errors.rate) for name in (EVERY_SECOND, WHOLE_FILE)
    }
    kept = ratio >= WANTED_CPU_RATIO and max(points.values()) <= WANTED_POINTS
    against = ", ".join(f"{value:+.1f} points against {name!r}" for name, value in points.items())
    print(
        f"\nCPU of {EVERY_SECOND!r} / ours: {ratio:.1f} (wanted: {WANTED_CPU_RATIO:g}); WER {against} "
        f"(wanted: at most +{WANTED_POINTS:g}): {'kept' if kept else 'NOT KEPT'}"
    )
    return kept


def _print_endurance(found: Sequence[tuple[str, Endurance]]) -> bool:
    print("\n" + report.table(report.ENDURANCE, [report.endurance_row(*row) for row in found]), flush=True)
    return not any(each.faults for _, each in found)


def _print_held(held: Sequence[Held]) -> None:
    print("\n" + report.table(report.HELD, [report.held_row(each) for each in held]))
    most = max((each.streams for each in held if each.in_time), default=0)
    print(f"\nOne of {len(os.sched_getaffinity(0))} cores holds {most} stream(s).", flush=True)
