"""A scripted voice: one tone, as long as its text would take to say. For tests."""

import functools
from collections.abc import Set

import numpy as np

from babelcast import scripted
from babelcast.pcm import SAMPLE_RATE_HZ
from translation_svc.failures import EngineMissing
from translation_svc.loudness import Samples, faded, level, limit
from translation_svc.segments import Clip, Prosody, Tier
from translation_svc.ssml import delivery

CHARACTER_S = 0.03
"""What a character takes. So a translation takes no longer than the sentence that it translates."""
_TONE_HZ = 400
_PERIOD = SAMPLE_RATE_HZ // _TONE_HZ


class ScriptedVoice:
    """Speaks the scripted languages, all alike, and has nothing to load."""

    name = scripted.NAME

    @property
    def languages(self) -> Set[str]:
        """The scripted languages."""
        return _LANGUAGES

    def names(self, language: str) -> list[str]:
        """One voice each."""
        return [self.name] if language in _LANGUAGES else []

    async def warm(self) -> None:
        """Nothing to load."""

    async def speak(
        self,
        text: str,
        *,
        language: str,
        prosody: Prosody,
        tier: Tier = Tier.STANDARD,  # noqa: ARG002 - there is one voice
    ) -> Clip:
        """The tone for `text`, at its rate and volume; half a millisecond of CPU."""
        if language not in _LANGUAGES:
            raise EngineMissing(self.name, f"no voice for {language}")
        asked = delivery(prosody)
        periods = round(len(text) * CHARACTER_S / asked.rate * _TONE_HZ)
        samples = limit(np.tile(_period() * 10 ** (asked.volume_db / 20), periods))
        pcm = (faded(samples, SAMPLE_RATE_HZ) * 32767).astype("<i2").tobytes()
        return Clip(pcm, SAMPLE_RATE_HZ, engine=self.name, characters=len(text))

    async def aclose(self) -> None:
        """Nothing runs."""


@functools.cache
def _period() -> Samples:
    """One period of the tone, at the loudness of all voices."""
    second = np.sin(2 * np.pi * _TONE_HZ * np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ)
    return level(second, SAMPLE_RATE_HZ, gain_db=0.0)[:_PERIOD]


_LANGUAGES = frozenset(scripted.LANGUAGES)
