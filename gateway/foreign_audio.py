"""Is this the audio that was asked for? Names what is not signed 16-bit little-endian mono PCM. Pure.

Undeclared mistakes are told by what they do to the samples. In real sound neighbouring samples are alike, and
the statistics of even and odd samples are the same; a wrong width, byte order or channel count breaks that in
its own way each. Every rule is one that no speech, noise, tone or silence in the right format meets.
"""

import struct
from typing import Final

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

WANTED: Final = (
    "Send signed 16-bit little-endian mono PCM without a header (ffmpeg: -f s16le -ac 1 -ar 16000)."
)
LEAST_BYTES: Final = 16_000
"""What `suspect` needs to be sure."""

_SMOOTH = 0.4
"""Roughness under which samples hang together; 1.0 is white noise."""
_ROUGH = 0.8
_MAGIC: Final = (
    (0, b"OggS", "an Ogg stream (Opus or Vorbis)"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska, as a browser's MediaRecorder makes it"),
    (0, b"ID3", "MP3"),
    (0, b"fLaC", "FLAC"),
    (0, b"FORM", "AIFF"),
    (0, b"caff", "a CAF file"),
    (0, b"#!AMR", "AMR"),
    (0, b"OpusHead", "Opus"),
    (4, b"ftyp", "MP4 or M4A"),
)
_TEXT = frozenset(range(0x20, 0x7F)) | set(b"\r\n\t")
_MPEG_SYNC = 0xFFE0
_FLOAT_MAX = 1.5
_FLOAT_MIN = 1e-12
_UNIFORM_STD = 65536 / 12**0.5
_CORRELATED = 0.3
_UNEVEN = 4.0
_APART = 0.5
_DIFFERENT = 0.45
_DISTINCT = 250
"""Samples of 8-bit sound, read in pairs, have more values; a tone that fits its rate has fewer."""
_RANDOM_BITS = 7.7


def recognise(first: bytes) -> str | None:
    """What the beginning of a stream is, by its magic number; None when it may be samples."""
    if first[:4] in (b"RIFF", b"RF64") and first[8:12] == b"WAVE":
        return _wav(first)
    for at, magic, name in _MAGIC:
        if first[at : at + len(magic)] == magic:
            return name
    if first and _TEXT.issuperset(first):
        return (
            "JSON" if first.lstrip()[:1] == b"{" else "text, perhaps base64 twice over or in a binary frame"
        )
    return "MP3 or AAC" if _is_mpeg(first) else None


def suspect(pcm: bytes) -> str | None:
    """What a stretch of sound (no silence, at least LEAST_BYTES) looks like if not the PCM asked for."""
    data = np.frombuffer(pcm[: len(pcm) // 24 * 24], np.uint8)
    samples = data.view("<i2").astype(np.float64)
    return _floats(data) or _bytes(data) or _wide(data, samples) or _pairs(samples) or _order(data, samples)


def roughness(samples: Numbers) -> float:
    """1 minus the correlation of neighbours: 0 for slow sounds, 1 for white noise and for none."""
    centred = samples - samples.mean()
    power = float(np.mean(np.square(centred)))
    return 1.0 - float(np.mean(centred[1:] * centred[:-1])) / power if power > 0.0 else 1.0


def _floats(data: npt.NDArray[np.uint8]) -> str | None:
    for kind, name in (("<f4", "32-bit floating point"), ("<f8", "64-bit floating point")):
        values = data.view(kind)
        with np.errstate(invalid="ignore"):
            size = np.abs(values)
        plausible = (size <= _FLOAT_MAX) & (size >= _FLOAT_MIN)
        zero = values == 0.0
        # in PCM the same bits are numbers of all sizes, or all of one sign where it has a direct current
        sound = float(zero.mean()) < 0.5 and 0.1 < float(np.mean(values > 0.0)) < 0.9  # noqa: PLR2004
        if sound and bool(np.all(plausible | zero)):
            return name
    return None


def _bytes(data: npt.NDArray[np.uint8]) -> str | None:
    """Eight bits a sample: then bytes hang together, where in PCM every other one is the coarse half."""
    readings = {
        "unsigned 8-bit": data.astype(np.float64),
        "signed 8-bit": data.view(np.int8).astype(np.float64),
        "8-bit mu-law": _MU_LAW[data],
        "8-bit A-law": _A_LAW[data],
    }
    rough = {name: _byte_roughness(values) for name, values in readings.items()}
    best = min(rough, key=lambda name: rough[name])
    if rough[best] >= _SMOOTH or np.array_equal(data[0::2], data[1::2]):
        return None  # 8-bit sound made wide by writing each byte twice is PCM
    if len(np.unique(data.view("<i2"))) < _DISTINCT:
        return None
    # the coarse half of soft PCM is 0 or 255, as its sign is
    middling = float(np.mean((data[1::2] >= 32) & (data[1::2] < 224)))  # noqa: PLR2004 - an eighth from the ends
    return best if best != "unsigned 8-bit" or middling > 0.5 else None  # noqa: PLR2004 - half


def _byte_roughness(values: Numbers) -> float:
    """The worse of how first bytes of pairs go on into second ones, and those into the next pair's first;
    1 when the two halves are of different size.
    """
    centred = values - values.mean()
    first, second = centred[0::2], centred[1::2]
    powers = float(np.mean(np.square(first))), float(np.mean(np.square(second)))
    if max(powers) > 2.0 * min(powers):
        return 1.0
    scale = (powers[0] * powers[1]) ** 0.5
    within, across = float(np.mean(first * second)), float(np.mean(second[:-1] * first[1:]))
    return 1.0 - min(within, across) / scale if scale > 0.0 else 1.0


def _wide(data: npt.NDArray[np.uint8], samples: Numbers) -> str | None:
    """Three or four bytes a sample: one byte, or word, in each hangs together; the whole does not."""
    if roughness(samples) < _ROUGH:
        return None
    triples = [roughness(data[phase::3].view(np.int8).astype(np.float64)) for phase in range(3)]
    if min(triples) < _SMOOTH:
        return "24-bit"
    low, high = samples[0::2], samples[1::2]
    fine = abs(float(low.std()) / _UNIFORM_STD - 1.0) < 0.1 and roughness(low) > _ROUGH  # noqa: PLR2004
    return "32-bit integer" if fine and roughness(high) < _SMOOTH else None


def _pairs(samples: Numbers) -> str | None:
    """Two channels: samples are like the next but one, and even and odd ones differ in their statistics."""
    centred = samples - samples.mean()
    power = float(np.mean(np.square(centred)))
    if power == 0.0:
        return None
    next_but_one = float(np.mean(centred[2:] * centred[:-2])) / power
    if next_but_one < _CORRELATED:
        return None
    even, odd = centred[0::2], centred[1::2]
    within = float(np.mean(even * odd)) / power
    across = float(np.mean(odd[:-1] * even[1:])) / power
    left, right = float(np.mean(np.square(even))), float(np.mean(np.square(odd)))
    stereo = (
        bool(np.array_equal(even, odd))
        or max(left, right) > _UNEVEN * min(left, right)
        or abs(within - across) > max(0.01, _DIFFERENT * (1.0 - next_but_one))
        or next_but_one - abs(within + across) / 2 > _APART
    )
    return "stereo (or 32-bit samples)" if stereo else None


def _order(data: npt.NDArray[np.uint8], samples: Numbers) -> str | None:
    rough = roughness(samples)
    if rough > _ROUGH and roughness(data.view(">i2").astype(np.float64)) < _SMOOTH:
        return "big-endian"
    if rough > _ROUGH and _bits(data[1::2]) > _RANDOM_BITS and _bits(data[0::2]) > _RANDOM_BITS:
        return "compressed audio"
    return None


def _bits(data: npt.NDArray[np.uint8]) -> float:
    """Entropy of a byte."""
    share = np.bincount(data, minlength=256) / len(data)
    share = share[share > 0.0]
    return float(-np.sum(share * np.log2(share)))


def _wav(first: bytes) -> str:
    at = first.find(b"fmt ", 12)
    if at < 0 or len(first) < at + 24:
        return "a WAV file with its header"
    _, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", first, at + 8)
    return f"a WAV file with its header ({rate} samples a second, {channels} channel(s), {bits} bits)"


def _is_mpeg(first: bytes) -> bool:
    """Whether two frames of MPEG audio follow each other: a single sync word may be a loud sample."""
    if len(first) < 4 or int.from_bytes(first[:2], "big") & _MPEG_SYNC != _MPEG_SYNC:  # noqa: PLR2004
        return False
    head = first[:2]
    return any(first[at : at + 2] == head for at in _frame_lengths(first))


def _frame_lengths(first: bytes) -> tuple[int, ...]:
    if first[1] & 0xF6 == 0xF0:  # ADTS  # noqa: PLR2004
        return (((first[3] & 3) << 11) | (first[4] << 3) | (first[5] >> 5),) if len(first) > 5 else ()  # noqa: PLR2004
    version, layer = (first[1] >> 3) & 3, (first[1] >> 1) & 3
    rate_index, sampling = first[2] >> 4, (first[2] >> 2) & 3
    if layer != 1 or version == 1 or rate_index in (0, 15) or sampling == 3:  # noqa: PLR2004 - reserved values
        return ()
    one = version == 3  # noqa: PLR2004 - MPEG 1
    kbits = (_MPEG1_KBITS if one else _MPEG2_KBITS)[rate_index - 1]
    hz = (44_100, 48_000, 32_000)[sampling] // {3: 1, 2: 2, 0: 4}[version]
    length = (144 if one else 72) * kbits * 1000 // hz
    return length, length + 1


_MPEG1_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBITS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def _mu_law_table() -> Numbers:
    code = ~np.arange(256) & 0xFF
    size = (((code & 0x0F) << 3) + 132 << ((code >> 4) & 7)) - 132
    return np.where(code & 0x80, -size, size).astype(np.float64)


def _a_law_table() -> Numbers:
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 0x0F
    size = np.where(
        exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 264) << np.maximum(exponent - 1, 0)
    )
    return np.where(code & 0x80, size, -size).astype(np.float64)


_MU_LAW, _A_LAW = _mu_law_table(), _a_law_table()
