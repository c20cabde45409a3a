"""The port of voices."""

from collections.abc import Set
from typing import Protocol

from translation_svc.segments import Clip, Prosody, Tier


class Voice(Protocol):
    """Speaks text."""

    @property
    def languages(self) -> Set[str]:
        """ISO 639-1 codes that it speaks."""
        ...

    def names(self, language: str) -> list[str]:
        """The voices of a language, the one that speaks first; empty when it has none."""
        ...

    async def warm(self) -> None:
        """Load what the first sentence would wait for. Raises: EngineFailure."""
        ...

    async def speak(self, text: str, *, language: str, prosody: Prosody, tier: Tier = Tier.STANDARD) -> Clip:
        """Plain text (never markup) as sound; an empty clip when nothing in it can be said.

        With Tier.PREMIUM by the better voice, where there are two.

        Raises: EngineFailure.
        """
        ...

    async def aclose(self) -> None:
        """End what runs; idempotent."""
        ...
