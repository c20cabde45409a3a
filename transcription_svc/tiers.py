"""Which engine serves which quality tier: the better one is loaded when it is first asked for, and once."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from babelcast.errors import ServiceUnavailable
from transcription_svc.engines.base import Transcriber

log = logging.getLogger(__name__)

PREMIUM = "premium"


@dataclass(frozen=True, slots=True)
class Engine:
    """A loaded engine and what a stream of it takes."""

    transcriber: Transcriber
    cores_per_stream: Callable[[], float] = lambda: 1.0
    """Cores that one stream takes on a full machine, as known now."""


class Tiers:
    """The engines of a service. Owns them: `aclose` frees all."""

    def __init__(self, standard: Engine, *, premium: Callable[[], Engine] | None = None) -> None:
        """`premium` loads the better engine, blocking; None when none is installed.

        It may raise ServiceUnavailable, and is then not tried again: the standard engine serves all.
        """
        self.standard = standard
        self._load_premium = premium
        self._premium: Engine | None = None
        self._loading = asyncio.Lock()

    @property
    def has_premium(self) -> bool:
        """Whether there is a better engine than the standard one."""
        return self._premium is not None or self._load_premium is not None

    async def pick(self, tier: str, language: str) -> Engine:
        """The engine for a stream: for premium the better one if it knows the language, else the standard."""
        if tier != PREMIUM:
            return self.standard
        async with self._loading:
            load, self._load_premium = self._load_premium, None
            if load is not None:
                try:
                    self._premium = await asyncio.to_thread(load)
                except ServiceUnavailable as error:
                    log.warning("premium engine cannot be loaded", extra={"why": str(error)})
        if self._premium is None or language not in self._premium.transcriber.capabilities.languages:
            return self.standard
        return self._premium

    async def aclose(self) -> None:
        """Free all engines."""
        await self.standard.transcriber.aclose()
        if self._premium is not None:
            await self._premium.transcriber.aclose()
