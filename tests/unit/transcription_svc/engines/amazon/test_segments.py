"""Amazon's results as segments."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from transcription_svc.engines.amazon.hearing import Heard, HeardWord
from transcription_svc.engines.amazon.segments import SegmentBuilder
from transcription_svc.engines.base import SegmentResult

SECOND = 16_000
WORD = SECOND // 2


def builder(*, longest_s: float = 5.0, partials: bool = True, language: str = "en") -> SegmentBuilder:
    """A builder that counts from 0."""
    return SegmentBuilder(first_segment=0, max_segment_s=longest_s, language=language, partials=partials)


def heard(
    text: str,
    *,
    stable: int = 0,
    final: bool = False,
    start: int = 0,
    name: str = "a",
    end: int | None = None,
) -> Heard:
    """A result with two words a second."""
    parts = text.split()
    words = tuple(
        HeardWord(part, start + n * WORD, start + n * WORD + 6_400, final or n < stable)
        for n, part in enumerate(parts)
    )
    last = words[-1].end if words else start
    return Heard(name, final, words, last if end is None else end)


def test_stable_words_are_committed() -> None:
    """The leading words that Amazon promises to keep are stable text, without the punctuation at its end."""
    [result] = builder().take(heard("Hello, dear, friends of", stable=2))
    assert (result.text, result.stable_text) == ("Hello, dear, friends of", "Hello, dear")
    assert 0.5 < result.stability < 1.0
    assert not result.is_final


def test_committed_words_stay_whatever_comes() -> None:
    """A broken promise is not passed on; what follows is."""
    segments = builder()
    segments.take(heard("we went home today", stable=3))
    [result] = segments.take(heard("we want home today again", stable=3))
    assert result.text == "we went home today again"


def test_punctuation_behind_the_last_committed_word_may_come_later() -> None:
    """A comma that Amazon hears late is shown, and the word before it stays."""
    segments = builder()
    segments.take(heard("well we", stable=1))
    [result] = segments.take(heard("Well, we went", stable=2))
    assert result.text == "well, we went"
    assert result.stable_text == "well, we"


def test_a_final_result_ends_the_segment() -> None:
    """All its words are final, with their own times."""
    segments = builder()
    segments.take(heard("good morning", stable=1))
    [result] = segments.take(heard("good morning everybody.", final=True))
    assert (result.segment, result.text, result.is_final) == (0, "good morning everybody.", True)
    assert (result.start, result.end) == (0, 2 * WORD + 6_400)
    assert segments.settled == result.end
    assert not segments.is_open


def test_stable_sentences_do_not_wait_for_the_result() -> None:
    """A sentence with a stable word after it is final at once; the rest of the result is the next segment."""
    segments = builder(longest_s=10)
    results = segments.take(heard("We are all here. Now we begin", stable=5))
    assert [(found.segment, found.text, found.is_final) for found in results] == [
        (0, "We are all here.", True),
        (1, "Now we begin", False),
    ]
    results = segments.take(heard("We are all here. Now we begin to talk.", final=True))
    assert [(found.segment, found.text) for found in results] == [(1, "Now we begin to talk.")]


def test_long_segments_end_at_a_clause() -> None:
    """Before the longest time the last clause that is stable ends the segment."""
    segments = builder(longest_s=3.0)
    results = segments.take(heard("one two three, four five six", stable=5, end=int(2.6 * SECOND)))
    assert [(found.text, found.is_final) for found in results] == [
        ("one two three,", True),
        ("four five six", False),
    ]


def test_long_segments_without_a_clause_end_anyhow() -> None:
    """Without punctuation all that is stable is cut off, and without anything stable what is old."""
    results = builder(longest_s=2.0).take(heard("a b c d", stable=3))
    assert [found.text for found in results] == ["a b c", "d"]
    results = builder(longest_s=2.0).take(heard("a b c d e f", end=3 * SECOND))
    assert results[0].is_final
    assert results[0].text == "a b c d"


def test_a_long_final_result_becomes_several_segments() -> None:
    """No segment is longer than the longest time, even when nothing was heard before the final result."""
    text = " ".join(f"w{n}" for n in range(20))
    results = builder(longest_s=2.0).take(heard(text, final=True))
    assert " ".join(found.text for found in results) == text
    assert all(found.end - found.start <= 2 * SECOND for found in results)


def test_a_segment_that_nothing_is_heard_of_ends() -> None:
    """Text of which Amazon says no more for longer than a segment may last becomes final."""
    segments = builder(longest_s=2.0)
    segments.take(heard("are you there", stable=1))
    assert segments.overdue(2 * SECOND) == []
    [result] = segments.overdue(4 * SECOND)
    assert (result.text, result.is_final) == ("are you there", True)
    [final] = segments.take(heard("are you there today", final=True))
    assert (final.segment, final.text) == (1, "today")


def test_after_a_break_committed_words_are_found_again() -> None:
    """A new connection hears the audio again: what was committed stays, what was answered does not return."""
    segments = builder()
    segments.take(heard("first words.", final=True))
    segments.take(heard("then we said this", stable=2, start=SECOND, name="b"))
    segments.restart()
    [result] = segments.take(heard("words. Then we said", start=WORD, stable=0, name="c"))
    assert result.segment == 1
    assert result.text == "then we said"
    assert result.stable_text == "then we"


def test_what_is_open_at_the_end_is_final() -> None:
    """The end makes final what is known, also when the last result has taken all words back."""
    segments = builder()
    segments.take(heard("so long", stable=1))
    assert [found.text for found in segments.finish()] == ["so long"]
    assert segments.finish() == []
    segments.take(heard("farewell", stable=0, start=2 * SECOND))
    segments.restart()
    assert [found.text for found in segments.finish()] == ["farewell"]


def test_languages_without_spaces_have_none() -> None:
    """Japanese words make a text without spaces."""
    [result] = builder(language="ja").take(heard("これ は 本 です。", final=True))
    assert result.text == "これは本です。"


def test_without_partials_there_are_finals_alone() -> None:
    """Partial results still serve to cut."""
    results = builder(partials=False, longest_s=10).take(heard("We are all here. Now we begin", stable=5))
    assert [found.is_final for found in results] == [True]


@dataclass(frozen=True)
class Step:
    """What happens next to a stream."""

    grow: int
    stable: int
    garble: int
    kind: str


STEPS = st.builds(
    Step,
    grow=st.integers(0, 6),
    stable=st.integers(0, 8),
    garble=st.integers(0, 3),
    kind=st.sampled_from(["partial", "partial", "partial", "final", "break"]),
)


class Talk:
    """Amazon hearing a talk of numbered words; it breaks promises about words it has not marked stable."""

    def __init__(self, segments: SegmentBuilder) -> None:
        self.segments = segments
        self.results: list[SegmentResult] = []
        self.said = 0
        self.begin = 0
        self.stable = 0
        self.connection = 0

    def play(self, step: Step) -> None:
        """One step."""
        self.said += step.grow
        if step.kind == "break":
            self.connection += 1
            self.segments.restart()
            self.begin, self.stable = -(-self.segments.settled // WORD), 0
            return
        final = step.kind == "final"
        texts = [self.text(n) for n in range(self.begin, self.said)]
        self.stable = min(len(texts), max(self.stable, step.stable))
        for n in range(max(self.stable, len(texts) - step.garble), len(texts)):
            if not final:
                texts[n] = f"x{n}"
        name = f"{self.connection}-{self.begin}"
        found = heard(" ".join(texts), stable=self.stable, final=final, start=self.begin * WORD, name=name)
        self.results += self.segments.take(found)
        if final:
            self.begin, self.stable = self.said, 0

    @staticmethod
    def text(number: int) -> str:
        """A word of the talk; every seventh ends a sentence."""
        return f"w{number}." if number % 7 == 6 else f"w{number}"


@given(st.lists(STEPS, max_size=40), st.sampled_from([2.0, 3.5, 10.0]))
def test_rules_hold_whatever_is_heard(steps: Sequence[Step], longest_s: float) -> None:
    """Numbers have no gaps, stable text only grows, one final each, no overlap, and revisions count."""
    talk = Talk(builder(longest_s=longest_s))
    for step in steps:
        talk.play(step)
    talk.results += talk.segments.finish()
    number, stable, position, revision = 0, "", 0, 0
    for found in talk.results:
        assert found.segment == number
        assert found.revision == revision
        assert found.text.startswith(found.stable_text)
        assert found.stable_text.startswith(stable)
        assert found.text
        assert position <= found.start <= found.end
        stable, revision = found.stable_text, revision + 1
        if found.is_final:
            number, stable, position, revision = number + 1, "", found.end, 0
    assert not stable
    assert not talk.segments.is_open


@given(st.lists(STEPS.filter(lambda step: step.kind != "break"), max_size=40))
def test_every_word_is_final_once(steps: Sequence[Step]) -> None:
    """Without breaks and with short segments left open long, the finals are the talk."""
    talk = Talk(builder(longest_s=1_000))
    for step in [*steps, Step(1, 0, 0, "final")]:
        talk.play(step)
    finals = " ".join(found.text for found in talk.results if found.is_final)
    assert finals == " ".join(Talk.text(n) for n in range(talk.said))
