"""What every bus does, whatever carries it. A new adapter adds its rig to RIGS."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import nats
import pytest

from babelcast.bus.base import Bus, NotOwner, SlowSubscriber, Subscription, Topic
from babelcast.bus.config import BusConfig
from babelcast.bus.in_process import QUEUE_CAPACITY, InProcessBus
from babelcast.bus.nats import bus as nats_bus
from babelcast.bus.nats import wire
from babelcast.bus.nats.bus import NatsBus
from babelcast.event.v1.event_pb2 import Broadcast
from tests.nats_server import NatsServer

RETENTION_S = 120.0
BRIEF_S = 2.0
PATIENCE_S = 10.0
SPANISH = Topic("golden-eagle-427", "es")
FRENCH = Topic("golden-eagle-427", "fr")
ELSEWHERE = Topic("quiet-river-815", "es")


class Rig(Protocol):
    """A bus under test and the hands that move its world."""

    bus: Bus
    retention_s: float
    # How far a subscriber may fall behind; None when the adapter sets no limit of its own.
    queue_capacity: int | None

    async def pass_time(self, seconds: float) -> None:
        """Let the bus believe that this much time has passed."""
        ...


@dataclass
class InProcessRig:
    """The in-process bus with a clock in our hands."""

    now_s: float = 1_000.0
    retention_s: float = RETENTION_S
    queue_capacity: int | None = QUEUE_CAPACITY

    def __post_init__(self) -> None:
        self.bus: Bus = InProcessBus(retention_s=RETENTION_S, clock=lambda: self.now_s)

    async def pass_time(self, seconds: float) -> None:
        """Put the clock forward."""
        self.now_s += seconds


@asynccontextmanager
async def in_process(_: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """Nothing to start and nothing to stop."""
    rig = InProcessRig()
    yield rig
    await rig.bus.aclose()


class NatsRig:
    """A bus on a real server, whose clock is in nobody's hands."""

    queue_capacity: int | None = nats_bus.QUEUE_CAPACITY

    def __init__(self, retention_s: float) -> None:
        self.retention_s = retention_s
        self.bus: Bus

    async def pass_time(self, seconds: float) -> None:
        """Let it pass."""
        await asyncio.sleep(seconds)


