"""What every connection of a gateway works with, and the two small answers that need no role."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from babelcast import languages
from babelcast.auth.verifier import TokenVerifier
from babelcast.bus.base import Bus
from babelcast.errors import UnsupportedLanguage
from gateway.config import GatewayConfig
from gateway.fanout import Hub
from gateway.rooms import Rooms
from gateway.sessions import Sessions
from gateway.streams import Stations

LANGUAGES_FRESH_S = 15.0


class Languages:
    """What can be spoken and heard, asked of the services at most every LANGUAGES_FRESH_S."""

    def __init__(self, stations: Stations, *, clock: Callable[[], float]) -> None:
        self._stations = stations
        self._clock = clock
        self._sources: Sequence[str] = ()
        self._targets: Mapping[str, Sequence[str]] = {}
        self._until_s = float("-inf")

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
        now = self._clock()
        if now < self._until_s:
            return
        sources = await self._stations.source_languages()
        self._targets = await self._stations.target_languages()
        self._sources = sources
        self._until_s = now + LANGUAGES_FRESH_S


@dataclass(frozen=True, slots=True)
class Desk:
    """The gateway's parts, as its connections use them."""

    config: GatewayConfig
    verifier: TokenVerifier
    sessions: Sessions
    stations: Stations
    languages: Languages
    bus: Bus
    hub: Hub
    rooms: Rooms
    clock_ms: Callable[[], int]
    clock: Callable[[], float]
