"""Pauses in a clip, made shorter. Pure."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from translation_svc.segments import Clip

_SILENT = 32_768 * 10 ** (-50 / 20)
_FADE_S = 0.005


def shorten(clip: Clip, *, longest_s: float) -> Clip:
    """The clip with each silence (no sample above −50 dBFS) cut to at most `longest_s` in its middle.

    The ends on both sides of a cut fade into each other, so that there is no click.
    """
    samples = np.frombuffer(clip.pcm, dtype="<i2")
    fade = round(_FADE_S * clip.sample_rate_hz)
    longest = max(round(longest_s * clip.sample_rate_hz), 2 * fade)
    pieces: list[NDArray[np.int16]] = []
    kept_to = 0
    for start, end in _silences(samples):
        if end - start <= longest:
            continue
        head_end, tail_start = start + longest // 2, end - (longest - longest // 2)
        pieces.append(samples[kept_to : head_end - fade])
        down = np.linspace(1.0, 0.0, fade)
        before, after = samples[head_end - fade : head_end], samples[tail_start - fade : tail_start]
        blend = before * down + after * (1 - down)
        pieces.append(blend.astype("<i2"))
        kept_to = tail_start
    if not pieces:
        return clip
    pieces.append(samples[kept_to:])
    return replace(clip, pcm=np.concatenate(pieces).astype("<i2").tobytes())


def _silences(samples: NDArray[np.int16]) -> list[tuple[int, int]]:
    """Start and end of each run of silent samples."""
    quiet = np.abs(samples.astype(np.int32)) <= _SILENT
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8), prepend=0, append=0))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
