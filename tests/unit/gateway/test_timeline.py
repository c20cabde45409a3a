"""The session's audio as its owner sees it."""

from hypothesis import given
from hypothesis import strategies as st

from babelcast.pcm import silence
from gateway.timeline import CONTEXT_MS, FRAME_MS, REMEMBER_MS, Timeline

lengths_ms = st.lists(st.integers(1, 400), min_size=1, max_size=80)


def filled(lengths: list[int], *, replay_ms: float = 5_000) -> Timeline:
    """A timeline with pieces of those lengths (ms), the n-th of which came at n seconds."""
    timeline = Timeline(replay_ms=replay_ms)
    for index, length in enumerate(lengths):
        timeline.extend(silence(length), arrived_ms=1000 * index)
    return timeline


@given(lengths_ms)
def test_pieces_follow_each_other_without_gap(lengths: list[int]) -> None:
    """Each piece begins where the one before ended, and the position is the end of the last."""
    timeline = filled(lengths, replay_ms=1e9)
    pieces = timeline.replay()
    assert [piece.start_ms for piece in pieces] == [0.0, *(piece.end_ms for piece in pieces[:-1])]
    assert timeline.position_ms == pieces[-1].end_ms == sum(lengths)


@given(lengths_ms, st.integers(0, 40_000))
def test_replay_holds_all_that_has_no_final_result(lengths: list[int], until_ms: int) -> None:
    """After a release exactly that is kept which comes after it, from the border of its frame on."""
    timeline = filled(lengths, replay_ms=1e9)
    timeline.release(until_ms=until_ms)
    timeline.release(until_ms=until_ms // 2)  # nothing comes back
    kept = timeline.replay()
    start_ms = min(until_ms, sum(lengths)) // FRAME_MS * FRAME_MS
    assert sum(len(piece.pcm) for piece in kept) == 32 * (sum(lengths) - start_ms)
    assert all(len(piece.pcm) == 32 * (piece.end_ms - piece.start_ms) for piece in kept)
    assert not kept or (kept[0].start_ms, kept[-1].end_ms) == (start_ms, sum(lengths))
    assert timeline.resume_ms == (kept[0].start_ms if kept else timeline.position_ms)


@given(lengths_ms, st.integers(100, 3_000))
def test_replay_is_bounded(lengths: list[int], replay_ms: int) -> None:
    """No more than `replay_ms` is kept, but for the frame that reaches over the edge."""
    kept = filled(lengths, replay_ms=replay_ms).replay()
    assert sum(piece.end_ms - piece.start_ms for piece in kept) < replay_ms + FRAME_MS


@given(lengths_ms, st.data())
def test_arrival_is_that_of_the_piece_at_the_position(lengths: list[int], data: st.DataObject) -> None:
    """A position maps to when the piece that it lies in came."""
    timeline = filled(lengths)
    index = data.draw(st.integers(0, len(lengths) - 1))
    start = sum(lengths[:index])
    position = data.draw(st.integers(start + 1, start + lengths[index]))
    assert timeline.arrival_ms(position) == 1000 * index


def test_arrivals_far_back_are_given_up() -> None:
    """A talk of hours does not grow the list; what is asked beyond either end is the nearest known."""
    timeline = Timeline(replay_ms=5_000)
    assert timeline.arrival_ms(100) is None
    chunk = silence(1_000)
    for second in range(1_000):
        timeline.extend(chunk, arrived_ms=second)
    assert timeline.arrival_ms(10_000_000) == 999
    assert (timeline.arrival_ms(0) or 0) >= 1_000 - 2 * REMEMBER_MS / 1_000 - 1
    assert timeline.arrival_ms(999_500) == 999


@given(lengths_ms, st.integers(0, 40_000))
def test_context_is_what_comes_right_before(lengths: list[int], until_ms: int) -> None:
    """Whole frames, as much as there is up to CONTEXT_MS, of audio that has its final result."""
    timeline = Timeline(replay_ms=1e9)
    whole = b"".join(
        bytes([index % 251, index % 127]) * (16 * length) for index, length in enumerate(lengths)
    )
    at = 0
    for length in lengths:
        timeline.extend(whole[at : at + 32 * length], arrived_ms=0)
        at += 32 * length
    timeline.release(until_ms=until_ms)
    replay = timeline.replay()
    start_ms = round(replay[0].start_ms if replay else timeline.position_ms)
    context = timeline.context(start_ms)
    assert len(context) == 32 * min(CONTEXT_MS, start_ms // FRAME_MS * FRAME_MS)
    assert context == whole[32 * start_ms - len(context) : 32 * start_ms]
