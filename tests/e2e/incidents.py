"""What happens to a fleet: processes die, a network is cut, the record is away, a gateway hangs."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from babelcast.client import Speaker
from tests.dynamodb_local import DynamoDbServer
from tests.e2e.fleet import Fleet, Member
from tests.nats_server import NatsServer
from tests.wire_cut import CuttableWire

EVERY_S = 15.0
AWAY_S = 2.0
"""How long an orchestrator takes to start a process again."""
OUTAGE_S = 20.0
MOVED_WITHIN_S = 60.0

Incident: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Stage:
    """Everything that incidents happen to."""

    fleet: Fleet
    nats: NatsServer
    dynamodb: DynamoDbServer
    to_nats: Sequence[CuttableWire]
    """One for each gateway, in their order."""
    to_dynamodb: CuttableWire
    speakers: Sequence[Speaker]
    history: list[str] = field(default_factory=list)

    def round(self) -> list[tuple[str, Incident]]:
        """All kinds of incidents; none is twice as long as the time until the next one."""
        processes = [
            self._kill(module, place)
            for place in range(2)
            for module in ("gateway", "session_svc", "transcription_svc", "translation_svc")
        ]
        return [
            *processes[:4],
            ("kill NATS", self._kill_nats),
            *processes[4:],
            ("kill DynamoDB", self._kill_dynamodb),
            ("kill an owner", self._kill_owner),
            ("cut an owner's way to NATS", self._cut_nats),
            ("cut the ways to DynamoDB", self._cut_dynamodb),
            ("pause an owner", self._pause_owner),
            ("kill an owner", self._kill_owner),
        ]

    async def happen(self, minutes: float) -> None:
        """One after the other for so long, each at a time when the one before it is over."""
        began_s = time.monotonic()
        for name, incident in itertools.cycle(self.round()):
            now_s = time.monotonic() - began_s
            due_s = -(-now_s // EVERY_S) * EVERY_S
            if due_s + EVERY_S > 60 * minutes:
                break
            await asyncio.sleep(due_s - now_s)
            self.history.append(f"{due_s:.0f} s: {name}")
            await incident()
            self.history.append(f"{time.monotonic() - began_s:.0f} s: over")

    def _kill(self, module: str, place: int) -> tuple[str, Incident]:
        member = self.fleet.of(module)[place]

        async def killed() -> None:
            await _killed(member)

        return f"kill {module} on {member.port}", killed

    async def _kill_owner(self) -> None:
        await _killed(self._owner())

    async def _kill_nats(self) -> None:
        await asyncio.to_thread(self.nats.kill)
        await asyncio.sleep(AWAY_S)
        await asyncio.to_thread(self.nats.start)

    async def _kill_dynamodb(self) -> None:
        await asyncio.to_thread(self.dynamodb.kill)
        await asyncio.sleep(AWAY_S)
        await asyncio.to_thread(self.dynamodb.start)

    async def _cut_nats(self) -> None:
        owner = self._owner()
        await _cut(self.to_nats[list(self.fleet.of("gateway")).index(owner)])

    async def _cut_dynamodb(self) -> None:
        await _cut(self.to_dynamodb)

    async def _pause_owner(self) -> None:
        """It hangs until its speakers have gone elsewhere, and goes on as if it were the owner still."""
        owner = self._owner()
        leaving = [speaker for speaker in self.speakers if _is_at(speaker, owner)]
        owner.pause()
        try:
            async with asyncio.timeout(MOVED_WITHIN_S):
                for speaker in leaving:
                    while _is_at(speaker, owner):  # noqa: ASYNC110 - others wait for its events
                        await asyncio.sleep(0.1)
        finally:
            owner.wake()

    def _owner(self) -> Member:
        """The gateway of some speaker; each time another speaker's, if that makes a difference."""
        speaker = self.speakers[len(self.history) // 2 % len(self.speakers)]
        return next(member for member in self.fleet.of("gateway") if _is_at(speaker, member))


def _is_at(speaker: Speaker, member: Member) -> bool:
    return f":{member.port}/" in f"{speaker.url}/"


async def _killed(member: Member) -> None:
    await member.kill()
    await asyncio.sleep(AWAY_S)
    await member.start()


async def _cut(wire: CuttableWire) -> None:
    wire.cut()
    await asyncio.sleep(OUTAGE_S)
    wire.mend()
