"""The rules on a real SQLite file, with a clock that goes when told."""

import asyncio
from dataclasses import dataclass, field, replace

from session_svc import ids
from session_svc.config import Policy
from session_svc.events import Event, Hub
from session_svc.model import Settings
from session_svc.publishing import PublishingStore
from session_svc.sessions import Chance, Granted, Sessions
from session_svc.store.sqlite import SqliteStore

START_MS = 1_700_000_000_000


class RecordingHub(Hub):
    """A hub that keeps what is published."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[Event] = []
        self.heard = asyncio.Event()

    def publish(self, event: Event) -> None:
        """Keep it."""
        self.published.append(event)
        self.heard.set()


@dataclass
class World:
    """Sessions and everything around them."""

    store: SqliteStore
    policy: Policy
    hub: RecordingHub
    now: int = START_MS
    numbers: list[int] = field(default_factory=list)
    woken: int = 0

    def __post_init__(self) -> None:
        self._drawn = 0
        self._bytes = 0
        self.sessions = self.made_with(self.policy)

    def made_with(self, policy: Policy) -> Sessions:
        """Rules with another policy on the same store."""
        return Sessions(
            PublishingStore(self.store, self.hub),
            policy,
            words=ids.load_words(),
            now_ms=lambda: self.now,
            chance=Chance(self._below, self._random_bytes, address_key=b"k" * 32),
            deadline_moved=self._wake,
        )

    def with_limits(self, **limits: int) -> Sessions:
        """Rules with some limits changed."""
        return self.made_with(replace(self.policy, **limits))  # type: ignore[arg-type]

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * 1000)

    async def created(
        self, connection_id: str = "c-speaker", speaker_id: str = "anna", request_id: str = ""
    ) -> Granted:
        """A session."""
        return await self.sessions.create(
            Settings(source_language="en"),
            request_id=request_id,
            speaker_id=speaker_id,
            connection_id=connection_id,
        )

    async def joined(
        self, code: str, connection_id: str = "c-listener", language: str = "es", token: str = ""
    ) -> Granted:
        """A listener."""
        return await self.sessions.join(
            code, connection_id=connection_id, target_language=language, resume_token=token
        )

    def events(self) -> list[Event]:
        """What was published since this was asked last."""
        seen, self.hub.published = self.hub.published, []
        return seen

    def _wake(self, _: int) -> None:
        self.woken += 1

    def _below(self, limit: int) -> int:
        if self.numbers:
            return self.numbers.pop(0) % limit
        self._drawn += 7919
        return self._drawn % limit

    def _random_bytes(self, count: int) -> bytes:
        self._bytes += 1
        return self._bytes.to_bytes(count)
