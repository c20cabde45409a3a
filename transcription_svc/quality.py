"""Is the speaker's audio good enough? Noise, clipping, echo and silence, each with a way in and a way out.

Everything is counted in audio, not in wall time. An issue becomes active when its measure has crossed the
threshold for long enough, and clears only when it has been well on the good side for longer, so that it does
not flicker. Who is told how often is the owner's business.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import FRAME_SAMPLES, Samples
from transcription_svc.echo import Echo, strongest_echo
from transcription_svc.noise import FRAME_S, SPEECH, Bands, bands, snr_db

ECHO_WINDOW_FRAMES = 112
"""3.6 s: with the longest delay just below a power of two, which the Fourier transform likes."""
_ECHO_EVERY = 2
"""Looks of which one is for echo."""
_ECHO_SPEECH_S = 1.2
_TINY = 1e-12


class Issue(Enum):
    """What can be wrong."""

    SNR_LOW = "snr_low"
    CLIPPING = "clipping"
    ECHO = "echo"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class QualityPolicy:
    """Thresholds; defaults are those of the client protocol."""

    snr_db: float = 20.0
    """Speech to noise below which an issue is active; 10 to 40."""
    snr_window_s: float = 5.0
    snr_clear_db: float = 2.0
    """How far above the threshold it clears."""
    clipping_percent: float = 1.0
    """Share of samples near full scale in 100 ms; 0.1 to 10."""
    clipping_level: float = 0.98
    clipping_clear_s: float = 10.0
    """Audio without clipping after which it clears."""
    echo_db: float = -15.0
    """Strength of a delayed copy relative to the voice."""
    echo_clear_db: float = 2.0
    """How far below the threshold it clears."""
    echo_same_ms: float = 2.0
    """How far apart two looks may see the same echo."""
    silence_dbfs: float = -50.0
    silence_s: float = 5.0
    silence_clear_db: float = 3.0
    """How far above the threshold it clears."""
    sound_s: float = 0.1
    """Sound that ends silence; shorter is a click."""
    looks_in: int = 2
    """Looks in a row, about a second apart, that make noise an issue."""
    echo_looks_in: int = 3
    """The same for an echo, whose looks are two seconds apart."""
    looks_out: int = 3
    """Looks in a row that clear it."""


@dataclass(frozen=True, slots=True)
class QualityChange:
    """An issue appeared or cleared."""

    issue: Issue
    active: bool
    measurements: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Look:
    """What needs a longer look, copied so that another thread may judge it."""

    powers: Bands
    speech: Samples
    sound: Samples | None
    """The last seconds, when they are to be searched for an echo."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look found; None where there was too little to go by."""

    snr_db: float | None
    echo: Echo | None


def judge(look: Look) -> Finding:
    """Some ms of CPU, mostly for the echo. Pure."""
    return Finding(
        snr_db=snr_db(look.powers, look.speech),
        echo=strongest_echo(look.sound) if look.sound is not None else None,
    )


class Latch:
    """Becomes true after some verdicts in a row, false after some others; undecided ones count as neither."""

    def __init__(self, *, looks_in: int, looks_out: int) -> None:
        self._needed = {True: looks_in, False: looks_out}
        self._towards = False
        self._count = 0

    def decide(self, *, bad: bool, good: bool) -> bool | None:
        """The verdict if it is settled, None before."""
        if not bad and not good:
            self._count = 0
            return None
        self._count = self._count + 1 if bad == self._towards else 1
        self._towards = bad
        return bad if self._count >= self._needed[bad] else None


