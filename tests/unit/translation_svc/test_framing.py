"""Message boundaries in pipes."""

import asyncio
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.framing import LengthPrefixed, NullTerminated, read_blocking, write_blocking


def _read_all(framing: LengthPrefixed | NullTerminated, data: bytes, count: int) -> list[bytes]:
    async def run() -> list[bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return [await framing.read(reader) for _ in range(count)]

    return asyncio.run(run())


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_length_prefixed_messages_come_out_as_they_went_in(payloads: list[bytes]) -> None:
    """On both the asynchronous and the blocking side."""
    framing, sink = LengthPrefixed(), io.BytesIO()
    for payload in payloads:
        write_blocking(sink, payload)
    assert sink.getvalue() == b"".join(map(framing.wrap, payloads))
    assert _read_all(framing, sink.getvalue(), len(payloads)) == payloads
    source = io.BytesIO(sink.getvalue())
    assert [read_blocking(source) for _ in payloads] == payloads
    assert read_blocking(source) is None


@given(st.lists(st.binary(max_size=50).map(lambda data: data.replace(b"\0", b"")), max_size=5))
def test_null_terminated_messages_come_out_as_they_went_in(payloads: list[bytes]) -> None:
    """As long as they hold no NUL."""
    framing = NullTerminated()
    assert _read_all(framing, b"".join(map(framing.wrap, payloads)), len(payloads)) == payloads


def test_a_nul_inside_is_refused() -> None:
    """It would be taken for the end."""
    with pytest.raises(ValueError, match="NUL"):
        NullTerminated().wrap(b"a\0b")


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\0\0\0\5abc", b"\xff\xff\xff\xff" + b"x" * 10])
def test_a_broken_stream_ends(data: bytes) -> None:
    """Cut short or with a length that cannot be: the same as the end."""
    with pytest.raises(asyncio.IncompleteReadError):
        _read_all(LengthPrefixed(), data, 1)
    assert read_blocking(io.BytesIO(data)) is None
