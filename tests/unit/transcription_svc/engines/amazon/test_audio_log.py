"""The audio that may have to be sent again."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transcription_svc.audio import FRAME_SAMPLES
from transcription_svc.engines.amazon.audio_log import PREROLL, AudioLog

SECOND = 16_000


def log_of(*pieces: tuple[int, float], limit_s: float = 30.0) -> AudioLog:
    """A log of pieces: frames and probability of speech. Samples are their frame's number."""
    made = AudioLog(limit_s=limit_s)
    for frames, probability in pieces:
        first = made.end // FRAME_SAMPLES
        numbers = np.repeat(np.arange(first, first + frames), FRAME_SAMPLES)
        made.append((numbers / 32768).astype(np.float32), np.full(frames, probability, np.float32))
    return made


def test_samples_survive_as_they_came() -> None:
    """What is read is what was heard, at full scale too."""
    made = AudioLog(limit_s=1.0)
    samples = np.resize(np.array([-1.0, 1.0, 0.0, 0.5, 1 / 32768], np.float32), FRAME_SAMPLES)
    made.append(samples, np.zeros(1, np.float32))
    assert np.frombuffer(made.read(0, 5), "<i2").tolist() == [-32768, 32767, 0, 16384, 1]


@given(st.lists(st.integers(1, 8), max_size=20), st.data())
def test_reading_ignores_how_it_came(frames: list[int], data: st.DataObject) -> None:
    """Any stretch can be read whatever the pieces were."""
    made = log_of(*((count, 0.0) for count in frames))
    start = data.draw(st.integers(0, made.end))
    wanted = data.draw(st.integers(1, 6_000))
    expected = np.arange(made.end, dtype="<i2") // FRAME_SAMPLES
    assert made.read(start, wanted) == expected[start : start + wanted].astype("<i2").tobytes()


def test_a_click_is_no_speech() -> None:
    """Three likely frames in a row are speech, across pieces; two are not."""
    assert log_of((2, 0.9), (1, 0.1), (2, 0.9)).speech_after(0) is None
    assert log_of((2, 0.9), (1, 0.9)).speech_after(0) is not None
    assert log_of((2, 0.9)).voiced_end == 0


def test_speech_begins_with_what_was_before_it() -> None:
    """Half a second before speech belongs to it, but nothing that is settled."""
    made = log_of((100, 0.0), (10, 0.9), (100, 0.0))
    begin = 100 * FRAME_SAMPLES
    # a piece is the smallest unit that is kept
    assert made.speech_after(0) == begin - PREROLL
    assert made.speech_after(begin - 10) == begin - 10
    assert made.speech_after(begin + 10 * FRAME_SAMPLES) is None
    assert made.has_speech(begin, begin + 1)
    assert not made.has_speech(begin - 10, begin)


def test_silence_is_forgotten_and_speech_is_kept() -> None:
    """What was read and is no speech goes; what speech is not settled stays; what was not read stays too."""
    made = log_of(*[(10, 0.0)] * 20, *[(10, 0.9)] * 5, *[(10, 0.0)] * 20)
    made.forget(settled=0, read=made.end)
    begin = made.speech_after(0)
    assert begin is not None
    assert len(made.read(begin, made.end)) == 2 * (made.end - begin)
    assert made.read(0, 1) == made.read(made._pieces[0].start, 1)
    made.forget(settled=made.voiced_end, read=made.end)
    assert made._pieces[0].start >= made.end - PREROLL - 10 * FRAME_SAMPLES
    late = log_of(*[(10, 0.0)] * 20)
    late.forget(settled=0, read=0)
    assert len(late.read(0, late.end)) == 2 * late.end


def test_no_more_than_the_limit_is_kept() -> None:
    """Speech without a final text is dropped, oldest first, once it was read."""
    made = log_of(*[(10, 0.9)] * 20, limit_s=2.0)
    made.forget(settled=0, read=made.end)
    begin = made.speech_after(0)
    assert begin is not None
    assert 2 * SECOND <= made.end - begin <= 2 * SECOND + 10 * FRAME_SAMPLES
