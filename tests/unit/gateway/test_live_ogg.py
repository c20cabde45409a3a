"""Clips become one stream that decoders take."""

import io
import itertools
import struct

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import live_ogg
from gateway.live_ogg import (
    AHEAD_S,
    RATE_HZ,
    SILENCE,
    Muxer,
    NotOpus,
    Programme,
    checksum,
    packets,
    pages,
    samples,
)
from translation_svc.opus import encode
from translation_svc.segments import Clip

VOICE_HZ = 24_000


def tone(seconds: float, *, hz: float = 440.0, rate_hz: int = VOICE_HZ) -> bytes:
    """A clip as the translation service makes them."""
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    return encode(Clip((8_000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes(), rate_hz))


def decoded(ogg: bytes) -> tuple[np.ndarray, float]:
    """The sound at 48 kHz, and where it begins, s."""
    found, begins_s = [], None
    with av.open(io.BytesIO(ogg), mode="r") as container:
        for frame in container.decode(audio=0):
            assert frame.sample_rate == RATE_HZ
            if begins_s is None:
                begins_s = float(frame.time or 0.0)
            found.append(frame.to_ndarray().reshape(-1).astype(np.float64))
    return np.concatenate(found), begins_s or 0.0


def loudness(sound: np.ndarray, from_s: float, to_s: float) -> float:
    """Root mean square."""
    part = sound[round(from_s * RATE_HZ) : round(to_s * RATE_HZ)]
    return float(np.sqrt(np.mean(part**2)))


def pitch(sound: np.ndarray, from_s: float, to_s: float) -> float:
    """The loudest tone, Hz."""
    part = sound[round(from_s * RATE_HZ) : round(to_s * RATE_HZ)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    return float(np.argmax(spectrum) * RATE_HZ / len(part))


def test_the_packets_of_a_clip_are_all_its_sound() -> None:
    """What is taken out of a file is as long as what was put in, but for whole frames and the settling."""
    taken = packets(tone(1.0))
    assert 1.0 <= sum(map(samples, taken)) / RATE_HZ <= 1.06


def test_clips_are_heard_where_they_were_put() -> None:
    """Two clips with silence before, between and after them decode to their tones at their places, and to
    nothing elsewhere; the clips' own rates do not matter.
    """
    muxer = Muxer(serial=7, title="golden-eagle-427 es")
    first, second = packets(tone(1.0, hz=440)), packets(tone(0.8, hz=1_000, rate_hz=16_000))
    ogg = muxer.headers()
    ogg += muxer.add([SILENCE] * 50)
    ogg += muxer.add(first)
    ogg += muxer.add([SILENCE] * 100)
    ogg += muxer.add(second)
    ogg += muxer.add([SILENCE] * 50, last=True)
    sound, _ = decoded(ogg)
    first_s = sum(map(samples, first)) / RATE_HZ
    second_s = sum(map(samples, second)) / RATE_HZ
    assert abs(len(sound) / RATE_HZ - (4.0 + first_s + second_s)) < 0.01
    assert loudness(sound, 0.0, 0.95) < 0.001
    assert abs(pitch(sound, 1.1, 1.9) - 440) < 5
    assert loudness(sound, 1.1, 1.9) > 0.1
    gap_s = 1.0 + first_s
    assert loudness(sound, gap_s + 0.1, gap_s + 1.9) < 0.001
    assert abs(pitch(sound, gap_s + 2.1, gap_s + 2.7) - 1_000) < 5
    assert loudness(sound, gap_s + 2.1 + second_s, gap_s + 2.9 + second_s) < 0.001


def test_who_comes_late_gets_a_stream_too() -> None:
    """Headers in the middle and what follows them decode, and say how long the stream has been going on."""
    muxer = Muxer(serial=7, title="x")
    muxer.add([SILENCE] * 500)
    ogg = muxer.headers()
    clip = packets(tone(1.0))
    ogg += muxer.add(clip[:20]) + muxer.add(clip[20:], last=True)
    sound, _ = decoded(ogg)
    assert abs(pitch(sound, 0.1, 0.9) - 440) < 5
    found = list(pages(ogg))
    assert [page.number for page in found] == list(range(found[0].number, found[0].number + 4))
    assert found[2].granule == 500 * 960 + sum(map(samples, clip[:20]))


@given(st.lists(st.lists(st.integers(1, 700), min_size=1, max_size=120), min_size=1, max_size=6))
def test_pages_are_whole_and_follow_each_other(turns: list[list[int]]) -> None:
    """Whatever the packets, numbers count up, granule positions are the samples up to there, checksums are
    right, and the packets come out as they went in.
    """
    muxer = Muxer(serial=3, title="x")
    given_packets = [[bytes([0xF8]) + bytes(size) for size in sizes] for sizes in turns]
    ogg = muxer.headers() + b"".join(map(muxer.add, given_packets))
    assert packets(ogg) == list(itertools.chain.from_iterable(given_packets))
    found = list(pages(ogg))
    assert [page.number for page in found] == list(range(len(found)))
    assert found[-1].granule == 960 * sum(map(len, given_packets))
    at = 0
    for page in found:
        size = 27 + len(page.sizes) + len(page.body)
        raw = bytearray(ogg[at : at + size])
        (said,) = struct.unpack_from("<I", raw, 22)
        raw[22:26] = bytes(4)
        assert checksum(bytes(raw)) == said == slow_checksum(bytes(raw))
        at += size


def slow_checksum(data: bytes) -> int:
    """As RFC 3533 has it, bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = ((crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


@pytest.mark.parametrize(
    "file",
    [
        b"OggS",
        b"RIFF" + bytes(60),
        Muxer(serial=1, title="x").headers()[:60],
        Muxer(serial=1, title="x").add([b"OpusHead", b"x"]),
        tone(0.1).replace(b"OpusHead\x01\x01", b"OpusHead\x01\x02"),
        b"",
    ],
)
def test_what_is_no_clip_is_refused(file: bytes) -> None:
    """A voice in another form is left out, not passed on."""
    with pytest.raises(NotOpus):
        packets(file)


@pytest.mark.parametrize(
    ("packet", "ms"),
    [
        (b"\x00", 10),
        (b"\x18", 60),
        (b"\x60", 10),
        (b"\x68", 20),
        (b"\x80", 2.5),
        (b"\xf8", 20),
        (b"\xf9", 40),
        (b"\xfb\x03", 60),
    ],
)
def test_packets_tell_how_long_they_are(packet: bytes, ms: float) -> None:
    """As the table of RFC 6716 has it."""
    assert samples(packet) == ms * 48


def test_a_packet_that_is_cut_off_is_refused() -> None:
    """Its number of frames is not there."""
    with pytest.raises(NotOpus):
        samples(b"\xfb")


class TestProgramme:
    """What is sent when."""

    def test_silence_comes_in_its_time(self) -> None:
        """With nothing said there is as much silence as time has passed, and none ahead."""
        programme = Programme(now_s=100.0)
        assert programme.due(100.0) == []
        assert programme.due(100.2) == [SILENCE] * 10
        assert programme.due(101.0) == [SILENCE] * 40

    def test_voice_is_sent_ahead(self) -> None:
        """A clip is sent at once as far as it may be ahead, the rest in its time, and silence after it."""
        programme = Programme(now_s=0.0)
        clip = [bytes([0xF8, number]) for number in range(100)]  # 2 s
        programme.add(clip)
        sent = programme.due(0.0)
        assert sent == clip[:50]
        assert programme.waiting_s == 1.0
        assert programme.due(0.5) == clip[50:75]
        assert programme.due(1.0) == clip[75:]
        assert programme.due(1.9) == []
        assert programme.due(2.1) == [SILENCE] * 5

    @given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 200)), max_size=20))
    def test_it_keeps_the_time(self, turns: list[tuple[float, int]]) -> None:
        """However clips come and turns are late, what was sent is never behind the clock and at most AHEAD_S
        (and a packet) ahead; every packet is sent once, in order.
        """
        programme, now_s, sent, given_packets = Programme(now_s=0.0), 0.0, list[bytes](), list[bytes]()
        for passes_s, count in turns:
            now_s += passes_s
            clip = [b"\xf8" + (len(given_packets) + number).to_bytes(4, "big") for number in range(count)]
            if programme.waiting_s + count * 0.02 > live_ogg.MAX_WAITING_S:
                continue
            given_packets += clip
            programme.add(clip)
            sent += programme.due(now_s)
            assert now_s - 0.001 <= len(sent) * 0.02 <= now_s + AHEAD_S + 0.04
        sent += programme.due(now_s + 4.9) + programme.due(now_s + 9.7)
        voice = [packet for packet in sent if packet != SILENCE]
        assert voice == given_packets[: len(voice)]

    def test_too_much_that_waits_goes(self) -> None:
        """Whole clips, oldest first."""
        programme = Programme(now_s=0.0)
        for number in range(5):
            programme.add([bytes([0xF8, number])] * 1_000)  # 20 s each
        assert programme.left_out == 2
        assert programme.due(0.02)[0] == b"\xf8\x02"
        programme.add([])
        assert programme.waiting_s < live_ogg.MAX_WAITING_S

    def test_a_stall_is_not_made_up_for(self) -> None:
        """A machine that slept goes on where it is."""
        programme = Programme(now_s=0.0)
        programme.due(1.0)
        assert programme.due(5_000.0) == []
        assert programme.due(5_000.2) == [SILENCE] * 10
