"""The talk so far: revisions only count up, stable text only grows, nobody waits forever."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from babelcast.event.v1 import event_pb2 as event
from babelcast.transcription.v1 import transcription_pb2 as stt
from gateway.continuity import same_words
from gateway.sentences import REMEMBER, OpenSegment, Sentence, Sentences, Shown, Waiting, elapsed_ms


def sentence(segment: int, **waiting: Waiting) -> Sentence:
    """A sentence that those languages wait for."""
    return Sentence(
        segment=segment,
        revision=3,
        text=f"Sentence {segment}.",
        dynamics=stt.Dynamics(volume_db=1, rate=1.2, emotion="calm", intensity=0.5),
        spoken_end_ms=1_000,
        transcribed_ms=200,
        start_ms=0,
        end_ms=900,
        waiting=dict(waiting),
    )


words = st.lists(st.sampled_from(["a", "b", "A,", "c."]), max_size=6)


@st.composite
def results(draw: st.DrawFn) -> stt.TranscriptResult:
    """What some stream says about a segment: its stable text begins its text."""
    text = draw(words)
    return stt.TranscriptResult(
        segment=draw(st.integers(0, 3)),
        text=" ".join(text),
        stable_text=" ".join(text[: draw(st.integers(0, 6))]),
        is_final=draw(st.booleans()),
    )


def by_segment(heard: list[stt.TranscriptResult]) -> list[stt.TranscriptResult]:
    """As the owner passes them on: in order, and nothing of a segment after its final result."""
    over: set[int] = set()
    kept = []
    for result in sorted(heard, key=lambda result: result.segment):
        if result.segment not in over:
            kept.append(result)
            over.update([result.segment] if result.is_final else [])
    return kept


@given(st.lists(results(), max_size=60).map(by_segment))
def test_what_is_shown_is_never_taken_back(heard: list[stt.TranscriptResult]) -> None:
    """Whatever streams say one after another: per segment, revisions count up by one from 0, text begins
    with its stable part, and each text, the final one too, with all that was stable before.
    """
    segment = OpenSegment()
    shown: dict[int, list[Shown]] = {}
    for result in heard:
        found = segment.show(result)
        if found is not None:
            shown.setdefault(result.segment, []).append(found)
        elif result.is_final and result.text:
            # only what repeats the segment before has no words of its own
            assert result.segment not in shown
    for entries in shown.values():
        assert [entry.revision for entry in entries] == list(range(len(entries)))
        assert all(entry.text.startswith(entry.stable_text) for entry in entries)
        assert entries[0].text
        for before, after in itertools.pairwise(entries):
            assert before.text or after.text  # nothing is taken off twice
            assert same_words(before.stable_text, after.stable_text)
            assert after is entries[-1] or after.stable_text.startswith(before.stable_text)


def said(segment: int, text: str, *, stable: str | None = None) -> stt.TranscriptResult:
    """A final result, or a partial one with that stable text."""
    return stt.TranscriptResult(
        segment=segment, text=text, stable_text=text if stable is None else stable, is_final=stable is None
    )


def show_all(*heard: stt.TranscriptResult) -> list[tuple[int, str, str]]:
    """What of those results is shown: segment, text and stable text."""
    segment = OpenSegment()
    return [
        (result.segment, shown.text, shown.stable_text)
        for result in heard
        if (shown := segment.show(result)) is not None
    ]


def test_one_stream_is_shown_as_it_is() -> None:
    """While nothing breaks, text and stable text go through unchanged."""
    heard = [
        said(0, "and so", stable=""),
        said(0, "And so, my", stable="And so,"),
        said(0, "And so, my fellow Americans."),
        said(1, "Ask not", stable="Ask"),
        said(1, "Ask not what.", stable=None),
    ]
    assert show_all(*heard) == [
        (result.segment, result.text, "" if index == 0 else result.stable_text)
        for index, result in enumerate(heard)
    ]


def test_what_was_no_speech_is_taken_off() -> None:
    """Once, and only where it was shown; stable text cannot be."""
    nothing = said(0, "", stable="")
    tentative = said(0, "The", stable="")
    assert show_all(nothing, tentative, nothing, nothing, said(0, "So.")) == [
        (0, "The", ""),
        (0, "", ""),
        (0, "So.", "So."),
    ]
    assert show_all(said(0, "The moon", stable="The"), nothing) == [(0, "The moon", "The")]


def test_another_stream_goes_on_with_the_words_that_were_shown() -> None:
    """It is not shown until it has come as far, then the sentence keeps the beginning that was seen."""
    assert show_all(
        said(0, "Two and three", stable="Two and"),
        said(0, "To", stable=""),
        said(0, "To and", stable="To"),
        said(0, "To and three for", stable="To and three"),
        said(0, "To and three four."),
    ) == [
        (0, "Two and three", "Two and"),
        (0, "Two and", "Two and"),
        (0, "Two and three for", "Two and three"),
        (0, "Two and three four.", "Two and three four."),
    ]


def test_words_that_come_in_the_next_segment_now_are_not_repeated() -> None:
    """A segment that ends sooner than what was shown of it keeps all of it; the next begins after that."""
    assert show_all(
        said(0, "One two three four five", stable="One two three four"),
        said(0, "One two."),
        said(1, "Three", stable="Three"),
        said(1, "Three four five", stable="Three four"),
        said(1, "Three four five six."),
        said(2, "Three four."),
    ) == [
        (0, "One two three four five", "One two three four"),
        (0, "One two three four", "One two three four"),
        (1, "five", ""),
        (1, "five six.", "five six."),
        (2, "Three four.", "Three four."),
    ]


def test_a_segment_of_nothing_new_is_left_out() -> None:
    """All of its words were shown in the one before; what they did not reach is expected of the next."""
    assert show_all(
        said(0, "One two three four", stable="One two three four"),
        said(0, "One."),
        said(1, "Two three."),
        said(2, "Four five."),
    ) == [
        (0, "One two three four", "One two three four"),
        (0, "One two three four", "One two three four"),
        (2, "five.", "five."),
    ]


def test_words_that_do_not_come_again_are_not_waited_for() -> None:
    """The next segment says something else: it is shown whole."""
    assert show_all(
        said(0, "One two three", stable="One two three"),
        said(0, "One two"),
        said(1, "My fellow Americans."),
    )[-1] == (1, "My fellow Americans.", "My fellow Americans.")


def test_a_request_names_those_who_still_wait() -> None:
    """Translation is asked for the languages that wait, each as it wants it, with how it was said."""
    asked = sentence(7, es=Waiting(speak=True, opus=True), fr=Waiting(speak=False, opus=False)).request()
    assert (asked.segment, asked.revision, asked.text, asked.is_final) == (7, 3, "Sentence 7.", True)
    assert {(target.language, target.speak, target.opus) for target in asked.targets} == {
        ("es", True, True),
        ("fr", False, False),
    }
    assert (asked.prosody.volume_db, asked.prosody.emotion) == (1, "calm")


def test_unanswered_sentences_come_in_order() -> None:
    """Only what somebody waits for is sent again, oldest first."""
    sentences = Sentences()
    for number in range(4):
        sentences.add(sentence(number, es=Waiting(speak=True, opus=False)))
    second = sentences.get(1)
    assert second is not None
    second.answered("es", second.waiting["es"])
    assert [kept.segment for kept in sentences.unanswered()] == [0, 2, 3]


def test_the_oldest_are_given_up() -> None:
    """A talk of hours does not grow without end."""
    sentences = Sentences()
    for number in range(REMEMBER + 10):
        sentences.add(sentence(number))
    assert sentences.get(9) is None
    assert sentences.get(10) is not None


def test_a_correction_goes_to_all_and_is_spoken_only_where_it_was_not() -> None:
    """Languages that heard it get the new text; one that still waited for the voice gets that too."""
    sentences = Sentences()
    sentences.add(sentence(0, fr=Waiting(speak=True, opus=True, text="[fr] old")))
    revised = sentences.revise(0, text="New.", languages=["es"])
    assert revised is not None
    assert (revised.revision, revised.text) == (4, "New.")
    assert revised.waiting == {
        "es": Waiting(speak=False, opus=False),
        "fr": Waiting(speak=True, opus=True),
    }
    assert sentences.revise(1, text="New.", languages=["es"]) is None


def test_a_correction_during_the_answer_is_not_lost() -> None:
    """Corrected while its voice goes out, a sentence is shown anew and not spoken again."""
    sentences = Sentences()
    sentences.add(sentence(0, es=Waiting(speak=True, opus=False)))
    spoken = sentences.get(0)
    assert spoken is not None
    answered = spoken.waiting["es"]
    sentences.revise(0, text="New.", languages=["es"])
    spoken.answered("es", answered)
    assert spoken.waiting == {"es": Waiting(speak=False, opus=False)}
    spoken.answered("es", spoken.waiting["es"])
    assert spoken.waiting == {}
    spoken.answered("es", answered)


@given(st.integers(0, 2**45), st.integers(0, 2**45))
def test_elapsed_time_fits_its_field(since_ms: int, now_ms: int) -> None:
    """However the wall clock jumps, a duration is not negative and fits 32 bits."""
    assert 0 <= elapsed_ms(since_ms, now_ms) < 2**31


def test_an_open_segment_goes_on_where_another_owner_stopped() -> None:
    """Revisions count on, and words that were shown stay."""
    segment = OpenSegment()
    segment.go_on(event.Transcript(segment=4, revision=7, text="Good morning to", stable_text="Good morning"))
    shown = segment.show(stt.TranscriptResult(segment=4, text="good morning to all.", is_final=True))
    assert shown is not None
    assert (shown.revision, shown.text) == (8, "good morning to all.")