class QualityMonitor:
    """Follows one stream."""

    def __init__(self, policy: QualityPolicy | None = None) -> None:
        self._policy = policy = policy or QualityPolicy()
        self._active: set[Issue] = set()
        frames = round(policy.snr_window_s / FRAME_S)
        self._powers: deque[Bands] = deque(maxlen=frames)
        self._speech: deque[float] = deque(maxlen=max(frames, ECHO_WINDOW_FRAMES))
        self._sound: deque[Samples] = deque(maxlen=ECHO_WINDOW_FRAMES)
        self._looks = 0
        self._noisy = Latch(looks_in=policy.looks_in, looks_out=policy.looks_out)
        self._echoing = Latch(looks_in=policy.echo_looks_in, looks_out=policy.looks_out)
        self._echo_ms = 0.0
        self._echo_strong = False
        self._quiet_s = 0.0
        self._sound_s = 0.0
        self._clean_s = 0.0
        self._window: list[Samples] = []

    def hear(self, samples: Samples, speech: Samples) -> list[QualityChange]:
        """Take whole frames with their speech probabilities: silence and clipping are judged at once."""
        frames = samples.reshape(-1, FRAME_SAMPLES)
        self._powers.extend(bands(samples))
        self._speech.extend(speech.tolist())
        self._sound.extend(frames)
        changes: list[QualityChange] = []
        for power in np.mean(np.square(frames), axis=1).tolist():
            changes += self._silence(power)
        for frame in frames:
            changes += self._clipping(frame)
        return changes

    def look(self) -> Look | None:
        """What to `judge` next, to be asked for about once a second of audio; None until there is enough."""
        powers = self._powers
        if len(powers) < (powers.maxlen or 0):
            return None
        self._looks += 1
        speech = np.array(self._speech, np.float32)
        spoken_s = np.count_nonzero(speech[-ECHO_WINDOW_FRAMES:] >= SPEECH) * FRAME_S
        for_echo = self._looks % _ECHO_EVERY == 1 and spoken_s >= _ECHO_SPEECH_S
        return Look(
            powers=np.stack(powers),
            speech=speech[-len(powers) :],
            sound=np.concatenate(self._sound) if for_echo else None,
        )

    def take(self, finding: Finding) -> list[QualityChange]:
        """What a look found changes."""
        changes: list[QualityChange] = []
        if finding.echo is not None:
            changes += self._echo(finding.echo)
        # an echo fills the pauses, but is no noise: one warning is enough
        if finding.snr_db is not None and not self._echo_strong:
            changes += self._snr(finding.snr_db)
        return changes

    def _snr(self, snr: float) -> list[QualityChange]:
        threshold = self._policy.snr_db
        bad = self._noisy.decide(bad=snr < threshold, good=snr >= threshold + self._policy.snr_clear_db)
        return self._set(Issue.SNR_LOW, bad, snr_db=snr, threshold_db=threshold)

    def _echo(self, echo: Echo) -> list[QualityChange]:
        threshold = self._policy.echo_db
        strong = echo.level_db > threshold
        # chance peaks, and the beat of music, wander; an echo stays where it is
        same = abs(echo.delay_ms - self._echo_ms) <= self._policy.echo_same_ms
        if strong and not same:
            self._echoing.decide(bad=False, good=False)
        self._echo_ms = echo.delay_ms if strong else self._echo_ms
        self._echo_strong = strong
        bad = self._echoing.decide(bad=strong, good=echo.level_db <= threshold - self._policy.echo_clear_db)
        return self._set(
            Issue.ECHO, bad, echo_db=echo.level_db, delay_ms=echo.delay_ms, threshold_db=threshold
        )

    def _silence(self, power: float) -> list[QualityChange]:
        level = 10.0 * math.log10(power + _TINY)
        active = Issue.SILENCE in self._active
        threshold = self._policy.silence_dbfs
        if level < threshold + (self._policy.silence_clear_db if active else 0.0):
            self._sound_s = 0.0
            self._quiet_s += FRAME_S
        else:
            self._sound_s += FRAME_S
        if self._sound_s + FRAME_S / 2 >= self._policy.sound_s:
            self._quiet_s = 0.0
            return self._set(Issue.SILENCE, False, level_dbfs=level, threshold_dbfs=threshold)
        if self._quiet_s < self._policy.silence_s:
            return []
        return self._set(Issue.SILENCE, True, level_dbfs=level, threshold_dbfs=threshold)

    def _clipping(self, frame: Samples) -> list[QualityChange]:
        self._window.append(frame)
        if len(self._window) < round(0.1 / FRAME_S):
            return []
        samples = np.concatenate(self._window)
        self._window.clear()
        high = int(np.count_nonzero(np.abs(samples) >= self._policy.clipping_level))
        percent = 100.0 * high / len(samples)
        clipped = percent > self._policy.clipping_percent
        self._clean_s = 0.0 if clipped else self._clean_s + len(samples) / SAMPLE_RATE_HZ
        settled = clipped or self._clean_s >= self._policy.clipping_clear_s
        return self._set(
            Issue.CLIPPING,
            clipped if settled else None,
            clipped_percent=percent,
            threshold_percent=self._policy.clipping_percent,
        )

    def _set(self, issue: Issue, active: bool | None, **measurements: float) -> list[QualityChange]:
        if active is None or active == (issue in self._active):
            return []
        (self._active.add if active else self._active.discard)(issue)
        return [QualityChange(issue, active, measurements)]
