"""One endless Ogg Opus stream out of many clips. Pure. (RFC 3533, RFC 6716 and RFC 7845)

The packets of the clips are taken as they are: all voices are mono, and a decoder takes Opus of any band and
frame length after any other. Granule positions and the numbers of pages are the stream's own.
"""

import struct
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

RATE_HZ: Final = 48_000
"""Opus counts samples at this rate, whatever went in."""
PRE_SKIP: Final = 312
"""Samples that a decoder leaves out at the beginning: what libopus needs to settle."""
SILENCE: Final = b"\xf8\xff\xfe"
"""20 ms in which nothing is coded: CELT, full band, mono."""
SILENCE_SAMPLES: Final = 960
CHANNELS: Final = 1
MAX_PAGE_PACKETS: Final = 50
AHEAD_S: Final = 1.0
"""Voice is sent so much before it is to be heard."""
MAX_WAITING_S: Final = 60.0
"""Voice that may wait for its turn."""
STALL_S: Final = 5.0

_HEADER: Final = struct.Struct("<4sBBqIIIB")
_FIRST, _LAST, _CONTINUED = 0x02, 0x04, 0x01
_LACE: Final = 255
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class NotOpus(Exception):
    """Not an Ogg Opus file of one channel."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it stands in a file."""

    flags: int
    granule: int
    serial: int
    number: int
    sizes: bytes
    """The lengths of its segments."""
    body: bytes


def pages(ogg: bytes) -> Iterator[Page]:
    """The pages of a file. Raises: NotOpus."""
    at = 0
    while at < len(ogg):
        if len(ogg) - at < _HEADER.size:
            raise NotOpus("a page is cut off")
        magic, version, flags, granule, serial, number, _, count = _HEADER.unpack_from(ogg, at)
        if magic != b"OggS" or version != 0:
            raise NotOpus("no page where one should begin")
        at += _HEADER.size
        sizes = ogg[at : at + count]
        body = ogg[at + count : at + count + sum(sizes)]
        if len(sizes) < count or len(body) < sum(sizes):
            raise NotOpus("a page is cut off")
        at += count + len(body)
        yield Page(flags, granule, serial, number, sizes, body)


def packets(ogg: bytes) -> list[bytes]:
    """The Opus packets of a clip, without its headers. Raises: NotOpus."""
    found: list[bytes] = []
    open_packet = bytearray()
    for page in pages(ogg):
        at = 0
        for size in page.sizes:
            open_packet += page.body[at : at + size]
            at += size
            if size < _LACE:
                found.append(bytes(open_packet))
                open_packet.clear()
    if len(found) < 2 or found[0][:8] != b"OpusHead" or found[1][:8] != b"OpusTags":  # noqa: PLR2004
        raise NotOpus("no headers")
    if found[0][9] != CHANNELS:
        raise NotOpus("more than one channel")
    return [packet for packet in found[2:] if packet]


def samples(packet: bytes) -> int:
    """How long a packet is, at RATE_HZ (RFC 6716, section 3.1). Raises: NotOpus."""
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:  # noqa: PLR2004 - SILK
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:  # noqa: PLR2004 - both
        frame = (480, 960)[config & 1]
    else:
        frame = (120, 240, 480, 960)[config & 3]
    if code == 3:  # noqa: PLR2004 - any number, which the next byte tells
        if len(packet) < 2:  # noqa: PLR2004
            raise NotOpus("a packet is cut off")
        return frame * (packet[1] & 0x3F)
    return frame * (1 if code == 0 else 2)


class Muxer:
    """Makes the pages of one stream, which begins nowhere: whoever comes gets `headers` and then what comes
    next, with a granule position that says how long the stream has been going on (RFC 7845, section 4.3).
    """

    def __init__(self, *, serial: int, title: str) -> None:
        self._serial = serial
        self._title = title.encode()
        self._number = 2  # after those of the headers
        self._granule = 0

    def headers(self) -> bytes:
        """For one who comes now: two pages with the numbers before the next one's."""
        head = struct.pack("<8sBBHIhB", b"OpusHead", 1, CHANNELS, PRE_SKIP, RATE_HZ, 0, 0)
        vendor, comment = b"Babelcast", b"TITLE=" + self._title
        tags = b"OpusTags" + b"".join(
            (
                struct.pack("<I", len(vendor)),
                vendor,
                struct.pack("<II", 1, len(comment)),
                comment,
            )
        )
        return self._page([head], flags=_FIRST, granule=0, number=self._number - 2) + self._page(
            [tags], flags=0, granule=0, number=self._number - 1
        )

    def add(self, following: Sequence[bytes], *, last: bool = False) -> bytes:
        """The next pages; after the `last` there are none."""
        made = b""
        for at in range(0, len(following), MAX_PAGE_PACKETS):
            portion = following[at : at + MAX_PAGE_PACKETS]
            self._granule += sum(map(samples, portion))
            ends = last and at + MAX_PAGE_PACKETS >= len(following)
            made += self._page(
                portion, flags=_LAST if ends else 0, granule=self._granule, number=self._number
            )
            self._number = (self._number + 1) & 0xFFFFFFFF
        return made

    def _page(self, held: Sequence[bytes], *, flags: int, granule: int, number: int) -> bytes:
        sizes = b"".join(
            bytes([_LACE]) * (len(packet) // _LACE) + bytes([len(packet) % _LACE]) for packet in held
        )
        body = sizes + b"".join(held)

        def head(checksum: int) -> bytes:
            return _HEADER.pack(
                b"OggS", 0, flags, granule, self._serial, number & 0xFFFFFFFF, checksum, len(sizes)
            )

        return head(checksum(head(0) + body)) + body


def checksum(page: bytes) -> int:
    """Ogg's CRC: that of zlib from the other end, beginning with zeros."""
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(_REVERSED), "big")


class Programme:
    """What is sent when: voice as soon as it is there, but not more than AHEAD_S before its time; silence
    only when there is nothing else and its time has come.
    """

    def __init__(self, *, now_s: float) -> None:
        self.left_out = 0
        """Clips that went since too much waited; policy: oldest first."""
        self._start_s = now_s
        self._position = 0  # samples
        self._clips: deque[deque[bytes]] = deque()
        self._waiting = 0  # samples

    @property
    def waiting_s(self) -> float:
        """Voice that was not sent yet."""
        return self._waiting / RATE_HZ

    def add(self, clip: Sequence[bytes]) -> None:
        """Take a clip. Raises: NotOpus."""
        if not clip:
            return
        self._waiting += sum(map(samples, clip))
        self._clips.append(deque(clip))
        while self.waiting_s > MAX_WAITING_S and len(self._clips) > 1:
            self._waiting -= sum(map(samples, self._clips.popleft()))
            self.left_out += 1

    def due(self, now_s: float) -> list[bytes]:
        """The packets to be sent now."""
        if now_s - self._start_s - self._position / RATE_HZ > STALL_S:  # nobody was sent anything
            self._start_s = now_s - self._position / RATE_HZ
        until = round((now_s - self._start_s) * RATE_HZ)
        found: list[bytes] = []
        while self._position < until + (round(AHEAD_S * RATE_HZ) if self._clips else 0):
            found.append(self._next())
            self._position += samples(found[-1])
        return found

    def _next(self) -> bytes:
        if not self._clips:
            return SILENCE
        packet = self._clips[0].popleft()
        self._waiting -= samples(packet)
        if not self._clips[0]:
            self._clips.popleft()
        return packet
