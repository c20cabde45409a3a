"""Each text once, whatever comes again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.client.captions import CaptionTracker
from babelcast.protocol.server_messages import Caption, SpokenOver, Transcript

CAPTIONS = st.builds(
    lambda segment, revision, final: Caption(
        segment_id=str(segment),
        revision=revision,
        target_language="es",
        text=f"{segment}.{revision}",
        source_text="",
        is_final=final,
    ),
    st.integers(0, 3),
    st.integers(0, 5),
    st.booleans(),
)


@given(st.lists(CAPTIONS, max_size=60))
def test_revisions_only_rise_and_nothing_partial_follows_what_is_final(captions: list[Caption]) -> None:
    """In any order of arrival, what is let through of a segment is finals that rise, before them partials
    that rise; and the newest final is among it.
    """
    tracker = CaptionTracker(10)
    shown = [caption for caption in captions if tracker.take(caption)]
    for segment in {caption.segment_id for caption in captions}:
        of_it = [(caption.is_final, caption.revision) for caption in shown if caption.segment_id == segment]
        assert of_it == sorted(set(of_it))
        finals = [c.revision for c in captions if c.is_final and c.segment_id == segment]
        if finals:
            assert (True, max(finals)) in of_it
    assert not any(tracker.take(caption) for caption in captions if caption.is_final)


@given(st.lists(CAPTIONS, max_size=40))
def test_a_history_that_comes_again_changes_nothing(captions: list[Caption]) -> None:
    """A second time, none of it is news."""
    tracker = CaptionTracker(10)
    for caption in captions:
        tracker.take(caption)
    assert not [caption for caption in captions if tracker.take(caption)]


def test_memory_is_bounded() -> None:
    """The segment that was heard of longest ago is forgotten."""
    tracker = CaptionTracker(2)
    over = [SpokenOver(segment_id=str(number), target_language="es") for number in range(3)]
    assert all(map(tracker.take, over))
    assert not tracker.take(over[2])
    assert tracker.take(over[0])


@pytest.mark.parametrize("language", ["es", "fr"])
def test_each_language_has_its_own_segments(language: str) -> None:
    """The same segment in another language, and in the speaker's own, is news."""
    tracker = CaptionTracker(10)
    tracker.take(SpokenOver(segment_id="1", target_language="es"))
    transcript = Transcript(
        segment_id="1",
        revision=0,
        text="a",
        stable_text="a",
        is_final=True,
        stability=1,
        start_time=0,
        end_time=1,
    )
    assert tracker.take(SpokenOver(segment_id="1", target_language=language)) is (language == "fr")
    assert tracker.take(transcript)
    assert not tracker.take(transcript)
