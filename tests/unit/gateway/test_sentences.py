"""The talk so far: revisions only count up, stable text only grows, nobody waits forever."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from babelcast.transcription.v1 import transcription_pb2 as stt
from gateway.sentences import REMEMBER, OpenSegment, Sentence, Sentences, Waiting, elapsed_ms


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


results = st.builds(
    stt.TranscriptResult,
    segment=st.integers(0, 3),
    revision=st.integers(0, 5),
    text=st.text("ab ", max_size=4),
    stable_text=st.text("ab", max_size=3),
    is_final=st.booleans(),
)


@given(st.lists(results, max_size=60).map(lambda made: sorted(made, key=lambda result: result.segment)))
def test_what_is_shown_is_never_taken_back(heard: list[stt.TranscriptResult]) -> None:
    """Per segment, revisions count up by one from 0 and stable text is only ever extended."""
    segment = OpenSegment()
    shown: dict[int, list[tuple[int, stt.TranscriptResult]]] = {}
    for result in heard:
        revision = segment.show(result)
        if revision is None:
            assert not result.is_final
        else:
            shown.setdefault(result.segment, []).append((revision, result))
    for entries in shown.values():
        assert [revision for revision, _ in entries] == list(range(len(entries)))
        stable = [result.stable_text for _, result in entries if not result.is_final]
        assert all(after.startswith(before) for before, after in itertools.pairwise(stable))


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
