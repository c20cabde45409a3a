"""Loops of a recogniser."""

import pytest

from bench.quality.repetition import LONGEST, Loop, invented_loops, loops


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no no no no", [Loop(("no",), 4)]),
        ("and he said he said he said so", [Loop(("he", "said"), 3)]),
        ("to the shop to the shop now", [Loop(("to", "the", "shop"), 2)]),
        ("no no no", []),
        ("had had that that", []),
        ("he said he said so", []),
        ("press one to stay press two to leave", []),
        ("", []),
    ],
)
def test_runs_that_follow_themselves_are_loops(text: str, found: list[Loop]) -> None:
    """The shorter the run, the more often it must be said."""
    assert loops(text.split()) == found


def test_every_loop_of_a_text_is_found_once() -> None:
    """What comes after a loop is looked at as well."""
    words = ["a", "a", "a", "a", "a", "b", "c", "d", "e", "c", "d", "e", "f"]
    assert loops(words) == [Loop(("a",), 5), Loop(("c", "d", "e"), 2)]


def test_a_long_text_said_again_is_no_loop() -> None:
    """Speakers may repeat themselves after a while."""
    once = [f"w{number}" for number in range(LONGEST + 1)]
    assert loops(once * 3) == []
    assert loops(once[:LONGEST] * 2) != []


def test_loops_that_the_speaker_made_are_not_invented() -> None:
    """Only what the reference does not repeat counts."""
    said = ["row", "row", "row", "row", "your", "boat"]
    assert invented_loops(said, said) == []
    assert invented_loops(said, [*said, *["boat"] * 4]) == [Loop(("boat",), 5)]
