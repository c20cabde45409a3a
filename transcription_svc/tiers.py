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

        If it fails it is not tried again: the standard engine serves all.
        """
        self.standard = standard
        self._load_premium = premium
        self._loading: asyncio.Task[Engine | None] | None = None

    @property
    def has_premium(self) -> bool:
        """Whether there is a better engine than the standard one."""
        if self._loading is not None and self._loading.done():
            return self._loading.result() is not None
        return self._load_premium is not None

    async def pick(self, tier: str, language: str) -> Engine:
        """The engine for a stream: for premium the better one if it knows the language, else the standard."""
        if tier != PREMIUM or self._load_premium is None:
            return self.standard
        if self._loading is None:
            self._loading = asyncio.create_task(_load(self._load_premium), name="load premium engine")
        # shielded: who asked first may not wait for long enough, and the next one asks again
        premium = await asyncio.shield(self._loading)
        if premium is None or language not in premium.transcriber.capabilities.languages:
            return self.standard
        return premium

    async def aclose(self) -> None:
        """Free all engines; one that is being loaded is waited for."""
        await self.standard.transcriber.aclose()
        premium = None if self._loading is None else await self._loading
        if premium is not None:
            await premium.transcriber.aclose()


async def _load(load: Callable[[], Engine]) -> Engine | None:
    try:
        return await asyncio.to_thread(load)
    except (ServiceUnavailable, OSError, RuntimeError, ValueError, MemoryError) as error:
        log.warning("premium engine cannot be loaded", extra={"why": str(error)})
        return None
