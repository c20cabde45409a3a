"""Frames that break the protocol (as Autobahn's suite does), and messages made to hurt."""

import asyncio
import base64
import contextlib
import json
import struct
import zlib

import pytest

from tests.integration.gateway.abuse.attackers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Wire,
    frame,
    upgrade,
)
from tests.integration.gateway.abuse.fortress import Fortress

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROTOCOL_ERROR, NOT_UTF8, TOO_BIG, ENDED = 1002, 1007, 1009, -1
HEARTBEAT = b'{"action": "heartbeat"}'
MEGABYTE = 1024 * 1024
ROUNDS = 5

# Each is answered with one of these close codes (RFC 6455, sections 5 to 8).
BROKEN: dict[str, tuple[bytes, set[int]]] = {
    **{
        f"reserved bits {bits:03b}": (frame(TEXT, HEARTBEAT, reserved=bits), {PROTOCOL_ERROR})
        for bits in range(1, 8)
    },
    **{
        f"reserved opcode {opcode:#x}": (frame(opcode, b"x"), {PROTOCOL_ERROR})
        for opcode in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)
    },
    "unmasked text": (frame(TEXT, HEARTBEAT, mask=False), {PROTOCOL_ERROR}),
    "unmasked ping": (frame(PING, mask=False), {PROTOCOL_ERROR}),
    "ping in pieces": (frame(PING, b"x", fin=False), {PROTOCOL_ERROR}),
    "close in pieces": (frame(CLOSE, b"\x03\xe8", fin=False), {PROTOCOL_ERROR}),
    "ping of 126 bytes": (frame(PING, bytes(126)), {PROTOCOL_ERROR}),
    "close of 126 bytes": (frame(CLOSE, b"\x03\xe8" + b"x" * 124), {PROTOCOL_ERROR}),
    "continuation of nothing": (frame(CONTINUATION, b"x"), {PROTOCOL_ERROR}),
    "last continuation of nothing": (frame(CONTINUATION, b"x", fin=False), {PROTOCOL_ERROR}),
    "text within text": (frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), {PROTOCOL_ERROR}),
    "binary within text": (frame(TEXT, b"{", fin=False) + frame(BINARY, b"}"), {PROTOCOL_ERROR}),
    "bad UTF-8": (frame(TEXT, b"\xff\xfe"), {NOT_UTF8}),
    "UTF-8 that is too long": (frame(TEXT, b"\xc0\xaf"), {NOT_UTF8}),
    "a surrogate in UTF-8": (frame(TEXT, b"\xed\xa0\x80"), {NOT_UTF8}),
    "above the last character": (frame(TEXT, b"\xf4\x90\x80\x80"), {NOT_UTF8}),
    "UTF-8 cut at the end": (frame(TEXT, "ü".encode()[:1]), {NOT_UTF8}),
    "UTF-8 broken across frames": (
        frame(TEXT, b"\xce\xba\xe1", fin=False) + frame(CONTINUATION, b"\xff"),
        {NOT_UTF8},
    ),
    "a close of one byte": (frame(CLOSE, b"\x03"), {PROTOCOL_ERROR}),
    "a close reason that is no UTF-8": (frame(CLOSE, b"\x03\xe8\xff\xff"), {NOT_UTF8}),
    **{
        f"close code {code}": (frame(CLOSE, struct.pack("!H", code)), {PROTOCOL_ERROR})
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "a frame of 2 MB and a byte": (frame(BINARY, length=2 * MEGABYTE + 1), {TOO_BIG}),
    "a frame of 2^63 bytes": (frame(TEXT, length=1 << 63), {TOO_BIG, PROTOCOL_ERROR}),
    "a frame of 2^62 bytes": (frame(BINARY, length=1 << 62), {TOO_BIG}),
    "a message of 3 MB in pieces": (
        frame(BINARY, bytes(MEGABYTE), fin=False) + frame(CONTINUATION, bytes(MEGABYTE), fin=False) * 2,
        {TOO_BIG},
    ),
    "a compressed frame that was not agreed on": (
        frame(TEXT, zlib.compress(HEARTBEAT), reserved=4),
        {PROTOCOL_ERROR},
    ),
    "HTTP in the place of frames": (
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        {PROTOCOL_ERROR, TOO_BIG, ENDED},
    ),
}


async def heartbeat(made: Wire) -> None:
    """Whoever is still well-behaved is answered."""
    await made.send(frame(TEXT, HEARTBEAT))
    while True:
        opcode, payload = await made.frame()
        assert opcode >= 0
        if opcode == TEXT and json.loads(payload)["type"] == "heartbeatAck":
            return


async def test_frames_that_break_the_protocol(attacked: Fortress) -> None:
    """Each ends its own connection with the code for it, and nobody else notices."""
    async with attacked.undisturbed(f"{len(BROKEN)} kinds of broken frames"):
        for name, (sent, codes) in [*BROKEN.items()] * ROUNDS:
            async with attacked.socket() as made:
                await made.send(sent)
                assert await made.close_code() in codes, name


