"""What a page plays, measured in the page: loudness and pitch each 25 ms of sound.

A page that had no time to look for up to 0.6 s makes up for it: a busy machine takes nothing off.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from playwright.async_api import Page

LOUD = 0.01
"""Root mean square from which there is sound."""
TONE_HZ = 400.0
"""What the scripted voice says everything with."""
PITCH_WITHIN_HZ = 20.0
SECONDS_PER_CHARACTER = 0.03

_MEASURE = """
() => {
  const played = [...window.__audios];
  const audio = played.filter((element) => element.srcObject).at(-1) ?? played.at(-1);
  if (!audio) throw new Error('nothing was ever played');
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, {fftSize: 4096, smoothingTimeConstant: 0});
  context.createMediaStreamSource(audio.captureStream()).connect(analyser);
  const memory = new AnalyserNode(context, {fftSize: 32768});
  analyser.connect(memory);
  const wave = new Float32Array(memory.fftSize), tones = new Float32Array(analyser.frequencyBinCount);
  const readings = window.__readings = [];
  window.__played = audio;
  const step = Math.round(context.sampleRate * 0.025), most = Math.floor(wave.length / step);
  let looked = context.currentTime;
  setInterval(() => {
    const due = Math.floor((context.currentTime - looked) * context.sampleRate / step);
    if (due < 1) return;
    memory.getFloatTimeDomainData(wave);
    analyser.getFloatFrequencyData(tones);
    let top = 0;
    for (let bin = 1; bin < tones.length; bin++) if (tones[bin] > tones[top]) top = bin;
    const pitch = top * context.sampleRate / analyser.fftSize;
    for (let ago = Math.min(due, most); ago > 0; ago--) {
      const end = wave.length - (ago - 1) * step;
      const rms = Math.hypot(...wave.subarray(end - step, end)) / Math.sqrt(step);
      const at = looked + (due - ago + 1) * step / context.sampleRate;
      readings.push([at * 1000, audio.paused ? 0 : rms * audio.volume * !audio.muted, ago > 1 ? NaN : pitch]);
    }
    looked += due * step / context.sampleRate;
  }, 25);
}
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """One moment."""

    at_ms: float
    """Of the sound's own clock."""
    rms: float
    pitch_hz: float
    """Not a number where it was looked at too late."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Sound without a break."""

    start_ms: float
    end_ms: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.end_ms - self.start_ms) / 1000


async def begin(page: Page) -> None:
    """Begin to measure what the page's media element plays."""
    await page.evaluate(_MEASURE)


async def readings(page: Page) -> list[Reading]:
    """All since it began."""
    rows: list[list[float]] = await page.evaluate("window.__readings")
    return [Reading(*row) for row in rows]


def bursts(taken: Sequence[Reading], *, gap_ms: float = 100) -> list[Burst]:
    """Where there was sound."""
    found: list[Burst] = []
    for reading in taken:
        if reading.rms < LOUD:
            continue
        if found and reading.at_ms - found[-1].end_ms < gap_ms:
            found[-1] = Burst(found[-1].start_ms, reading.at_ms)
        else:
            found.append(Burst(reading.at_ms, reading.at_ms))
    return found


def voiced_s(taken: Sequence[Reading]) -> float:
    """How long there was sound in all."""
    return sum(burst.seconds for burst in bursts(taken))


def expected_s(texts: Sequence[str]) -> float:
    """How long the scripted voice takes for texts."""
    return sum(len(text) for text in texts) * SECONDS_PER_CHARACTER


async def heard_out(page: Page, texts: Sequence[str], *, share: float = 0.78, within_s: float = 40) -> None:
    """Wait until so much of `texts` was played (catching up takes a fifth off its time), and see that nothing
    but the voice was.
    """
    await heard_for(page, expected_s(texts) * share, within_s=within_s)


async def heard_for(page: Page, wanted_s: float, *, within_s: float) -> None:
    """Wait until the voice was played for so long, and see that nothing but the voice was."""
    deadline = time.monotonic() + within_s
    while (voiced := voiced_s(await readings(page))) < wanted_s:
        assert time.monotonic() < deadline, f"{voiced:.1f} s of voice instead of {wanted_s:.1f} s"
        await page.wait_for_timeout(200)
    loud = [reading for reading in await readings(page) if reading.rms >= LOUD]
    off = [reading for reading in loud if abs(reading.pitch_hz - TONE_HZ) > PITCH_WITHIN_HZ]
    assert len(off) < 0.1 * len(loud), [reading.pitch_hz for reading in off]
