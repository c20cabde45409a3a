"""What the pages need to know of their gateway."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from babelcast.auth.local_issuer import LocalIssuer
from gateway.config import GatewayConfig
from gateway.web.assets import Assets


class KnownLanguages(Protocol):
    """What can be spoken and heard. Both raise ServiceUnavailable."""

    async def sources(self) -> Sequence[str]:
        """What can be spoken."""
        ...

    async def targets(self) -> Mapping[str, Sequence[str]]:
        """What each source can be heard in."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway as its pages see it."""

    config: GatewayConfig
    issuer: LocalIssuer | None
    """The local one, if it is in use."""
    languages: KnownLanguages
    ready: Callable[[], bool]
    """Whether the gateway takes new connections."""
    clock: Callable[[], float]
    assets: Assets = field(default_factory=Assets)
    more: Sequence[web.AbstractRouteDef] = ()
    """Routes that others bring."""
