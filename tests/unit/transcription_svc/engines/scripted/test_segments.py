"""Segments of words: by pause and by length."""

from transcription_svc.engines.base import SegmentResult, StreamOptions
from transcription_svc.engines.scripted.hearing import Heard
from transcription_svc.engines.scripted.segments import SegmentBuilder

STEP = 3200


def word(number: int, text: str = "babi") -> Heard:
    """The word at a place."""
    return Heard(text, number * STEP, number * STEP + 2560)


def test_a_pause_ends_a_segment_with_a_full_stop() -> None:
    """From 400 ms on; before that nothing ends."""
    segments = SegmentBuilder(StreamOptions("en", first_segment=7))
    assert segments.add(word(0)) == segments.add(word(1, "kebi")) == []
    assert segments.pause(STEP + 2560 + 6399) == []
    (final,) = segments.pause(STEP + 2560 + 6400)
    assert final == SegmentResult(7, 0, "Babi kebi.", "Babi kebi.", True, 1.0, 0, STEP + 2560)
    assert segments.pause(10 * STEP) == segments.finish() == []


def test_words_that_ended_are_stable_and_the_one_under_way_is_not() -> None:
    """It is shown behind them; what has not changed is not shown again."""
    segments = SegmentBuilder(StreamOptions("en"))
    segments.add(word(0))
    (first,) = segments.partial(None)
    (second,) = segments.partial(word(1, "kebi"))
    assert segments.partial(word(1, "kebi")) == []
    assert (first.text, first.stable_text, first.revision) == ("Babi", "Babi", 0)
    assert (second.text, second.stable_text, second.revision) == ("Babi kebi", "Babi", 1)
    assert second.stability == 0.5


def test_a_long_segment_ends_between_words() -> None:
    """Without a full stop; the next one goes on with a small letter."""
    segments = SegmentBuilder(StreamOptions("en", max_segment_s=2.0))
    finals = [final for number in range(12) for final in segments.add(word(number))] + segments.finish()
    assert [len(final.text.split()) for final in finals] == [10, 2]
    assert all(final.end - final.start <= 32_000 for final in finals)
    assert finals[0].text == "Babi" + " babi" * 9
    assert finals[1].text == "babi babi."


def test_nothing_is_shown_to_who_wants_no_partial_results() -> None:
    """Finals alone."""
    segments = SegmentBuilder(StreamOptions("en", partial_results=False))
    segments.add(word(0))
    assert segments.partial(word(1)) == []
    assert len(segments.finish()) == 1


def test_a_pause_ends_a_segment_though_words_come_on_both_sides_of_it_at_once() -> None:
    """As they do in sound that is sent again."""
    segments = SegmentBuilder(StreamOptions("en"))
    finals = [final for number in (0, 1, 4) for final in segments.add(word(number))] + segments.finish()
    assert [final.text for final in finals] == ["Babi babi.", "Babi."]
