"""Sentences become lines that fit, each at its place."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from babelcast.archive.base import Entry
from babelcast.archive.cues import COLUMNS, LINES, Cue, cues, portions, width, wrapped

words = st.text(st.characters(categories=["Lu", "Ll", "Nd", "Po"]), min_size=1, max_size=20)
texts = st.lists(words, min_size=0, max_size=60).map(" ".join)


@st.composite
def talks(draw: st.DrawFn) -> list[Entry]:
    """Sentences with places as recognition gives them: in order, some empty, some over the one before."""
    entries: list[Entry] = []
    at_ms = draw(st.integers(0, 10_000))
    for segment in range(draw(st.integers(0, 12))):
        start_ms = max(0, at_ms + draw(st.integers(-2_000, 3_000)))
        at_ms = start_ms + draw(st.integers(0, 15_000))
        entries.append(Entry(segment, 0, draw(texts), start_ms, at_ms, 0))
    return entries


def sentence(segment: int, text: str, start_ms: int, end_ms: int) -> Entry:
    """A sentence."""
    return Entry(segment, 0, text, start_ms, end_ms, 0)


@given(talks())
def test_no_cue_is_over_another(talk: list[Entry]) -> None:
    """Cues are in order, take some time each, and begin when the one before has ended."""
    made = cues(talk)
    assert all(cue.start_ms < cue.end_ms for cue in made)
    assert all(one.end_ms <= other.start_ms for one, other in itertools.pairwise(made))


@given(talks())
def test_all_words_are_there(talk: list[Entry]) -> None:
    """Every sentence is whole, in its order."""
    made = cues(talk)
    for entry in talk:
        shown = "".join(line for cue in made if cue.segment == entry.segment for line in cue.lines)
        assert shown.replace(" ", "") == entry.text.replace(" ", "")


@given(texts)
def test_lines_fit(text: str) -> None:
    """No line is longer than it may be, and no more are shown at a time than may be."""
    for lines in portions(text):
        assert 1 <= len(lines) <= LINES
        assert all(width(line) <= COLUMNS for line in lines)


def test_a_short_sentence_keeps_its_time() -> None:
    """Where there is room a cue stands exactly where its sentence was said."""
    assert cues([sentence(3, "Hello there.", 1_000, 2_500)]) == [Cue(3, 1_000, 2_500, ["Hello there."])]


def test_parts_share_the_time_by_their_letters() -> None:
    """A long sentence is shown in turn, each part for as long as it is."""
    text = " ".join(["abcdefgh"] * 18)  # 161 columns
    made = cues([sentence(1, text, 0, 10_000)])
    assert (made[0].start_ms, made[-1].end_ms) == (0, 10_000)
    assert len(made) == 3
    letters = [sum(map(len, cue.lines)) for cue in made]
    for cue, count in zip(made, letters, strict=True):
        assert abs((cue.end_ms - cue.start_ms) - 10_000 * count / sum(letters)) < 5


def test_lines_are_of_like_length() -> None:
    """The last line is no single word when the words can be shared out."""
    text = "We choose to go to the moon in this decade not"
    assert wrapped(text) == ["We choose to go to the", "moon in this decade not"]


def test_a_hurried_sentence_stays_a_little() -> None:
    """What was said in no time is shown for a moment, but not when the next one begins."""
    made = cues([sentence(1, "Yes.", 1_000, 1_000), sentence(2, "No.", 1_300, 5_000)])
    assert [(cue.start_ms, cue.end_ms) for cue in made] == [(1_000, 1_300), (1_300, 5_000)]
    assert cues([sentence(1, "Yes.", 1_000, 1_000)])[0].end_ms == 1_800


def test_scripts_without_spaces_are_broken() -> None:
    """Chinese, whose letters are two columns wide, is broken between letters, not before signs."""
    lines = wrapped("我们选择在这个十年登月，" * 6)
    assert all(width(line) <= COLUMNS for line in lines)
    assert "".join(lines) == "我们选择在这个十年登月，" * 6
    assert not any(line.startswith("，") for line in lines)


def test_an_endless_word_stays_whole() -> None:
    """A word that no line can take has one of its own."""
    assert wrapped(f"so {'x' * 60} so") == ["so", "x" * 60, "so"]


def test_what_says_nothing_is_not_shown() -> None:
    """An empty text, as an edit may leave it, makes no cue."""
    assert cues([sentence(1, " \n\x00 ", 0, 1_000)]) == []
