"""Numbered chunks come out in order, once, and soon."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from gateway.reorder import JUMP, REMEMBER, START_S, WINDOW_S, Chunk, Reorder

CHUNK_S = 0.1
WINDOW_CHUNKS = round(WINDOW_S / CHUNK_S)


def chunk(number: int, *, talk: int = 0) -> Chunk:
    """100 ms that can be told from others."""
    return Chunk(f"{talk}:{number}".encode(), CHUNK_S)


def push_all(reorder: Reorder, numbers: Iterable[int], *, talk: int = 0, now_s: float = 0.0) -> list[Chunk]:
    """Push numbered chunks, all at one moment."""
    return [out for number in numbers for out in reorder.push(number, chunk(number, talk=talk), now_s=now_s)]


def chunks(numbers: Iterable[int], *, talk: int = 0) -> list[Chunk]:
    """What is expected."""
    return [chunk(number, talk=talk) for number in numbers]


@st.composite
def delayed(draw: st.DrawFn, *, count: int = 60, longest_s: float) -> list[tuple[float, int]]:
    """Moments (s) and numbers of chunks that were sent every 100 ms and took up to `longest_s`."""
    delays = draw(st.lists(st.floats(0, longest_s), min_size=1, max_size=count))
    return sorted((CHUNK_S * number + delay, number) for number, delay in enumerate(delays))


@given(delayed(longest_s=WINDOW_S - 2 * CHUNK_S), st.data())
def test_any_order_within_the_window_is_put_right(
    arrivals: list[tuple[float, int]], data: st.DataObject
) -> None:
    """Whatever the delays, and though any of them come twice, each chunk comes out once and in order."""
    first = min(now_s for now_s, number in arrivals if number == 0)
    # before number 0 only START_S is waited, since nobody knows that it is to come
    arrivals = [(max(now_s, first), number) for now_s, number in arrivals]
    arrivals.sort(key=lambda arrival: (arrival[0], arrival[1]))
    again = data.draw(st.lists(st.sampled_from(arrivals), max_size=10))
    repeats = [(now_s + data.draw(st.floats(0, 1)), number) for now_s, number in again]
    reorder = Reorder()
    out: list[Chunk] = []
    for now_s, number in sorted([*arrivals, *repeats]):
        out += reorder.push(number, chunk(number), now_s=now_s)
    assert out == chunks(range(len(arrivals)))
    assert (reorder.missing, reorder.repeated) == (0, len(repeats))
    assert reorder.deadline_s is None


@given(st.permutations(range(5, 12)), st.integers(0, 1))
def test_a_talk_that_begins_anywhere_begins_in_order(order: list[int], base: int) -> None:
    """What comes within START_S of the first chunk is put in order, whatever number it is."""
    reorder = Reorder()
    numbers = [number + base for number in order]
    out = push_all(reorder, numbers, now_s=1.0)
    assert out == []
    assert reorder.due(1.0 + START_S - 0.01) == []
    assert reorder.due(1.0 + START_S) == chunks(sorted(numbers))
    assert reorder.push(12 + base, chunk(12 + base), now_s=2.0) == chunks([12 + base])
    assert reorder.missing == 0


def test_the_first_number_of_all_waits_for_nothing() -> None:
    """A client that counts from 0 and keeps order has no delay at all."""
    reorder = Reorder()
    for number in range(50):
        assert reorder.push(number, chunk(number), now_s=number * CHUNK_S) == [chunk(number)]


def test_a_missing_chunk_is_given_up_after_some_time() -> None:
    """Those after it wait WINDOW_S, then go on; when it comes after all it is too late."""
    reorder = Reorder()
    push_all(reorder, [0])
    assert push_all(reorder, [2, 3], now_s=1.0) == []
    assert reorder.deadline_s == 1.0 + WINDOW_S
    assert reorder.due(1.0 + WINDOW_S - 0.01) == []
    assert reorder.due(1.0 + WINDOW_S) == chunks([2, 3])
    assert (reorder.missing, reorder.flush()) == (1, [])
    assert push_all(reorder, [1], now_s=4.0) == []
    assert reorder.repeated == 1
    assert push_all(reorder, [4], now_s=4.0) == chunks([4])


def test_a_missing_chunk_is_given_up_after_some_audio() -> None:
    """When audio comes faster than time passes, WINDOW_S of audio is enough."""
    reorder = Reorder()
    push_all(reorder, [0])
    assert push_all(reorder, range(2, 2 + WINDOW_CHUNKS - 1)) == []
    assert push_all(reorder, [1 + WINDOW_CHUNKS]) == chunks(range(2, 2 + WINDOW_CHUNKS))
    assert reorder.missing == 1


def test_gaps_one_after_the_other_each_have_their_time() -> None:
    """Giving up the first missing chunk does not give up the second."""
    reorder = Reorder()
    push_all(reorder, [0])
    assert push_all(reorder, [2], now_s=0.0) == []
    assert push_all(reorder, [4], now_s=1.0) == []
    assert reorder.push(None, chunk(-1), now_s=2.0) == [chunk(2), chunk(-1)]
    assert reorder.deadline_s == 1.0 + WINDOW_S
    assert push_all(reorder, [3], now_s=2.5) == chunks([3, 4])
    assert reorder.missing == 1


@given(st.lists(st.one_of(st.none(), st.just(7)), min_size=1, max_size=20))
def test_chunks_without_a_number_pass(numbers: list[int | None]) -> None:
    """They go on at once, whatever waits."""
    reorder = Reorder()
    for count, number in enumerate(numbers):
        out = reorder.push(number, chunk(count), now_s=0.0)
        assert out == ([chunk(count)] if number is None else [])


@given(st.integers(1, 3 * REMEMBER), st.sampled_from([0, 1, 40]))
def test_a_new_count_does_not_stall(before: int, start: int) -> None:
    """A client that starts again at a low number, as after a reconnect, is heard at once."""
    reorder = Reorder()
    push_all(reorder, range(before))
    again = push_all(reorder, range(start, start + 30), talk=1, now_s=before * CHUNK_S)
    if start >= before:
        again += reorder.due(before * CHUNK_S + WINDOW_S)  # a gap, for all that can be known
    assert again == chunks(range(start, start + 30), talk=1)


@given(st.integers(JUMP + 1, 2**40))
def test_a_jump_ahead_does_not_stall(distance: int) -> None:
    """Numbers so far ahead that what lies between cannot come any more are followed at once."""
    reorder = Reorder()
    push_all(reorder, [0, 1, 3])
    out = push_all(reorder, [2 + distance + 2, 2 + distance + 3])
    assert out == chunks([3, 2 + distance + 2, 2 + distance + 3])


def test_a_jump_right_after_the_first_chunk_does_not_stall() -> None:
    """The same while nothing has gone on yet: what waits goes first."""
    reorder = Reorder()
    assert push_all(reorder, [10]) == []
    assert push_all(reorder, [9, 500, 501]) == chunks([9, 10, 500, 501])


def test_what_waits_can_be_had_at_once() -> None:
    """At the end of a talk nothing is waited for."""
    reorder = Reorder()
    push_all(reorder, [0, 2, 5])
    assert reorder.flush() == chunks([2, 5])
    assert (reorder.missing, reorder.deadline_s, reorder.flush()) == (3, None, [])


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.floats(0, 0.5), st.sampled_from([0.003, 0.1, 1.0])), max_size=200
    )
)
def test_memory_is_bounded_and_nothing_comes_twice(pushed: list[tuple[int, float, float]]) -> None:
    """Whatever the numbers, at most WINDOW_S waits for at most WINDOW_S, and what comes out came in."""
    reorder, now_s, out = Reorder(), 0.0, 0
    for index, (number, step_s, duration_s) in enumerate(pushed):
        now_s += step_s
        out += len(reorder.push(number, Chunk(str(index).encode(), duration_s), now_s=now_s))
        assert sum(held.chunk.duration_s for held in reorder._held.values()) < WINDOW_S
        assert len(reorder._held) < JUMP
        assert len(reorder._past) <= REMEMBER
        assert reorder.deadline_s is None or now_s < reorder.deadline_s <= now_s + WINDOW_S
        assert out + len(reorder._held) + reorder.repeated == index + 1


def unnumbered(reorder: Reorder, numbers: Iterable[int], *, now_s: float = 0.0) -> list[Chunk]:
    """Push chunks without their numbers."""
    return [out for number in numbers for out in reorder.push(None, chunk(number), now_s=now_s)]


def test_a_refused_chunk_without_a_number_has_one() -> None:
    """Those after it wait until it comes again by its number; what comes twice then is dropped."""
    reorder = Reorder()
    assert unnumbered(reorder, [1, 2]) == chunks([1, 2])
    assert reorder.refuse() == 3
    assert unnumbered(reorder, [4]) == []
    assert reorder.refuse() == 5
    assert unnumbered(reorder, [6]) == []
    assert push_all(reorder, [3]) == chunks([3, 4])
    assert push_all(reorder, [4, 5, 6]) == chunks([5, 6])
    assert [out.number for out in unnumbered(reorder, [7, 8])] == [7, 8]
    assert (reorder.missing, reorder.repeated) == (0, 2)


def test_the_first_chunk_may_be_refused() -> None:
    """On the first connection, and on one that goes on."""
    for after in (0, 9):
        reorder = Reorder()
        reorder.reopen(after=after)
        assert reorder.refuse() == after + 1
        assert unnumbered(reorder, [after + 2]) == []
        assert push_all(reorder, [after + 1]) == chunks([after + 1, after + 2])


def test_a_client_that_sends_nothing_again_is_waited_for_once() -> None:
    """Its numbers are right all the same; once it names a chunk it is waited for again."""
    reorder = Reorder()
    assert reorder.refuse() == 1
    assert unnumbered(reorder, [2]) == []
    assert reorder.due(WINDOW_S) == chunks([2])
    assert reorder.refuse() == 3
    (now,) = unnumbered(reorder, [4], now_s=WINDOW_S)
    assert (now.number, reorder.missing) == (4, 2)
    assert push_all(reorder, [5], now_s=WINDOW_S) == chunks([5])
    assert reorder.refuse() == 6
    assert unnumbered(reorder, [7], now_s=WINDOW_S) == []


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 20))
def test_whatever_is_refused_comes_in_its_place(taken: list[bool], after: int) -> None:
    """A client that goes back to the first refused chunk, and names all from there on, loses nothing."""
    reorder = Reorder()
    reorder.reopen(after=after)
    numbers = range(after + 1, after + 1 + len(taken))
    out: list[Chunk] = []
    refused = []
    for number, is_taken in zip(numbers, taken, strict=True):
        if is_taken:
            out += reorder.push(None, chunk(number), now_s=0.0)
        else:
            refused.append(reorder.refuse())
    if refused:
        out += push_all(reorder, range(refused[0], numbers[-1] + 1))
    assert [(each.pcm, each.number) for each in out] == [(chunk(n).pcm, n) for n in numbers]


def test_many_chunks_that_were_refused_may_take_their_time() -> None:
    """After a gateway that stood still for seconds, at the pace that it takes chunks at."""
    reorder = Reorder()
    assert unnumbered(reorder, range(1, 21)) == chunks(range(1, 21))
    for number in range(21, 71):
        if number % 11:
            assert reorder.refuse() == number
        else:
            assert unnumbered(reorder, [number]) == []
    out: list[Chunk] = []
    for number in range(21, 71):
        now_s = CHUNK_S * (number - 20)
        out += reorder.due(now_s) + push_all(reorder, [number], now_s=now_s)
    assert (out, reorder.missing) == (chunks(range(21, 71)), 0)
