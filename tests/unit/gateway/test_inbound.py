"""A speaker's chunks through all of its connections."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.inbound import Inbound
from gateway.ledger import UNKNOWN, Place
from gateway.reorder import START_S, Chunk

CHUNK_S = 0.1


def chunk(number: int) -> Chunk:
    """100 ms that can be told from others."""
    return Chunk(str(number).encode(), CHUNK_S)


def push(inbound: Inbound, *numbers: int | None, now_s: float = 0.0) -> list[int | None]:
    """Push chunks; the numbers of those that go on."""
    out = []
    for count, number in enumerate(numbers):
        content = chunk(number) if number is not None else chunk(-1 - count)
        out += [ready.number for ready in inbound.order.push(number, content, now_s=now_s)]
    return out


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_chunks_without_a_number_count_on(numbered: list[bool]) -> None:
    """Whichever of them have one, all have theirs."""
    inbound = Inbound()
    out = push(inbound, *(n if with_number else None for n, with_number in enumerate(numbered, start=1)))
    assert out == list(range(1, len(numbered) + 1))
    assert inbound.order.last == len(numbered)


@given(st.integers(1, 60), st.integers(0, 59), st.integers(0, 30))
def test_what_is_sent_again_is_heard_once(first: int, back: int, more: int) -> None:
    """A connection that begins with chunks that came before goes on after them, without waiting."""
    inbound = Inbound()
    push(inbound, *range(1, first + 1))
    inbound.reconnected()
    begin = max(1, first - back)
    assert push(inbound, *range(begin, first + more + 1)) == list(range(first + 1, first + more + 1))


def test_a_client_that_does_not_send_again_goes_on() -> None:
    """What is missing is not waited for, but for the moment in which the order of the first is found."""
    inbound = Inbound()
    push(inbound, 1, 2)
    inbound.reconnected()
    assert push(inbound, 9) == []
    assert [ready.number for ready in inbound.order.due(START_S)] == [9]
    assert inbound.order.missing == 0


def test_where_what_is_sent_again_begins() -> None:
    """Asked once: the first chunk is the one after the place, or else it was not sent again."""
    for number, expected in ((8, Place(7, 30)), (9, None), (None, None)):
        inbound = Inbound()
        inbound.resume(Place(7, 30))
        assert inbound.begins_again(number) == expected
        assert inbound.begins_again(8) is None
    assert inbound.order.last == 7


def test_what_has_no_number_is_not_sent_again() -> None:
    """A client that does not count goes on with what it says now."""
    inbound = Inbound()
    inbound.resume(Place(7, 30))
    inbound.came(None)
    assert push(inbound, None) == [8]
    assert inbound.begins_again(8) is None


def test_an_unknown_place_leaves_the_count_open() -> None:
    """The client's first number is followed."""
    inbound = Inbound()
    inbound.resume(Place(UNKNOWN))
    assert inbound.begins_again(0) is None
    assert push(inbound, 1, 2) == [1, 2]


def test_what_was_hidden() -> None:
    """Between the first and the last of each row; nothing any more after all of them."""
    inbound = Inbound()
    inbound.resume(Place(1), hidden=[3, 5, 8, 8])
    assert [n for n in (2, 3, 4, 5, 6, 7, 8) if inbound.is_hidden(n)] == [3, 4, 5, 8]
    assert not inbound.is_hidden(None)
    assert not inbound.is_hidden(9)
    assert not inbound.is_hidden(4)
