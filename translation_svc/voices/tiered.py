"""Two voices: a better one in a few languages, and one that always works."""

import logging
from collections.abc import Set

from translation_svc.failures import EngineFailure
from translation_svc.segments import Clip, Prosody, Tier
from translation_svc.voices.base import Voice

log = logging.getLogger(__name__)


class TieredVoice:
    """Premium sessions, or all, hear `better` in its languages, and `usual` when that fails or lacks one."""

    def __init__(
        self, *, usual: Voice, better: Voice, for_all: bool = False, kept: Set[str] = frozenset()
    ) -> None:
        """`kept` are languages that the usual voice speaks to everybody: somebody chose how."""
        self._usual = usual
        self._better = better
        self._for_all = for_all
        self._kept = kept

    @property
    def languages(self) -> Set[str]:
        """The languages of the usual voice, which has more."""
        return self._usual.languages | self._better.languages

    def names(self, language: str) -> list[str]:
        """The voices of both, first what most sessions hear."""
        usual, better = self._usual.names(language), self._better.names(language)
        return [*better, *usual] if self._for_all and language not in self._kept else [*usual, *better]

    async def warm(self) -> None:
        """Load what everybody hears; a voice for premium sessions alone starts with its first sentence."""
        await self._usual.warm()
        if self._for_all and self._better.languages:
            await self._better.warm()

    async def speak(self, text: str, *, language: str, prosody: Prosody, tier: Tier = Tier.STANDARD) -> Clip:
        """Text as sound."""
        wants_better = self._for_all or tier is Tier.PREMIUM
        if wants_better and language in self._better.languages - self._kept:
            try:
                clip = await self._better.speak(text, language=language, prosody=prosody, tier=tier)
            except EngineFailure as failure:
                log.warning("better voice failed", extra={"engine": failure.engine, "language": language})
            else:
                if clip.pcm:
                    return clip
        return await self._usual.speak(text, language=language, prosody=prosody, tier=tier)

    async def aclose(self) -> None:
        """End both."""
        try:
            await self._better.aclose()
        finally:
            await self._usual.aclose()
