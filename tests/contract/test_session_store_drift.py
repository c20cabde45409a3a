"""No session store's counters ever drift from its rows, wherever it is ended."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from session_svc.model import Audience, Life
from session_svc.store.base import CodeTaken, Refused, SessionStore, SpeakerBusy, StoreUnavailable
from session_svc.store.dynamodb.tables import TableNames
from tests.contract.mortal_stores import Crash, Fuse, Mortal, MortalFile, MortalTables
from tests.contract.session_places import (
    HOUR,
    NOW,
    empty_tables,
    handover,
    leave,
    listener,
    session,
    speaker,
)

DYNAMODB_EXAMPLES = 12
CONNECTIONS = 6
CAP = 3
TALKS = 6
STREAMS = 2

Step = tuple[str, int, str, int]

OF_SPEAKERS = ["talk", "talk", "talk", "drop", "return", "finish"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["join", "join", "leave", "language", "resume", "end", "sweep", "forget", *OF_SPEAKERS]
        ),
        st.integers(0, CONNECTIONS - 1),
        st.sampled_from(["es", "fr"]),
        st.integers(0, 1),
    ),
    min_size=12,
    max_size=30,
)


FUSES = st.lists(st.integers(0, 120), max_size=3)


@dataclass(frozen=True)
class Game:
    """Two sessions and six connections, and the talks of two speakers who may have two each at once.

    All are named so that no other game has them.
    """

    name: str

    def code(self, number: int) -> str:
        """A session."""
        return f"{self.name}-{number}"

    def connection(self, number: int) -> str:
        """A listener."""
        return f"{self.name}-c{number % CONNECTIONS}"

    def talk(self, number: int) -> str:
        """One of the sessions that speakers make, and the first connection of its speaker."""
        return f"{self.name}-t{number}"

    def speaker(self, number: int) -> str:
        """Whose talk that is."""
        return f"{self.name}-s{number % 2}"

    async def begin(self, store: SessionStore) -> None:
        """Make the sessions."""
        for number in (0, 1):
            code = self.code(number)
            await store.create(session(code, code), speaker(code, code), now_ms=NOW)

    async def make(self, store: SessionStore, number: int) -> None:
        """A speaker makes a session."""
        code = self.talk(number)
        made = replace(session(code, code), speaker_id=self.speaker(number))
        await store.create(made, speaker(code, code), at_most=STREAMS, now_ms=NOW)

    async def step(self, store: SessionStore, step: Step) -> None:
        """Try something; it may be refused, and the store may end in the midst of it."""
        with suppress(Refused, CodeTaken, SpeakerBusy, StoreUnavailable, Crash):
            await self._step(store, step)

    async def _step(self, store: SessionStore, step: Step) -> None:
        action, number, language, which = step
        connection, code = self.connection(number), self.code(which)
        match action:
            case "join":
                await store.join(listener(connection, language, code), capacity=CAP, now_ms=NOW)
            case "leave":
                await leave(store, connection)
            case "language":
                await store.change_language(connection, language, now_ms=NOW)
            case "talk":
                await self.make(store, number)
            case "drop":
                await leave(store, self.talk(number))
            case "finish":
                await store.end(self.talk(number), None, "bye", now_ms=NOW)
            case "return":
                here, there = self.talk(number), f"{self.talk(number)}'"
                seat = await store.seat(here if which else there)
                if seat is not None:
                    passing = handover(seat, there if which else here, seat.token_hash)
                    await store.hand_over(passing, now_ms=NOW)
            case "end" if number < 2:
                await store.end(code, code, "bye", now_ms=NOW)
            case "sweep" if number < 3:
                await store.sweep(now_ms=NOW + HOUR, forget_before_ms=0)
            case "forget" if number < 3:
                await store.sweep(now_ms=NOW, forget_before_ms=NOW + 1)
            case "resume":
                seat = await store.seat(connection)
                if seat is not None:
                    passing = handover(seat, self.connection(number + 1), seat.token_hash, capacity=CAP)
                    if which:
                        passing = replace(passing, seat=replace(passing.seat, target_language=language))
                    await store.hand_over(passing, now_ms=NOW)

    async def check(self, store: SessionStore) -> None:
        """Counters are the rows, within the cap; who has no session counts nowhere."""
        seats = [await store.seat(self.connection(number)) for number in range(CONNECTIONS)]
        for number in (0, 1):
            code = self.code(number)
            there = [seat for seat in seats if seat is not None and seat.session_id == code]
            found = await store.find(code)
            if found is None:
                assert not there
                continue
            held = Counter(seat.target_language for seat in there if seat.present)
            assert found.audience == Audience(dict(held))
            assert found.audience.listener_count <= CAP
        for which in (0, 1):
            assert await self.talks(store, which) <= STREAMS

    async def talks(self, store: SessionStore, which: int) -> int:
        """How many sessions a speaker has that are on."""
        talks = [await store.find(self.talk(number)) for number in range(which, 2 * TALKS, 2)]
        return sum(talk is not None and talk.session.life(NOW) is Life.LIVE for talk in talks)

    async def fill(self, store: SessionStore) -> None:
        """In the end each speaker gets just what is left of his places."""
        for which in (0, 1):
            for number in range(TALKS + which, 2 * TALKS, 2):
                with suppress(SpeakerBusy):
                    await self.make(store, number)
            assert await self.talks(store, which) == STREAMS

    async def play(self, place: Mortal, steps: Sequence[Step], fuses: Sequence[int], batch: int) -> None:
        """Take the steps, some at once; when the store's fuse blows, look, and go on with another store."""
        lives = [Fuse(steps) for steps in fuses]
        observer = await place.open(Fuse(1_000_000))
        await self.begin(observer)
        fuse = lives.pop() if lives else Fuse(1_000_000)
        store = await place.open(fuse)
        for start in range(0, len(steps), batch):
            await asyncio.gather(*(self.step(store, step) for step in steps[start : start + batch]))
            if fuse.steps < 0:
                await store.aclose()  # as its end would, this lets go of the file
            await self.check(observer)
            if fuse.steps < 0:
                fuse = lives.pop() if lives else Fuse(1_000_000)
                store = await place.open(fuse)
        await store.aclose()
        await self.fill(observer)
        await observer.aclose()


@given(steps=STEPS, fuses=FUSES, batch=st.integers(1, 8))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counters_never_drift(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step], fuses: list[int], batch: int
) -> None:
    """However steps interleave, and wherever a process ends, the counters are the rows (SQLite)."""
    place = MortalFile(tmp_path_factory.mktemp("store"))
    asyncio.run(Game("talk").play(place, steps, fuses, batch))


def test_counters_never_drift_in_dynamodb(dynamodb: TableNames) -> None:
    """However steps interleave, and wherever a process ends, the counters are the rows (DynamoDB)."""
    numbers = count()

    @given(steps=STEPS, fuses=FUSES, batch=st.integers(1, 8))
    @settings(max_examples=DYNAMODB_EXAMPLES, phases=[Phase.generate])  # making one small takes minutes
    def play(steps: list[Step], fuses: list[int], batch: int) -> None:
        runner.run(Game(f"talk{next(numbers)}").play(MortalTables(place), steps, fuses, batch))

    with asyncio.Runner() as runner:
        opened = empty_tables(dynamodb)
        place = runner.run(opened.__aenter__())
        play()
        runner.run(opened.__aexit__(None, None, None))
