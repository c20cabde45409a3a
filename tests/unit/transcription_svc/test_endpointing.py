"""Speech starts and stops."""

from transcription_svc.audio import FRAME_SAMPLES
from transcription_svc.endpointing import Endpointer, Pause


def hear(endpointer: Endpointer, *runs: tuple[float, int]) -> Endpointer:
    """Feed runs of equal probabilities."""
    for probability, frames in runs:
        for _ in range(frames):
            endpointer.hear(probability)
    return endpointer


def test_three_likely_frames_open_an_utterance() -> None:
    """Two likely frames are a click; three are speech, which began with the first of them."""
    assert hear(Endpointer(), (0.0, 5), (0.9, 2), (0.0, 5)).utterance is None
    utterance = hear(Endpointer(), (0.0, 5), (0.9, 3)).utterance
    assert utterance is not None
    assert (utterance.start, utterance.voiced_end) == (5 * FRAME_SAMPLES, 8 * FRAME_SAMPLES)


def test_weak_frames_keep_an_utterance_voiced() -> None:
    """Staying needs less than starting."""
    endpointer = hear(Endpointer(), (0.9, 3), (0.4, 4))
    assert endpointer.silence_ms == 0
    assert hear(endpointer, (0.2, 10)).silence_ms == 320


def test_pauses_are_remembered_and_can_split() -> None:
    """A pause is known once speech goes on; splitting there leaves what follows as an utterance."""
    endpointer = hear(Endpointer(), (0.9, 10), (0.0, 5), (0.9, 4), (0.0, 4), (0.9, 3))
    assert endpointer.utterance is not None
    first, second = endpointer.utterance.pauses
    assert first == Pause(10 * FRAME_SAMPLES, 15 * FRAME_SAMPLES)
    endpointer.split(first)
    assert endpointer.utterance.start == first.end
    assert list(endpointer.utterance.pauses) == [second]


def test_closing_starts_over() -> None:
    """After closing, and without an utterance, there is nothing to split or measure."""
    endpointer = hear(Endpointer(), (0.9, 5), (0.0, 5))
    endpointer.close()
    endpointer.split(Pause(0, 1))
    assert endpointer.utterance is None
    assert endpointer.silence_ms == 0