async def test_what_is_strange_but_allowed(attacked: Fortress) -> None:
    """Empty pieces, pings between them, pongs that nobody asked for, and every good close code."""
    async with attacked.socket() as made:
        pieces = [HEARTBEAT[place : place + 1] for place in range(len(HEARTBEAT))]
        await made.send(frame(TEXT, b"", fin=False) + frame(PONG, b"unasked"))
        for piece in pieces:
            await made.send(frame(CONTINUATION, piece, fin=False) + frame(PING, b"p" * 125))
        await made.send(frame(CONTINUATION, b""))
        got = [await made.frame() for _ in range(len(pieces) + 1)]
        assert got[:-1] == [(PONG, b"p" * 125)] * len(pieces)
        assert json.loads(got[-1][1])["type"] == "heartbeatAck"
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        async with attacked.socket() as made:
            await made.send(frame(CLOSE, struct.pack("!H", code) + b"bye"))
            assert await made.close_code() == code


async def test_floods_of_small_frames(attacked: Fortress) -> None:
    """Pings, pongs, empty pieces and messages without end: each costs its sender, and is bounded."""
    floods = {
        "pings": frame(PING, bytes(125)) * 2_000,
        "pongs": frame(PONG, bytes(125)) * 2_000,
        "empty pieces": frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 20_000,
        "heartbeats": frame(TEXT, HEARTBEAT) * 2_000,
    }
    async with attacked.undisturbed("floods of small frames"):
        for flood in floods.values():
            async with attacked.socket() as made:
                reading = asyncio.create_task(made.rest())
                for _ in range(5):
                    await made.send(flood)
                reading.cancel()
                await asyncio.wait([reading])


async def test_messages_made_to_hurt(attacked: Fortress) -> None:
    """Nesting, numbers, keys, base64 and sound of no sense are refused one by one; the connection stays until
    there are too many of them.
    """
    inside = 60_000
    messages = [
        b"[" * inside,
        b'{"a":' * (inside // 5),
        b'{"action": "heartbeat", "timestamp": ' + b"9" * inside + b"}",
        b'{"action": "heartbeat", "timestamp": 1e999999999}',
        b'{"action": "heartbeat", "timestamp": -' + b"0." + b"1" * inside + b"e-400}",
        json.dumps({"action": "heartbeat", **{f"k{number}": 0 for number in range(5_000)}}).encode(),
        b'{"action": "heartbeat"' + b', "action": "heartbeat"' * 2_000 + b"}",
        b'{"action": "' + b"\\u0000" * (inside // 6) + b'"}',
        json.dumps({"action": "sendAudio", "audioData": "A" * inside}).encode(),
        json.dumps({"action": "sendAudio", "audioData": "=" * inside}).encode(),
        json.dumps({"action": "sendAudio", "audioData": "\u2603" * 10_000}).encode(),
        json.dumps({"action": "createSession", "sourceLanguage": "en", "token": "." * 60_000}).encode(),
        json.dumps(
            {
                "action": "createSession",
                "sourceLanguage": "en",
                "glossary": {f"t{n}": {"es": "x"} for n in range(2_000)},
            }
        ).encode(),
    ]
    async with attacked.undisturbed("JSON, base64 and sound made to hurt"):
        async with attacked.socket() as made:
            for message in messages:
                await made.send(frame(TEXT, message))
            await heartbeat(made)
        speaker = await attacked.client(token=attacked.issuer.mint("mallory"), address=attacked.attacker)
        await speaker.ask("sessionCreated", action="createSession", sourceLanguage="en")
        await attacked.transcription.opened()
        garbage = [
            bytes(range(256)) * 12,
            b"OggS" + bytes(3_000),
            b"\xff" * 32_768,
            b"\x80\x7f" * 100,
            b"x" * 333,
        ]
        for sound in garbage:
            await speaker.socket.send(sound)
        await speaker.send(action="sendAudio", audioData=base64.b64encode(bytes(1_200_000)).decode())
        assert (await speaker.until("error", where=lambda m: m["code"] == "MESSAGE_TOO_LARGE"))["details"]
        await speaker.fence()
        await speaker.ask("sessionEnded", action="endSession")
        speaker.drop()
        async with attacked.socket() as made:
            await made.send(frame(TEXT, b"x") * 400)
            assert await made.close_code() == 4429  # flooding


async def test_decompression_bombs(attacked: Fortress) -> None:
    """Compression is not agreed on, so there is nothing to unpack; in request bodies neither."""
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = bomb.compress(bytes(50 * MEGABYTE)) + bomb.flush(zlib.Z_SYNC_FLUSH)
    before = attacked.memory_mb
    async with attacked.undisturbed("decompression bombs"):
        async with attacked.wire() as made:
            await made.send(
                upgrade("/", "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15")
            )
            head = await made.head()
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"permessage-deflate" not in head.lower()
            await made.send(frame(TEXT, packed[:60_000], reserved=4))
            assert await made.close_code() == PROTOCOL_ERROR
        gzipped = zlib.compressobj(9, zlib.DEFLATED, 31)
        body = gzipped.compress(bytes(50 * MEGABYTE)) + gzipped.flush()
        async with attacked.wire() as made:
            lines = "POST /local/token HTTP/1.1", "Host: here", "Content-Encoding: gzip"
            await made.send("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body)
            assert (await made.head()).startswith(b"HTTP/1.1 4")
    assert attacked.memory_mb - before < 40


async def test_frames_that_never_end(attacked: Fortress) -> None:
    """Their senders are asked for a sign of life like anybody else; nothing waits for them."""
    async with attacked.undisturbed("frames that never end"), contextlib.AsyncExitStack() as stack:
        for cut in (1, 2, 5, 6, 9) * 10:
            made = await stack.enter_async_context(attacked.socket())
            await made.send(frame(TEXT, b"x" * 200)[:cut])
        async with attacked.socket() as other:
            await heartbeat(other)
