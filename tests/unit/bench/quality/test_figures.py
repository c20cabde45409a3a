"""What was heard against what was said."""

import dataclasses
import math

import numpy as np
import pytest

from bench.measures import Delay, Summary
from bench.quality import report, talks
from bench.quality.alignment import Errors
from bench.quality.display import Shown
from bench.quality.endurance import (
    FEWEST_FINALS,
    Endurance,
    endurance,
    in_own_language,
    lag_growth_s,
    longest_gap_s,
    speech_spans,
    words_in_pauses,
)
from bench.quality.figures import Figures, Held, of_results, of_text
from bench.quality.recordings import Recording
from bench.quality.repetition import Loop
from bench.quality.talks import Talk
from bench.quality.truth import TimedWord, spoken_words, utterance_starts

RATE_HZ = 16_000


def recording(text: str, seconds: float, language: str = "en") -> Recording:
    """Its sound does not matter here."""
    return Recording(text, language, text, np.zeros(round(seconds * RATE_HZ), np.float32))


def one_a_second(of: Recording) -> list[TimedWord]:
    """Each word takes half a second, from the full second on."""
    return [TimedWord(word, float(at), at + 0.5) for at, word in enumerate(of.text.lower().split())]


def shown(
    at_s: float, text: str, stable: str | None = None, *, segment: int = 0, start_s: float = 0.0
) -> Shown:
    """A result; a final one without `stable`."""
    return Shown(at_s, segment, text, text if stable is None else stable, stable is None, start_s, at_s)


SAID = recording("The cat sat down", 4.0)
TALK = talks.single(SAID)
RESULTS = [
    shown(0.8, "The hat", ""),
    shown(2.0, "The cat", "The"),
    shown(4.0, "The cat sat brown"),
]


def test_delays_are_from_the_word_itself() -> None:
    """From its end to the promise that it stays, and from the start of an utterance to its first word."""
    words = spoken_words(TALK, one_a_second)
    found = of_results(TALK, RESULTS, [*words[:2], TimedWord("sat", 1.7, 2.5)], cpu_s=2.0)
    assert found.errors == Errors(substituted=1, words=4)
    assert [delay.at_s for delay in found.committed] == [0.5, 1.5, 2.5]
    assert [delay.delay_s for delay in found.committed] == pytest.approx([1.5, 2.5, 1.5])
    assert found.first_shown == (Delay(0.0, 0.8), Delay(1.0, 1.0))
    assert found.flicker.changed == 1
    assert found.real_time_factor == 0.5


def test_an_utterance_without_a_known_word_has_no_first_delay() -> None:
    """Rather than a wrong one."""
    words = [
        TimedWord(word, 0.2 * at, 0.2 * at + 0.2)
        for at, word in enumerate(["x", "y", "z", "cat", "sat", "brown"])
    ]
    found = of_results(TALK, RESULTS, words, cpu_s=1.0)
    assert found.first_shown == ()
    assert len(found.committed) == 3


def test_nothing_heard_is_all_deleted() -> None:
    """No results, no delays."""
    found = of_results(TALK, [], spoken_words(TALK, one_a_second), cpu_s=1.0)
    assert found.errors == Errors(deleted=4, words=4)
    assert found.committed == found.first_shown == ()
    assert math.isnan(found.committed_s.median_s)


def test_figures_add_up() -> None:
    """Over talks; a text alone has neither delays nor flicker."""
    both = of_text(TALK, "the cat sat", cpu_s=1.0) + of_results(TALK, RESULTS, [], cpu_s=3.0)
    assert both.errors == Errors(substituted=1, deleted=1, words=8)
    assert both.real_time_factor == 0.5
    assert both.flicker.final == 4
    assert math.isnan(Figures().real_time_factor)


def test_utterances_begin_after_gaps() -> None:
    """And at the first word."""
    words = [TimedWord("a", 0.0, 0.3), TimedWord("b", 0.4, 0.6), TimedWord("c", 1.2, 1.5)]
    assert utterance_starts(words) == [0, 2]
    assert speech_spans(words) == [(0.0, 0.6), (1.2, 1.5)]


def test_gaps_between_results_count_speech_only() -> None:
    """A pause is no standstill."""
    spans = [(0.0, 4.0), (24.0, 30.0)]
    assert longest_gap_s([2.0, 5.0, 25.0, 31.0], spans) == 5.0
    assert longest_gap_s([4.5, 26.0, 31.0], spans) == 4.0
    assert longest_gap_s([], spans) == 10.0


