"""Figures as Markdown tables, for people, and as plain data, for JSON. Pure."""

import math
from collections.abc import Mapping, Sequence

from bench.measures import Summary
from bench.quality.endurance import Endurance
from bench.quality.figures import Figures, Held

Plain = Mapping[str, str | bool | int | float | list[str] | None]

FIGURES = (
    "language", "recogniser", "WER", "first words, s: p50 / p95", "committed, s: p50 / p95",
    "shown words changed", "taken back", "CPU per s of audio", "streams per core",
)  # fmt: skip
ENDURANCE = (
    "talk", "WER", "inserted", "words per s, heard / said", "longest gap, s of speech", "loops",
    "words in pauses", "committed, s: p50 / p95", "growth of lag, s", "CPU per s of audio", "faults",
)  # fmt: skip
HELD = ("streams on one core", "final after its speech, s: p50 / p95", "growth, s", "in time")
_NONE = "–"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(heads), line(["-" * width for width in widths]), *(line(row) for row in rows)])


def figures_row(language: str, recogniser: str, figures: Figures) -> list[str]:
    """A row under FIGURES."""
    live = bool(figures.flicker.final)
    return [
        language,
        recogniser,
        percent(figures.errors.rate),
        delays(figures.first_shown_s),
        delays(figures.committed_s),
        percent(figures.flicker.changed_share) if live else _NONE,
        str(figures.flicker.taken_back) if live else _NONE,
        number(figures.real_time_factor),
        number(1 / figures.real_time_factor, places=1) if live else _NONE,
    ]


def endurance_row(name: str, found: Endurance) -> list[str]:
    """A row under ENDURANCE."""
    return [
        name,
        percent(found.figures.errors.rate),
        percent(found.figures.errors.insertion_rate),
        f"{number(found.heard_per_s)} / {number(found.said_per_s)}",
        number(found.longest_gap_s, places=1),
        "; ".join(f"{loop.times} × “{' '.join(loop.words)}”" for loop in found.loops) or "0",
        str(found.words_in_pauses),
        delays(found.figures.committed_s),
        number(found.lag_growth_s),
        number(found.figures.real_time_factor),
        ", ".join(found.faults) or "none",
    ]


def held_row(held: Held) -> list[str]:
    """A row under HELD."""
    return [
        str(held.streams),
        delays(held.delays_s),
        number(held.growth_s),
        "yes" if held.in_time else "no",
    ]


def plain_figures(language: str, recogniser: str, figures: Figures) -> Plain:
    """The same for machines; ratios are not in percent, None where there is nothing to tell."""
    return {
        "language": language,
        "recogniser": recogniser,
        "words": figures.errors.words,
        "wer": _known(figures.errors.rate),
        "first_shown_p50_s": _known(figures.first_shown_s.median_s),
        "first_shown_p95_s": _known(figures.first_shown_s.p95_s),
        "committed_p50_s": _known(figures.committed_s.median_s),
        "committed_p95_s": _known(figures.committed_s.p95_s),
        "changed_share": _known(figures.flicker.changed_share),
        "normalised_erasure": _known(figures.flicker.normalised_erasure),
        "taken_back": figures.flicker.taken_back,
        "cpu_per_audio_s": _known(figures.real_time_factor),
        "audio_s": figures.audio_s,
    }


def plain_endurance(name: str, found: Endurance) -> Plain:
    """The same for machines."""
    return {
        **plain_figures("", name, found.figures),
        "inserted_share": _known(found.figures.errors.insertion_rate),
        "heard_per_s": found.heard_per_s,
        "said_per_s": found.said_per_s,
        "longest_gap_s": found.longest_gap_s,
        "loops": [" ".join(loop.words) for loop in found.loops],
        "words_in_pauses": found.words_in_pauses,
        "lag_growth_s": _known(found.lag_growth_s),
        "faults": found.faults,
    }


def plain_held(held: Held) -> Plain:
    """The same for machines."""
    return {
        "streams": held.streams,
        "final_p50_s": _known(held.delays_s.median_s),
        "final_p95_s": _known(held.delays_s.p95_s),
        "growth_s": _known(held.growth_s),
        "in_time": held.in_time,
    }


def percent(share: float) -> str:
    """A share in percent."""
    return _NONE if math.isnan(share) else f"{100 * share:.1f} %"


def delays(summary: Summary) -> str:
    """Median and 95th percentile."""
    return f"{number(summary.median_s)} / {number(summary.p95_s)}" if summary.count else _NONE


def number(value: float, *, places: int = 2) -> str:
    """A number, or a dash where there is none."""
    return _NONE if math.isnan(value) else f"{value:.{places}f}"


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
