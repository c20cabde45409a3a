"""Sound on its way out: nothing is lost, nothing changes its place or its number."""

from hypothesis import given
from hypothesis import strategies as st

from babelcast.client.outbox import MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, Chunk, Outbox

SIZE = 200
STEPS = st.lists(
    st.one_of(
        st.just("add"),
        st.just("take"),
        st.tuples(st.just("resume"), st.integers(0, 12)),
        st.tuples(st.just("refuse"), st.integers(0, 12)),
    ),
    max_size=80,
)


def piece(number: int) -> bytes:
    """100 samples that are told from all others."""
    return number.to_bytes(2, "big") * (SIZE // 2)


def drained(outbox: Outbox) -> list[Chunk]:
    """All that is to be handed over."""
    chunks = []
    while (chunk := outbox.take()) is not None:
        chunks.append(chunk)
    return chunks


@given(STEPS)
def test_a_server_that_drops_repetitions_hears_everything_once_and_in_order(steps: list[object]) -> None:
    """Whatever is lost, refused and sent again: each number always stands for the same sound, and all of them
    together are what was said.
    """
    outbox = Outbox(kept_s=1_000, waiting_s=1_000)
    said = b""
    heard: dict[int, bytes] = {}
    for step in steps:
        arrived = next((number - 1 for number in range(1, 1_000) if number not in heard), 0)
        match step:
            case "add":
                pcm = piece(len(said) // SIZE)
                said += pcm
                assert outbox.add(pcm, seconds=0.1) == 0
            case "take" if (chunk := outbox.take()) is not None:
                assert heard.setdefault(chunk.number, chunk.pcm) == chunk.pcm
            case ("resume", int(back)):
                last = max(0, arrived - back)  # what came after was lost on its way
                heard = {number: pcm for number, pcm in heard.items() if number <= last}
                assert outbox.resume(last) == 0
            case ("refuse", int(back)) if heard:
                number = max(1, max(heard) - back)
                heard.pop(number, None)
                outbox.put_back(number)
    for chunk in drained(outbox):
        assert heard.setdefault(chunk.number, chunk.pcm) == chunk.pcm
    assert sorted(heard) == list(range(1, len(heard) + 1))
    assert b"".join(heard[number] for number in sorted(heard)) == said
    assert not outbox.pending


@given(st.lists(st.integers(1, 40_000).map(lambda samples: 2 * samples), min_size=1, max_size=30))
def test_chunks_are_of_a_size_the_server_takes(sizes: list[int]) -> None:
    """Large pieces are cut, small ones go together, and less than the least is filled up with silence."""
    outbox = Outbox(kept_s=10_000, waiting_s=10_000)
    for size in sizes:
        outbox.add(b"\1" * size, seconds=size / 32_000)
    chunks = drained(outbox)
    assert all(MIN_CHUNK_BYTES <= len(chunk.pcm) <= MAX_CHUNK_BYTES for chunk in chunks)
    assert all(len(chunk.pcm) % 2 == 0 for chunk in chunks)
    assert sum(chunk.pcm.count(1) for chunk in chunks) == sum(sizes)


@given(st.integers(1, 60), st.integers(1, 20))
def test_what_waits_is_bounded_and_the_oldest_goes(count: int, room: int) -> None:
    """What had to go is counted, and the newest stays."""
    outbox = Outbox(kept_s=1, waiting_s=room / 8)
    gone = sum(outbox.add(piece(number), seconds=1 / 8) for number in range(count))
    left = b"".join(chunk.pcm for chunk in drained(outbox))
    assert left == b"".join(map(piece, range(max(0, count - room), count)))
    assert gone == SIZE * max(0, count - room)


def test_what_was_sent_is_kept_for_a_while() -> None:
    """Who comes back too late gets what is left, and how much is missing is known."""
    outbox = Outbox(kept_s=0.5, waiting_s=10)
    for number in range(1, 11):
        outbox.add(piece(number), seconds=0.125)
        assert outbox.take() is not None
    assert outbox.resume(3) == 3 * SIZE
    assert [chunk.number for chunk in drained(outbox)] == [7, 8, 9, 10]
    assert outbox.resume(10) == 0
    assert outbox.take() is None


def test_a_server_that_counted_further_is_followed() -> None:
    """What comes next has a number that the server has not seen."""
    outbox = Outbox(kept_s=10, waiting_s=10)
    outbox.add(piece(1), seconds=0.1)
    outbox.take()
    outbox.resume(7)
    outbox.add(piece(2), seconds=0.1)
    assert [chunk.number for chunk in drained(outbox)] == [8]