@asynccontextmanager
async def on_nats(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """A server without a stream, before and after."""
    retention_s = BRIEF_S if "brief_rig" in request.fixturenames else RETENTION_S
    server: NatsServer = request.getfixturevalue("nats_server")
    rig = NatsRig(retention_s)
    rig.bus = await NatsBus.open(BusConfig(bus_url=server.url), retention_s=retention_s, clock=time.monotonic)
    yield rig
    await rig.bus.aclose()
    client = await nats.connect(server.url)
    await client.jetstream().delete_stream(wire.STREAM)
    await client.close()


RIGS = {"in_process": in_process, "nats": on_nats}


@pytest.fixture(params=RIGS)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """Each adapter in turn."""
    async with RIGS[request.param](request) as made:
        yield made


@pytest.fixture
def brief_rig(rig: Rig) -> Rig:
    """A rig that remembers for so short a time that a test can wait for it to forget."""
    return rig


@pytest.fixture
def bus(rig: Rig) -> Bus:
    """The bus of the rig."""
    return rig.bus


def voice(sequence: int, topic: Topic = SPANISH) -> Broadcast:
    """A voice message with a number."""
    broadcast = Broadcast(session_id=topic.session_id, language=topic.language)
    broadcast.audio.sequence = sequence
    broadcast.audio.pcm = bytes(range(256))
    return broadcast


def caption(text: str, topic: Topic = SPANISH) -> Broadcast:
    """A caption, which has no number."""
    broadcast = Broadcast(session_id=topic.session_id, language=topic.language)
    broadcast.caption.text = text
    return broadcast


async def publish(bus: Bus, broadcasts: Sequence[Broadcast], topic: Topic = SPANISH) -> None:
    """Publish one after the other."""
    for broadcast in broadcasts:
        await bus.publish(topic, broadcast)


async def take(subscription: Subscription, count: int) -> list[Broadcast]:
    """The next `count` broadcasts."""
    taken: list[Broadcast] = []
    async with asyncio.timeout(PATIENCE_S):
        async for broadcast in subscription:
            taken.append(broadcast)
            if len(taken) == count:
                break
    return taken


async def drain(subscription: Subscription) -> list[Broadcast]:
    """Everything until the end of the subscription."""
    async with asyncio.timeout(PATIENCE_S):
        return [broadcast async for broadcast in subscription]


class TestDelivery:
    """What subscribers get."""

    async def test_is_in_order_whole_and_once(self, bus: Bus) -> None:
        """A subscriber gets each broadcast once, unchanged, in the order of publishing."""
        subscription = await bus.subscribe(SPANISH)
        sent = [caption("uno"), voice(1), caption("dos"), voice(2), voice(3)]
        await publish(bus, sent)
        assert await take(subscription, len(sent)) == sent
        subscription.close()
        assert await drain(subscription) == []

    async def test_has_no_gaps_while_publisher_and_subscriber_run_together(self, bus: Bus) -> None:
        """Numbers arrive without gaps however the two sides take turns."""
        subscription = await bus.subscribe(SPANISH)
        count = 500

        async def speak() -> None:
            for sequence in range(1, count + 1):
                await bus.publish(SPANISH, voice(sequence))
                if sequence % 7 == 0:
                    await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            heard = group.create_task(take(subscription, count))
            group.create_task(speak())
        assert [broadcast.audio.sequence for broadcast in heard.result()] == list(range(1, count + 1))

    async def test_reaches_every_subscriber_by_itself(self, bus: Bus) -> None:
        """Several subscribers each get everything; one that leaves takes nothing from the others."""
        first, second, third = [await bus.subscribe(SPANISH) for _ in range(3)]
        await publish(bus, [voice(1)])
        assert await take(second, 1) == [voice(1)]
        second.close()
        await publish(bus, [voice(2)])
        assert await take(first, 2) == [voice(1), voice(2)]
        assert await take(third, 2) == [voice(1), voice(2)]
        assert await drain(second) == []

    async def test_starts_with_the_subscription(self, bus: Bus) -> None:
        """A late subscriber gets what is published from then on; the past is in the history."""
        await publish(bus, [voice(1), voice(2)])
        subscription = await bus.subscribe(SPANISH)
        await publish(bus, [voice(3)])
        assert await take(subscription, 1) == [voice(3)]

    async def test_joins_the_history_without_a_gap(self, bus: Bus) -> None:
        """Who subscribes first and reads the history then misses nothing, and tells doubles by number."""
        await publish(bus, [voice(1), voice(2)])
        subscription = await bus.subscribe(SPANISH)
        await publish(bus, [voice(3)])
        missed = await bus.history(SPANISH, after_sequence=1)
        await publish(bus, [voice(4)])
        live = await take(subscription, 2)
        numbers = [broadcast.audio.sequence for broadcast in (*missed, *live)]
        assert numbers == [2, 3, 3, 4]

    async def test_keeps_topics_apart(self, bus: Bus) -> None:
        """Another language or another session is another topic."""
        subscription = await bus.subscribe(SPANISH)
        await publish(bus, [voice(1, FRENCH)], FRENCH)
        await publish(bus, [voice(1, ELSEWHERE)], ELSEWHERE)
        await publish(bus, [voice(9)])
        assert await take(subscription, 1) == [voice(9)]

    async def test_waits_for_the_next(self, bus: Bus) -> None:
        """A subscriber that has everything waits until there is more."""
        subscription = await bus.subscribe(SPANISH)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(take(subscription, 1))
            await asyncio.sleep(0)
            assert not waiting.done()
            await publish(bus, [voice(1)])
        assert waiting.result() == [voice(1)]

    async def test_need_not_be_waited_for(self, bus: Bus) -> None:
        """What has come can be had at once, in its place among what is waited for."""
        subscription = await bus.subscribe(SPANISH)
        assert subscription.next_nowait() is None
        await publish(bus, [voice(number) for number in range(1, 6)])
        taken = await take(subscription, 1)
        async with asyncio.timeout(PATIENCE_S):
            while len(taken) < 5:
                broadcast = subscription.next_nowait()
                if broadcast is None:
                    await asyncio.sleep(0.005)
                else:
                    taken.append(broadcast)
        await publish(bus, [voice(6)])
        assert [*taken, *await take(subscription, 1)] == [voice(number) for number in range(1, 7)]


class TestSlowSubscribers:
    """Nobody waits for those who do not listen."""

    async def test_are_ended_and_told(self, rig: Rig) -> None:
        """One that falls too far behind gets what it had room for, then SlowSubscriber."""
        if rig.queue_capacity is None:
            pytest.skip("this adapter sets no limit of its own")
        slow = await rig.bus.subscribe(SPANISH)
        count = rig.queue_capacity + 1
        await publish(rig.bus, [voice(sequence) for sequence in range(1, count + 1)])
        heard: list[int] = []
        with pytest.raises(SlowSubscriber):
            async for broadcast in slow:
                heard.append(broadcast.audio.sequence)  # noqa: PERF401 - the error must not lose these
        assert heard == list(range(1, count))

    async def test_disturb_nobody_else(self, rig: Rig) -> None:
        """A subscriber that keeps up loses nothing to one that does not."""
        if rig.queue_capacity is None:
            pytest.skip("this adapter sets no limit of its own")
        await rig.bus.subscribe(SPANISH)
        quick = await rig.bus.subscribe(SPANISH)
        count = rig.queue_capacity + 10
        heard: list[int] = []
        for sequence in range(1, count + 1):
            await rig.bus.publish(SPANISH, voice(sequence))
            heard += [broadcast.audio.sequence for broadcast in await take(quick, 1)]
        assert heard == list(range(1, count + 1))

    async def test_find_what_they_missed_in_the_history(self, rig: Rig) -> None:
        """The history goes on where the subscription broke off."""
        if rig.queue_capacity is None:
            pytest.skip("this adapter sets no limit of its own")
        await rig.bus.subscribe(SPANISH)
        count = rig.queue_capacity + 5
        await publish(rig.bus, [voice(sequence) for sequence in range(1, count + 1)])
        missed = await rig.bus.history(SPANISH, after_sequence=rig.queue_capacity)
        assert [broadcast.audio.sequence for broadcast in missed] == list(
            range(rig.queue_capacity + 1, count + 1)
        )


class TestHistory:
    """What those who come back missed."""

    @pytest.mark.parametrize("after", range(6))
    async def test_follows_a_number(self, bus: Bus, after: int) -> None:
        """Everything after the voice message with the given number, in order, once."""
        await publish(bus, [voice(sequence) for sequence in range(1, 6)])
        missed = await bus.history(SPANISH, after_sequence=after)
        assert list(missed) == [voice(sequence) for sequence in range(after + 1, 6)]

    async def test_holds_captions_in_their_places(self, bus: Bus) -> None:
        """What has no number comes between the voices as it was published."""
        sent = [caption("uno"), voice(1), caption("dos"), voice(2), caption("tres")]
        await publish(bus, sent)
        assert list(await bus.history(SPANISH, after_sequence=0)) == sent
        assert list(await bus.history(SPANISH, after_sequence=1)) == sent[2:]
        assert list(await bus.history(SPANISH, after_sequence=2)) == sent[4:]

    async def test_of_an_unknown_topic_is_empty(self, bus: Bus) -> None:
        """Asking about a topic that nobody has spoken on is no error."""
        await bus.subscribe(FRENCH)
        assert list(await bus.history(SPANISH, after_sequence=0)) == []
        assert list(await bus.history(FRENCH, after_sequence=0)) == []

    async def test_of_the_future_is_empty(self, bus: Bus) -> None:
        """A listener that knows more than was said gets nothing."""
        await publish(bus, [voice(1)])
        assert list(await bus.history(SPANISH, after_sequence=99)) == []

    async def test_forgets_with_time(self, brief_rig: Rig) -> None:
        """What is older than the retention is gone, whether or not anything was said since."""
        await publish(brief_rig.bus, [voice(1)])
        await brief_rig.pass_time(0.5 * brief_rig.retention_s)
        await publish(brief_rig.bus, [voice(2)])
        assert list(await brief_rig.bus.history(SPANISH, after_sequence=0)) == [voice(1), voice(2)]
        await brief_rig.pass_time(0.55 * brief_rig.retention_s)
        assert list(await brief_rig.bus.history(SPANISH, after_sequence=0)) == [voice(2)]
        await publish(brief_rig.bus, [voice(3)])
        assert list(await brief_rig.bus.history(SPANISH, after_sequence=0)) == [voice(2), voice(3)]
        await brief_rig.pass_time(1.1 * brief_rig.retention_s)
        assert list(await brief_rig.bus.history(SPANISH, after_sequence=0)) == []


class TestLastSequence:
    """Where an owner that takes over goes on."""

    async def test_is_the_last_voice(self, bus: Bus) -> None:
        """0 before the first, then the number of the last; captions change nothing."""
        assert await bus.last_sequence(SPANISH) == 0
        await publish(bus, [caption("uno")])
        assert await bus.last_sequence(SPANISH) == 0
        await publish(bus, [voice(1), voice(2), caption("dos")])
        assert await bus.last_sequence(SPANISH) == 2
        assert await bus.last_sequence(FRENCH) == 0

    async def test_goes_on_over_a_long_silence_within_the_retention(self, brief_rig: Rig) -> None:
        """A pause of nearly the whole retention loses no count."""
        await publish(brief_rig.bus, [voice(41)])
        await brief_rig.pass_time(0.8 * brief_rig.retention_s)
        assert await brief_rig.bus.last_sequence(SPANISH) == 41

    async def test_goes_on_over_any_silence(self, brief_rig: Rig) -> None:
        """An owner with nothing to say loses neither its number nor its place."""
        await brief_rig.bus.publish(SPANISH, voice(41), epoch=2)
        await brief_rig.pass_time(2.5 * brief_rig.retention_s)
        assert await brief_rig.bus.last_sequence(SPANISH) == 41
        with pytest.raises(NotOwner):
            await brief_rig.bus.claim(SPANISH, epoch=1)
        await brief_rig.bus.publish(SPANISH, voice(42), epoch=2)
        assert list(await brief_rig.bus.history(SPANISH, after_sequence=0)) == [voice(42)]


class TestClaim:
    """Who may publish."""

    async def test_tells_the_last_number(self, bus: Bus) -> None:
        """An owner that takes over learns where to go on."""
        assert await bus.claim(SPANISH, epoch=1) == 0
        await bus.publish(SPANISH, voice(1), epoch=1)
        assert await bus.claim(SPANISH, epoch=2) == 1
        await bus.publish(SPANISH, voice(2), epoch=2)
        assert await bus.last_sequence(SPANISH) == 2

    async def test_fences_off_earlier_owners(self, bus: Bus) -> None:
        """After a claim nothing that an earlier owner says is published, and it can claim no more."""
        subscription = await bus.subscribe(SPANISH)
        await bus.publish(SPANISH, voice(1), epoch=1)
        await bus.claim(SPANISH, epoch=2)
        with pytest.raises(NotOwner):
            await bus.publish(SPANISH, voice(2), epoch=1)
        with pytest.raises(NotOwner):
            await bus.claim(SPANISH, epoch=1)
        await bus.publish(SPANISH, caption("dos"), epoch=2)
        assert await take(subscription, 2) == [voice(1), caption("dos")]

    async def test_comes_with_a_higher_epoch_by_itself(self, bus: Bus) -> None:
        """Publishing as a later owner claims the topic too."""
        await bus.publish(SPANISH, voice(1), epoch=1)
        await bus.publish(SPANISH, voice(2), epoch=2)
        with pytest.raises(NotOwner):
            await bus.publish(SPANISH, voice(3), epoch=1)
        assert list(await bus.history(SPANISH, after_sequence=0)) == [voice(1), voice(2)]

    async def test_is_seen_by_nobody(self, bus: Bus) -> None:
        """Claims change neither what subscribers get nor the history."""
        subscription = await bus.subscribe(SPANISH)
        for epoch in (1, 1, 2):
            await bus.claim(SPANISH, epoch=epoch)
        await bus.publish(SPANISH, voice(1), epoch=2)
        assert await take(subscription, 1) == [voice(1)]
        assert list(await bus.history(SPANISH, after_sequence=0)) == [voice(1)]

    async def test_of_one_topic_leaves_others_alone(self, bus: Bus) -> None:
        """Ownership is per topic."""
        await bus.claim(SPANISH, epoch=2)
        await bus.publish(FRENCH, voice(1, FRENCH), epoch=1)
        assert await bus.last_sequence(FRENCH) == 1


class TestForget:
    """The end of a session."""

    async def test_drops_all_languages_of_the_session(self, bus: Bus) -> None:
        """History, numbers and subscriptions of the session are gone; other sessions stay."""
        spanish = await bus.subscribe(SPANISH)
        elsewhere = await bus.subscribe(ELSEWHERE)
        await publish(bus, [voice(1)])
        await publish(bus, [voice(1, FRENCH)], FRENCH)
        await publish(bus, [voice(5, ELSEWHERE)], ELSEWHERE)
        await bus.forget(SPANISH.session_id)
        assert await drain(spanish) == [voice(1)]
        for topic in (SPANISH, FRENCH):
            assert list(await bus.history(topic, after_sequence=0)) == []
            assert await bus.last_sequence(topic) == 0
        assert await bus.last_sequence(ELSEWHERE) == 5
        assert await take(elsewhere, 1) == [voice(5, ELSEWHERE)]

    async def test_of_an_unknown_session_is_harmless(self, bus: Bus) -> None:
        """Forgetting twice, or what never was, changes nothing."""
        await bus.forget("never-was-100")
        await bus.forget("never-was-100")

    async def test_leaves_the_code_free_for_a_new_session(self, bus: Bus) -> None:
        """The same topic may be used afresh, from number 1."""
        await publish(bus, [voice(7)])
        await bus.forget(SPANISH.session_id)
        subscription = await bus.subscribe(SPANISH)
        await publish(bus, [voice(1)])
        assert await take(subscription, 1) == [voice(1)]
        assert await bus.last_sequence(SPANISH) == 1


class TestClosing:
    """Subscriptions and buses end cleanly."""

    async def test_a_subscription_ends_after_what_it_holds(self, bus: Bus) -> None:
        """What had arrived is still read; closing twice is closing once."""
        subscription = await bus.subscribe(SPANISH)
        await publish(bus, [voice(1)])
        assert await take(subscription, 1) == [voice(1)]
        subscription.close()
        subscription.close()
        assert await drain(subscription) == []

    @pytest.mark.parametrize("end", ["close", "forget", "aclose"])
    async def test_wakes_those_who_wait(self, bus: Bus, end: str) -> None:
        """A subscriber that waits is woken by the end of its subscription, its session or the bus."""
        subscription = await bus.subscribe(SPANISH)
        endings: dict[str, Callable[[], object]] = {
            "close": subscription.close,
            "forget": lambda: bus.forget(SPANISH.session_id),
            "aclose": bus.aclose,
        }
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(drain(subscription))
            await asyncio.sleep(0)
            assert not waiting.done()
            ended = endings[end]()
            if asyncio.iscoroutine(ended):
                await ended
        assert waiting.result() == []

    async def test_a_bus_ends_all_subscriptions(self, bus: Bus) -> None:
        """Every subscriber of every topic comes to its end; closing twice is closing once."""
        subscriptions = [await bus.subscribe(topic) for topic in (SPANISH, SPANISH, FRENCH, ELSEWHERE)]
        await bus.aclose()
        await bus.aclose()
        assert [await drain(subscription) for subscription in subscriptions] == [[], [], [], []]
