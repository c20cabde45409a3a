"""Decisions of a live stream: what is decoded when, and what becomes a segment."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import FRAME_SAMPLES
from transcription_svc.engines.base import Hypothesis, SegmentResult, StreamOptions, Word
from transcription_svc.open_segment import Task, TaskKind
from transcription_svc.segmenter import Segmenter

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ


class Talk:
    """A talk with known words, played to a segmenter that decodes at once and hears exactly what was said."""

    def __init__(
        self, words: Sequence[Word], *, options: StreamOptions | None = None, timed: bool = True
    ) -> None:
        """`words` carry their times in the stream."""
        self.words = words
        """A word without text is a sound that is no word."""
        self.goes_on = False
        """Whether the decoder can go on from words that it is given."""
        self.circles = False
        """Whether it says them again when it should."""
        self.timed = timed
        self.deaf = False
        """Whether the decoder hears nothing at all."""
        self.logprob = 0.0
        self.segmenter = Segmenter(options or StreamOptions(language="en"))
        self.results: list[SegmentResult] = []
        self.tasks: list[Task] = []

    def play(self, seconds: float) -> "Talk":
        """Hear the stream up to a position, decoding whatever is asked for."""
        while self.segmenter.position < seconds * SAMPLE_RATE_HZ:
            start = self.segmenter.position / SAMPLE_RATE_HZ
            spoken = any(word.start_s < start + FRAME_S and word.end_s > start for word in self.words)
            self.results += self.segmenter.hear(0.95 if spoken else 0.02)
            self._decode()
        return self

    def end(self) -> "Talk":
        """No more audio."""
        self.results += self.segmenter.end()
        self._decode()
        return self

    @property
    def finals(self) -> list[str]:
        """Texts of final results."""
        return [result.text for result in self.results if result.is_final]

    def _decode(self) -> None:
        for _ in range(20):
            task = self.segmenter.next_task()
            if task is None:
                return
            self.tasks.append(task)
            samples = np.zeros(task.end - task.start, np.float32)
            self.results += self.segmenter.take(task, self._heard(task), samples)
        raise AssertionError("the segmenter never stops asking")

    def _heard(self, task: Task) -> Hypothesis:
        start, end = task.start / SAMPLE_RATE_HZ, task.end / SAMPLE_RATE_HZ
        inside = [
            word
            for word in self.words
            if word.text and start - 0.1 <= word.start_s and word.end_s <= end + 0.1
        ]
        if task.prefix:
            assert [word.text for word in inside[: len(task.prefix)]] == [word.text for word in task.prefix]
            inside = inside[0 if self.circles else len(task.prefix) :]
        tokens = (1,) if self.goes_on else ()
        timed = tuple(Word(word.text, word.start_s - start, word.end_s - start, tokens) for word in inside)
        if self.deaf:
            return Hypothesis()
        if self.timed and task.timed:
            return Hypothesis(timed, timed=True, average_logprob=self.logprob)
        return Hypothesis(tuple(Word(word.text) for word in timed), average_logprob=self.logprob)


def say(
    text: str, *, at: float = 0.5, pauses: dict[int, float] | None = None, each: float = 0.3
) -> list[Word]:
    """Words one after the other, with pauses after some."""
    words = []
    for number, word in enumerate(text.split(), start=1):
        words.append(Word(word, at, at + each))
        at += each + (pauses or {}).get(number, 0.0)
    return words


def test_first_words_come_early_and_are_committed_soon() -> None:
    """The first partial result comes 0.3 s after speech starts, the first stable words 0.3 s later."""
    talk = Talk(say("and so my fellow Americans ask")).play(0.9)
    assert [(result.text, result.is_final) for result in talk.results] == [("And", False)]
    talk.play(1.2)
    assert talk.results[-1].stable_text == "And"
    assert talk.results[-1].revision == 1


def test_a_pause_ends_a_segment() -> None:
    """A whole sentence is final 0.4 s after its last word and not before; nothing is decoded twice for it."""
    words = say("Ask what you can do.", each=0.19)
    talk = Talk(words).play(words[-1].end_s + 0.35)
    assert talk.finals == []
    talk.play(words[-1].end_s + 0.45)
    assert talk.finals == ["Ask what you can do."]
    assert [task.kind for task in talk.tasks].count(TaskKind.CLOSING) == 1
    final = talk.results[-1]
    assert final.start == pytest.approx(0.5 * SAMPLE_RATE_HZ, abs=FRAME_SAMPLES)
    assert final.end == pytest.approx(words[-1].end_s * SAMPLE_RATE_HZ, abs=FRAME_SAMPLES)


def test_the_last_words_are_decoded_from_the_same_audio_however_late() -> None:
    """A decoder that is busy when the pause comes hears no more silence than one that is not."""
    words = say("Ask what you can do.", each=0.19)
    talk = Talk(words).play(words[-1].end_s + 0.3)
    (closing,) = [task for task in talk.tasks if task.kind is TaskKind.CLOSING]
    late = Talk(words).play(words[-1].end_s - 0.2)
    while late.segmenter.position < (words[-1].end_s + 0.39) * SAMPLE_RATE_HZ:
        spoken = late.segmenter.position / SAMPLE_RATE_HZ < words[-1].end_s
        assert late.segmenter.hear(0.95 if spoken else 0.02) == []
    task = late.segmenter.next_task()
    assert task is not None
    assert (task.kind, task.end) == (TaskKind.CLOSING, closing.end)


def test_an_unfinished_text_gets_more_patience() -> None:
    """Half a sentence waits 0.65 s for its other half."""
    words = say("we want")
    talk = Talk(words).play(words[-1].end_s + 0.6)
    assert talk.finals == []
    assert talk.play(words[-1].end_s + 0.72).finals == ["We want"]


def test_short_pause_that_ends_early_only_adds_a_partial() -> None:
    """Speech that goes on soon goes on in the same segment."""
    words = say("we want to go home", pauses={2: 0.3})
    talk = Talk(words).play(words[-1].end_s + 1.0)
    assert talk.finals == ["We want to go home"]


def test_in_a_long_segment_a_shorter_pause_ends_it() -> None:
    """After 3 s half of the usual pause is enough, and what follows has its own segment."""
    words = say("one two three four five six seven eight nine ten. Then more", pauses={10: 0.3})
    talk = Talk(words).play(words[-1].end_s + 1.0)
    assert talk.finals == ["One two three four five six seven eight nine ten.", "Then more"]


def test_a_sentence_is_final_while_the_speaker_goes_on() -> None:
    """Two hypotheses that show a sentence with words after it end it, without any pause."""
    words = say("This is the first one. And here the second goes on for long")
    talk = Talk(words, options=StreamOptions(language="en", max_segment_s=10)).play(4.0)
    assert talk.finals == ["This is the first one."]
    shown = talk.results[talk.results.index(next(r for r in talk.results if r.is_final)) + 1]
    assert shown.segment == 1
    assert shown.text.startswith("And here")


def test_a_long_segment_is_cut_at_its_longest_short_pause() -> None:
    """Before 5 s a segment without a good end is cut where the speaker breathed."""
    text = " ".join(f"w{number}" for number in range(40))
    talk = Talk(say(text, pauses={9: 0.13})).play(6.0)
    assert talk.finals == [" ".join(["W0", *(f"w{number}" for number in range(1, 9))])]
    assert any(task.kind is TaskKind.CUT for task in talk.tasks)


def test_a_clause_ends_a_long_segment_without_any_pause() -> None:
    """From 45 % of the longest time on a clause that two hypotheses show ends a segment at once."""
    talk = Talk(say("when all of this has at last been done, we go on with all the rest of it"))
    talk.play(4.2)
    assert talk.finals == ["When all of this has at last been done,"]


def test_a_breath_after_a_clause_ends_a_long_segment() -> None:
    """A breath is enough from 45 % of the longest time on if a clause ends there, else from 70 % on."""
    words = "one two three four five six seven eight{} nine ten eleven twelve thirteen"
    clause = Talk(say(words.format(","), pauses={8: 0.13})).play(3.4)
    assert clause.finals == ["One two three four five six seven eight,"]
    other = Talk(say(words.format(""), pauses={8: 0.13})).play(3.4)
    assert other.finals == []
    assert other.play(4.4).finals == ["One two three four five six seven eight"]


def test_without_any_pause_it_is_cut_between_words() -> None:
    """A speaker who never pauses is cut all the same, and no word is lost or doubled."""
    text = " ".join(f"w{number}" for number in range(40))
    talk = Talk(say(text)).play(13.5).end()
    assert len(talk.finals) >= 3
    assert " ".join(talk.finals).casefold() == text
    longest = max(result.end - result.start for result in talk.results if result.is_final)
    assert longest <= 5 * SAMPLE_RATE_HZ


def test_text_that_stops_growing_is_ended() -> None:
    """When the decoder hears nothing after a sentence although speech goes on, the sentence becomes final."""
    heard = say("That is all.")
    talk = Talk(heard, options=StreamOptions(language="en", max_segment_s=10))
    babble = Word("", heard[-1].end_s, 9.0)
    talk.words = [*heard, babble]
    talk.play(3.5)
    assert talk.finals == ["That is all."]


def test_end_of_audio_finishes_what_is_open() -> None:
    """What was said last is final although no pause followed."""
    words = say("so be it")
    assert Talk(words).play(words[-1].end_s).end().finals == ["So be it"]


def test_noise_that_opens_a_segment_leaves_nothing() -> None:
    """Speech without words gives no result at all."""
    talk = Talk([Word("", 0.5, 2.0)])
    assert talk.play(4.0).end().results == []


def test_shown_text_never_vanishes() -> None:
    """A segment of which text was shown ends with text, even when the final decode hears nothing."""
    words = say("maybe this is")
    talk = Talk(words).play(words[-1].end_s)
    assert talk.results
    talk.deaf = True
    talk.play(words[-1].end_s + 1.0)
    assert talk.finals == [talk.results[-2].stable_text or talk.results[-2].text]


def test_text_without_a_promise_is_taken_off() -> None:
    """What was shown of a sound in which at last nothing is heard goes, and the next words get its number."""
    words = [*say("the", at=0.5, each=0.3), *say("and here it really begins", at=3.0)]
    talk = Talk(words).play(0.85)
    assert [result.text for result in talk.results] == ["The"]
    talk.deaf = True
    talk.play(2.5)
    assert (talk.results[-1].text, talk.results[-1].is_final) == ("", False)
    talk.deaf = False
    talk.play(words[-1].end_s + 1.0)
    assert talk.finals == ["And here it really begins"]
    assert {result.segment for result in talk.results} == {0}
    assert [result.revision for result in talk.results] == list(range(len(talk.results)))


def test_what_is_never_understood_is_given_up_piece_by_piece() -> None:
    """A long sound without credible words is not decoded again and again as a whole; words after it come."""
    words = say("now this is clear", at=10.0)
    talk = Talk([Word("", 0.5, 10.0), *words])
    talk.play(words[-1].end_s + 1.0)
    assert talk.finals == ["Now this is clear"]
    assert max(task.end - task.start for task in talk.tasks) <= 5.5 * SAMPLE_RATE_HZ
    assert talk.results[-1].start > 7 * SAMPLE_RATE_HZ


def test_promised_words_survive_what_is_not_understood() -> None:
    """When nothing is heard any more in a segment that grows too long, its stable words become final."""
    words = say("so this was heard")
    talk = Talk([*words, Word("", words[-1].end_s, 9.0)])
    talk.play(words[-1].end_s)
    stable = talk.results[-1].stable_text
    assert stable
    talk.deaf = True
    talk.play(9.0)
    assert talk.finals[:1] == [stable]


def test_the_last_word_waits_while_speech_goes_on() -> None:
    """A partial result ends before the word that may be half said; one less probable before the last two."""
    words = "w0 w1 w2 w3 w4 w5 w6"
    for logprob, held_back in ((-0.2, 1), (-0.6, 2)):
        talk = Talk(say(words), options=StreamOptions(language="en", min_stability=0.95))
        talk.logprob = logprob
        talk.play(2.5)
        heard = len(talk._heard(talk.tasks[-1]).words)
        assert len(talk.results[-1].text.split()) == heard - held_back
        assert talk.play(4.0).finals == [words.capitalize()]


def test_an_improbable_quick_hypothesis_ends_no_segment() -> None:
    """A sentence in partial results of little probability waits for a thorough look."""
    words = say("This is the first one. And here the second goes on for long")
    talk = Talk(words, options=StreamOptions(language="en", max_segment_s=10))
    talk.logprob = -0.9
    assert talk.play(4.0).finals == []


def test_partial_results_can_be_left_out() -> None:
    """Without partial results only finals come."""
    words = say("Ask what you can do.")
    talk = Talk(words, options=StreamOptions(language="en", partial_results=False)).play(4.0)
    assert [result.is_final for result in talk.results] == [True]


@pytest.mark.parametrize("logprob", [-0.6, -0.9])
def test_an_unsure_hypothesis_commits_nothing(logprob: float) -> None:
    """Words that the decoder hardly believes itself are shown, not promised."""
    talk = Talk(say("and so my fellow Americans"))
    talk.logprob = logprob
    talk.play(2.0)
    assert talk.results
    assert not any(result.stable_text for result in talk.results)


@pytest.mark.parametrize("circles", [False, True])
def test_after_a_cut_the_words_before_are_told(circles: bool) -> None:
    """What follows is decoded with the last second before the cut, or alone if that is only said again."""
    text = " ".join(f"w{number}" for number in range(40))
    talk = Talk(say(text))
    talk.goes_on, talk.circles = True, circles
    talk.play(13.5).end()
    assert " ".join(talk.finals).casefold() == text
    told = [task for task in talk.tasks if task.prefix]
    assert told
    assert all(0 < len(task.prefix) <= 4 for task in told)
    assert all(task.end - task.start <= 6.5 * SAMPLE_RATE_HZ for task in told)
    if circles:
        alone = [after for before, after in itertools.pairwise(talk.tasks) if before.prefix]
        assert all(not task.prefix and task.start > talk.tasks[0].start for task in alone)
        assert len(told) == len(talk.finals) - 1


def test_a_doubtful_text_is_not_gone_on_from() -> None:
    """Words that are less than firm are not told to the decoder after a cut."""
    talk = Talk(say(" ".join(f"w{number}" for number in range(40))))
    talk.goes_on, talk.logprob = True, -0.6
    talk.play(13.5).end()
    assert len(talk.finals) >= 3
    assert not any(task.prefix for task in talk.tasks)


@given(
    st.lists(st.sampled_from(["aa", "bb.", "cc,", "dd", "ee?"]), min_size=1, max_size=45),
    st.dictionaries(st.integers(1, 45), st.sampled_from([0.1, 0.15, 0.25, 0.35, 0.5, 0.8]), max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_every_word_is_said_once(
    words: list[str], pauses: dict[int, float], timed: bool, goes_on: bool
) -> None:
    """Whatever the pauses, the finals are the talk, and each voiced sample lies in exactly one of them.

    Segments and revisions count on.
    """
    numbered = " ".join(f"{number}x{word}" for number, word in enumerate(words))
    spoken = say(numbered, pauses=pauses, each=0.32)
    talk = Talk(spoken, options=StreamOptions(language="en", first_segment=5), timed=timed)
    talk.goes_on = goes_on
    talk.play(spoken[-1].end_s + 1.0).end()
    finals = [result for result in talk.results if result.is_final]
    keys = [word.strip(".,?") for word in " ".join(talk.finals).split()]
    assert keys == [word.strip(".,?") for word in numbered.split()]
    for word in spoken:
        for at in np.linspace(word.start_s, word.end_s, 30, endpoint=False) * SAMPLE_RATE_HZ:
            assert sum(final.start <= at < final.end for final in finals) == 1
    assert all(earlier.end <= later.start for earlier, later in itertools.pairwise(finals))
    assert all(final.start < final.end for final in finals)
    expected: dict[int, int] = {}
    stable = ""
    segment = 5
    for result in talk.results:
        assert result.segment == segment
        assert result.revision == expected.get(segment, 0)
        assert result.text.startswith(stable)
        expected[segment] = result.revision + 1
        stable = result.stable_text
        if result.is_final:
            segment += 1
            stable = ""
