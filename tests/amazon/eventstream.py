"""Frames of AWS's event stream encoding, written from its specification and not from the client under test.

total length · length of headers · CRC of both · headers · payload · CRC of all before
"""

import struct
from binascii import crc32
from dataclasses import dataclass
from typing import TypeAlias

HeaderValue: TypeAlias = str | bytes | int

_PRELUDE = struct.Struct("!III")
_BYTES, _STRING, _TIMESTAMP = 6, 7, 8


class BadFrame(Exception):
    """Not a frame."""


@dataclass(frozen=True)
class Frame:
    """A frame that was read."""

    headers: dict[str, HeaderValue]
    raw_headers: bytes
    payload: bytes


def encode(headers: dict[str, str], payload: bytes) -> bytes:
    """A frame with string headers."""
    encoded = b"".join(
        bytes([len(name)]) + name.encode() + bytes([_STRING]) + struct.pack("!H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", len(encoded) + len(payload) + 16, len(encoded))
    message = prelude + struct.pack("!I", crc32(prelude)) + encoded + payload
    return message + struct.pack("!I", crc32(message))


def take(buffer: bytearray) -> Frame | None:
    """The first frame of a buffer, which loses it; None while it is not whole."""
    if len(buffer) < _PRELUDE.size:
        return None
    total, header_length, prelude_crc = _PRELUDE.unpack_from(buffer)
    if crc32(buffer[:8]) != prelude_crc:
        raise BadFrame("the prelude's checksum is wrong")
    if len(buffer) < total:
        return None
    message = bytes(buffer[:total])
    del buffer[:total]
    if crc32(message[:-4]) != int.from_bytes(message[-4:], "big"):
        raise BadFrame("the checksum is wrong")
    raw = message[_PRELUDE.size : _PRELUDE.size + header_length]
    return Frame(_headers(raw), raw, message[_PRELUDE.size + header_length : -4])


def _headers(raw: bytes) -> dict[str, HeaderValue]:
    found: dict[str, HeaderValue] = {}
    while raw:
        name = raw[1 : 1 + raw[0]].decode()
        kind, raw = raw[1 + raw[0]], raw[2 + raw[0] :]
        if kind == _TIMESTAMP:
            found[name], raw = int.from_bytes(raw[:8], "big"), raw[8:]
        elif kind in {_BYTES, _STRING}:
            length = int.from_bytes(raw[:2], "big")
            value, raw = raw[2 : 2 + length], raw[2 + length :]
            found[name] = value if kind == _BYTES else value.decode()
        else:
            raise BadFrame(f"a header of kind {kind}")
    return found
