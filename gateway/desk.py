"""What every connection of a gateway works with, and the two small answers that need no role."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from babelcast import languages
from babelcast.archive.base import Archive
from babelcast.auth.verifier import TokenVerifier
from babelcast.bus.base import Bus
from babelcast.errors import BabelcastError, UnsupportedLanguage
from babelcast.prices import Prices
from gateway.config import GatewayConfig
from gateway.fanout import Hub
from gateway.guessing import Guesses
from gateway.rooms import Rooms
from gateway.sessions import Sessions
from gateway.streams import Stations

LANGUAGES_FRESH_S = 15.0

log = logging.getLogger(__name__)


class Languages:
    """What can be spoken and heard, asked of the services at most every LANGUAGES_FRESH_S; while they cannot
    be asked, what they said last.
    """

    def __init__(self, stations: Stations, *, clock: Callable[[], float]) -> None:
        self._stations = stations
        self._clock = clock
        self._sources: Sequence[str] = ()
        self._targets: Mapping[str, Sequence[str]] = {}
        self._until_s = float("-inf")
        self._asking = asyncio.Lock()

    async def sources(self) -> Sequence[str]:
        """What can be spoken. Raises: ServiceUnavailable."""
        await self._refresh()
        return self._sources

    async def targets(self) -> Mapping[str, Sequence[str]]:
        """What each source can be heard in; the source itself is heard as transcript.

        Raises: ServiceUnavailable.
        """
        await self._refresh()
        return {source: self._targets.get(source, ()) for source in self._sources}

    async def source(self, tag: str) -> str:
        """The code of a language that can be spoken. Raises: InvalidLanguage, UnsupportedLanguage."""
        code = languages.normalise(tag, parameter="sourceLanguage")
        available = await self.sources()
        if code not in available:
            raise UnsupportedLanguage(code, available=available)
        return code

    async def target(self, tag: str, *, source: str) -> str:
        """The code of a language that `source` can be heard in. Raises: as `source`."""
        code = languages.normalise(tag, parameter="targetLanguage")
        available = [source, *(await self.targets()).get(source, ())]
        if code not in available:
            raise UnsupportedLanguage(code, available=available, source=source)
        return code

    async def _refresh(self) -> None:
        async with self._asking:  # whoever waited here finds what the one before was told
            if self._clock() < self._until_s:
                return
            try:
                sources = await self._stations.source_languages()
                self._targets = await self._stations.target_languages()
            except BabelcastError as error:
                if not self._sources:
                    raise
                log.warning("languages cannot be asked for", extra={"code": error.code})
            else:
                self._sources = sources
            self._until_s = self._clock() + LANGUAGES_FRESH_S


@dataclass(frozen=True, slots=True)
class Desk:
    """The gateway's parts, as its connections use them."""

    config: GatewayConfig
    verifier: TokenVerifier
    sessions: Sessions
    stations: Stations
    languages: Languages
    bus: Bus
    archive: Archive
    hub: Hub
    rooms: Rooms
    prices: Prices
    guesses: Guesses
    """By WebSocket."""
    page_guesses: Guesses
    """By pages: players go on asking for a talk that is over, which must keep nobody from joining another."""
    clock_ms: Callable[[], int]
    clock: Callable[[], float]