def long_pauses() -> Talk:
    """Two seconds of speech and twenty of none, twice."""
    one, two = recording("one two", 2.0), recording("three four", 2.0)
    return talks.joined("pauses", [one, two], language="en", pause_s=20.0, seconds=40.0)


def test_words_that_begin_in_a_long_pause_are_counted_once() -> None:
    """By their segment, at the most words it had; those at the edge belong to the speech."""
    results = [
        shown(2.4, "one two", start_s=0.1),
        shown(8.0, "thanks", "", segment=1, start_s=7.0),
        shown(9.0, "thanks for watching", segment=1, start_s=7.0),
        shown(24.3, "three four", segment=2, start_s=21.8),
    ]
    assert words_in_pauses(long_pauses(), results) == 3


def test_results_in_another_language_are_set_aside() -> None:
    """By the middle of their segment, with their partial results."""
    own, other = recording("one two", 2.0), recording("uno dos", 2.0, "es")
    talk = talks.joined("both", [own, other], language="en", pause_s=0.0, seconds=4.0)
    results = [
        shown(1.9, "one two"),
        shown(3.0, "who", "", segment=1, start_s=2.2),
        shown(3.9, "who knows", segment=1, start_s=2.2),
    ]
    assert in_own_language(talk, results) == results[:1]
    assert in_own_language(talks.single(own), results) == results


def judged(talk: Talk, results: list[Shown]) -> Endurance:
    """All of it."""
    words = spoken_words(talk, one_a_second)
    return endurance(talk, results, words, speech_spans(words), cpu_s=1.0)


def test_a_talk_that_is_heard_well_has_no_faults() -> None:
    """Every word once, in time."""
    found = judged(TALK, [shown(2.0, "The cat"), shown(4.0, "sat down", segment=1)])
    assert found.faults == []
    assert found.said_per_s == found.heard_per_s == 2.0
    assert found.longest_gap_s == pytest.approx(1.0)


def test_each_fault_is_named() -> None:
    """Loops, inventions and a standstill."""
    looping = judged(TALK, [shown(4.0, "The cat sat down sat down sat down")])
    assert looping.loops == (Loop(("sat", "down"), 3),)
    assert looping.faults == ["loops", "invents", "inserts"]
    long = talks.single(recording("word " * 30, 30.0))
    assert judged(long, []).faults == ["stalls"]


def test_growing_lag_is_a_fault() -> None:
    """The final results of the last third are later than those of the first."""
    talk = talks.single(recording("word " * FEWEST_FINALS, FEWEST_FINALS))
    results = [
        Shown(at + 1.0 + 0.1 * at, at, "word", "word", True, float(at), at + 0.5)
        for at in range(FEWEST_FINALS)
    ]
    found = judged(talk, results)
    assert found.lag_growth_s == pytest.approx(2.0)
    assert "falls behind" in found.faults
    assert judged(talk, [dataclasses.replace(each, at_s=each.end_s + 2.0) for each in results]).faults == []


def test_few_results_tell_nothing_of_growth() -> None:
    """Sentences differ more than that."""
    results = [shown(at * 1.5, "a", segment=at) for at in range(FEWEST_FINALS - 1)]
    assert math.isnan(lag_growth_s(results))


def test_tables_are_aligned() -> None:
    """As Markdown."""
    assert report.table(("a", "long"), [("word", "b")]).splitlines() == [
        "| a    | long |",
        "| ---- | ---- |",
        "| word | b    |",
    ]


def test_every_row_fits_under_its_heads() -> None:
    """With dashes where there is nothing to tell, in print and in data."""
    live = of_results(TALK, RESULTS, spoken_words(TALK, one_a_second), cpu_s=1.0)
    offline = of_text(TALK, "the cat", cpu_s=1.0)
    assert len(report.figures_row("en", "x", live)) == len(report.FIGURES)
    assert report.figures_row("en", "x", offline)[2:] == ["50.0 %", "–", "–", "–", "–", "0.25", "–"]
    assert report.plain_figures("en", "x", offline)["committed_p50_s"] is None
    found = judged(TALK, [shown(4.0, "no no no no")])
    assert len(report.endurance_row("x", found)) == len(report.ENDURANCE)
    assert "4 × “no”" in report.endurance_row("x", found)
    assert report.plain_endurance("x", found)["loops"] == ["no"]
    held = Held(2, Summary.of([0.5, 3.0]), 0.1)
    assert report.held_row(held) == ["2", "1.75 / 3.00", "0.10", "no"]
    assert report.plain_held(held)["in_time"] is False
