"""What the bus on NATS does when servers die, wires are cut and owners change, with real servers."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import nats
import pytest
from nats.aio.msg import Msg

from babelcast.bus.base import NotOwner, Subscription, Topic
from babelcast.bus.config import BusConfig
from babelcast.bus.nats import consumer, wire
from babelcast.bus.nats.bus import NatsBus
from babelcast.bus.nats.consumer import OrderedConsumer
from babelcast.bus.nats.link import UNAVAILABLE_AFTER_S, Connection
from babelcast.errors import MessageTooLarge, ServiceUnavailable
from babelcast.event.v1.event_pb2 import Broadcast
from tests.nats_server import NatsServer, free_port, require_nats
from tests.wire_cut import CuttableWire

TOPIC = Topic("golden-eagle-427", "es")
PATIENCE_S = 30.0


class Clock:
    """The monotonic clock, and what a test adds."""

    def __init__(self) -> None:
        self.added_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.added_s


@asynccontextmanager
async def on(
    url: str,
    *,
    retention_s: float = 120.0,
    clock: Callable[[], float] = time.monotonic,
    replicas: Literal[1, 3] = 1,
) -> AsyncIterator[NatsBus]:
    """A gateway's bus."""
    config = BusConfig(bus_url=url, nats_replicas=replicas)
    bus = await NatsBus.open(config, retention_s=retention_s, clock=clock)
    try:
        yield bus
    finally:
        await bus.aclose()


def voice(sequence: int) -> Broadcast:
    """A voice message with a number."""
    broadcast = Broadcast(session_id=TOPIC.session_id, language=TOPIC.language)
    broadcast.audio.sequence = sequence
    return broadcast


def caption(text: str, *, final: bool = True) -> Broadcast:
    """A caption, which has no number."""
    broadcast = Broadcast(session_id=TOPIC.session_id, language=TOPIC.language)
    broadcast.caption.text = text
    broadcast.caption.is_final = final
    return broadcast


async def take(subscription: Subscription, count: int) -> list[Broadcast]:
    """The next `count` broadcasts."""
    taken: list[Broadcast] = []
    async with asyncio.timeout(PATIENCE_S):
        async for broadcast in subscription:
            taken.append(broadcast)
            if len(taken) == count:
                break
    return taken


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something on the other side of a wire is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)


async def away(bus: NatsBus) -> None:
    """Wait until the bus has noticed that its server is gone."""

    async def noticed() -> bool:
        return not bus.connected

    await eventually(noticed)


async def stored(url: str) -> list[int]:
    """The numbers of the voices in the stream, as another gateway reads them."""
    async with on(url) as reader:
        return [
            broadcast.audio.sequence
            for broadcast in await reader.history(TOPIC, after_sequence=0)
            if broadcast.HasField("audio")
        ]


class TestOutages:
    """A bus that is away delays; it loses nothing and doubles nothing."""

    async def test_a_killed_server_that_comes_back_delays(self, mortal_nats: NatsServer) -> None:
        """What is published while the server is dead arrives when it is back, in order, each once."""
        async with on(mortal_nats.url) as speaking, on(mortal_nats.url) as listening:
            subscription = await listening.subscribe(TOPIC)
            for sequence in range(1, 6):
                await speaking.publish(TOPIC, voice(sequence))
            mortal_nats.kill()
            await away(speaking)
            for sequence in range(6, 31):
                await speaking.publish(TOPIC, voice(sequence))
            mortal_nats.start()
            heard = await take(subscription, 30)
            assert [broadcast.audio.sequence for broadcast in heard] == list(range(1, 31))
            await speaking.publish(TOPIC, voice(31))
            assert await take(subscription, 1) == [voice(31)]
        assert await stored(mortal_nats.url) == list(range(1, 32))

    async def test_survives_kills_in_the_middle_of_it(self, mortal_nats: NatsServer) -> None:
        """However often the server is killed while it is spoken and listened to, every number comes once."""
        count = 600
        async with on(mortal_nats.url) as speaking, on(mortal_nats.url) as listening:
            subscription = await listening.subscribe(TOPIC)
            half = asyncio.Event()

            async def speak() -> None:
                for sequence in range(1, count + 1):
                    await speaking.publish(TOPIC, voice(sequence))
                    if sequence % 200 == 50:
                        half.set()

            async with asyncio.TaskGroup() as group:
                group.create_task(speak())
                heard = group.create_task(take(subscription, count))
                for _ in range(2):
                    await half.wait()
                    half.clear()
                    await asyncio.to_thread(mortal_nats.kill)
                    await asyncio.to_thread(mortal_nats.start)
            assert [broadcast.audio.sequence for broadcast in heard.result()] == list(range(1, count + 1))

    @pytest.mark.parametrize("side", ["publisher", "subscriber"])
    async def test_a_cut_wire_delays(self, nats_server: NatsServer, fresh_stream: None, side: str) -> None:
        """A cut on either side of the server loses nothing."""
        async with CuttableWire.to(nats_server.port) as way:
            urls = {"publisher": nats_server.url, "subscriber": nats_server.url, side: way.url}
            async with on(urls["publisher"]) as speaking, on(urls["subscriber"]) as listening:
                subscription = await listening.subscribe(TOPIC)
                await speaking.publish(TOPIC, voice(1))
                assert await take(subscription, 1) == [voice(1)]
                way.cut()
                await away(speaking if side == "publisher" else listening)
                for sequence in range(2, 8):
                    await speaking.publish(TOPIC, voice(sequence))
                await speaking.publish(TOPIC, caption("tres"))
                way.mend()
                heard = await take(subscription, 7)
                assert heard == [*(voice(sequence) for sequence in range(2, 8)), caption("tres")]

    async def test_a_lost_answer_doubles_nothing(self, nats_server: NatsServer, fresh_stream: None) -> None:
        """A message whose acknowledgement never came is sent again, and stored once."""
        async with (
            CuttableWire.to(nats_server.port) as way,
            on(way.url) as speaking,
            on(nats_server.url) as listening,
        ):
            subscription = await listening.subscribe(TOPIC)
            await speaking.publish(TOPIC, voice(1))
            way.mute()  # the server hears us, we do not hear the server
            await speaking.publish(TOPIC, voice(2))
            assert await take(subscription, 2) == [voice(1), voice(2)]
            await speaking.publish(TOPIC, voice(3))
            way.cut()
            way.mend()
            assert await take(subscription, 1) == [voice(3)]
            await speaking.publish(TOPIC, voice(4))
            assert await take(subscription, 1) == [voice(4)]
        assert await stored(nats_server.url) == [1, 2, 3, 4]

    async def test_a_silent_wire_holds_up_nobody(self, nats_server: NatsServer, fresh_stream: None) -> None:
        """Publishing into a wire that says nothing returns, while what is said waits."""
        async with CuttableWire.to(nats_server.port) as way, on(way.url) as speaking:
            await speaking.publish(TOPIC, voice(1))
            way.mute()
            began_s = time.monotonic()
            for sequence in range(2, 40):
                await speaking.publish(TOPIC, voice(sequence))
            assert time.monotonic() - began_s < 5
            way.cut()
            way.mend()

            async def all_there() -> bool:
                with contextlib.suppress(ServiceUnavailable):
                    return await speaking.last_sequence(TOPIC) == 39
                return False

            await eventually(all_there)
        assert await stored(nats_server.url) == list(range(1, 40))

    async def test_only_the_newest_passing_text_waits(self, mortal_nats: NatsServer) -> None:
        """Of an open sentence's captions only the last is published after an outage; what is final all is."""
        async with on(mortal_nats.url) as speaking, on(mortal_nats.url) as listening:
            subscription = await listening.subscribe(TOPIC)
            await speaking.publish(TOPIC, caption("uno"))
            mortal_nats.kill()
            await away(speaking)
            await speaking.publish(TOPIC, voice(1))
            for text in ("d", "do", "dos"):
                await speaking.publish(TOPIC, caption(text, final=False))
            await speaking.publish(TOPIC, caption("dos", final=True))
            await speaking.publish(TOPIC, voice(2))
            mortal_nats.start()
            heard = await take(subscription, 4)
            assert heard == [caption("uno"), voice(1), caption("dos"), voice(2)]

    async def test_what_is_older_than_the_history_is_given_up(self, mortal_nats: NatsServer) -> None:
        """After an outage that was longer than the retention only what came within it is published."""
        clock = Clock()
        async with on(mortal_nats.url, clock=clock) as speaking, on(mortal_nats.url) as listening:
            subscription = await listening.subscribe(TOPIC)
            await speaking.publish(TOPIC, voice(1))
            mortal_nats.kill()
            await away(speaking)
            await speaking.publish(TOPIC, voice(2))
            clock.added_s += 121
            await speaking.publish(TOPIC, voice(3))
            mortal_nats.start()
            heard = await take(subscription, 2)
            assert [broadcast.audio.sequence for broadcast in heard] == [1, 3]

    async def test_a_server_that_lost_its_store_is_used_anew(
        self, mortal_nats: NatsServer, tmp_path: Path
    ) -> None:
        """An empty server gets the stream again; publishers and subscribers go on."""
        async with on(mortal_nats.url) as speaking, on(mortal_nats.url) as listening:
            subscription = await listening.subscribe(TOPIC)
            for sequence in range(1, 6):
                await speaking.publish(TOPIC, voice(sequence))
            assert len(await take(subscription, 5)) == 5
            mortal_nats.kill()
            await away(speaking)
            shutil.rmtree(tmp_path / "store")
            await speaking.publish(TOPIC, voice(6))
            mortal_nats.start()
            assert await take(subscription, 1) == [voice(6)]

    async def test_closing_waits_for_what_waits(self, mortal_nats: NatsServer) -> None:
        """A gateway that stops during an outage publishes what it has if the server is back in time."""
        bus = await NatsBus.open(BusConfig(bus_url=mortal_nats.url), retention_s=120, clock=time.monotonic)
        await bus.publish(TOPIC, voice(1))
        mortal_nats.kill()
        await away(bus)
        await bus.publish(TOPIC, voice(2))
        closing = asyncio.create_task(bus.aclose())
        await asyncio.sleep(0)
        assert not closing.done()
        mortal_nats.start()
        await closing
        assert await stored(mortal_nats.url) == [1, 2]

    async def test_is_told_after_a_while(self, mortal_nats: NatsServer) -> None:
        """A bus is available through a short outage, not in a long one, and again when it is over."""
        clock = Clock()
        async with on(mortal_nats.url, clock=clock) as bus:
            assert bus.available
            mortal_nats.kill()
            await away(bus)
            assert bus.available
            clock.added_s += UNAVAILABLE_AFTER_S
            assert not bus.available
            mortal_nats.start()

            async def back() -> bool:
                return bus.available

            await eventually(back)


class TestFollowing:
    """A consumer that breaks is replaced, and the topic goes on where it was."""

    @pytest.fixture
    def brisk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Heartbeats that a test can wait for."""
        monkeypatch.setattr(consumer, "HEARTBEAT_S", 0.2)
        monkeypatch.setattr(consumer, "SILENCE_S", 0.5)

    @pytest.mark.parametrize("lost", [3, 6])
    async def test_a_gap_is_filled(
        self,
        nats_server: NatsServer,
        fresh_stream: None,
        brisk: None,
        monkeypatch: pytest.MonkeyPatch,
        lost: int,
    ) -> None:
        """A lost message is noticed by the next one, or by a heartbeat when it is the last."""
        receive = OrderedConsumer._receive
        dropped: list[int] = []

        async def lossy(self: OrderedConsumer, connection: Connection, message: Msg) -> None:
            if message.data and not dropped and Broadcast.FromString(message.data).audio.sequence == lost:
                dropped.append(lost)
                return
            await receive(self, connection, message)

        monkeypatch.setattr(OrderedConsumer, "_receive", lossy)
        async with on(nats_server.url) as bus:
            subscription = await bus.subscribe(TOPIC)
            for sequence in range(1, 7):
                await bus.publish(TOPIC, voice(sequence))
            heard = await take(subscription, 6)
            assert [broadcast.audio.sequence for broadcast in heard] == list(range(1, 7))
            assert dropped == [lost]

    async def test_a_consumer_that_falls_silent_is_replaced(
        self, nats_server: NatsServer, fresh_stream: None, brisk: None
    ) -> None:
        """A server that forgets a consumer is noticed by the heartbeats that stay away."""
        async with on(nats_server.url) as bus:
            subscription = await bus.subscribe(TOPIC)
            await bus.publish(TOPIC, voice(1))
            assert await take(subscription, 1) == [voice(1)]
            client = await nats.connect(nats_server.url)
            js = client.jetstream()
            (only,) = await js.consumers_info(wire.STREAM)
            await js.delete_consumer(wire.STREAM, only.name)
            await client.close()
            await bus.publish(TOPIC, voice(2))
            assert await take(subscription, 1) == [voice(2)]

    async def test_a_long_history_comes_whole(self, nats_server: NatsServer, fresh_stream: None) -> None:
        """Megabytes come under flow control, and in order."""
        async with on(nats_server.url) as speaking, on(nats_server.url) as late:
            for sequence in range(1, 121):
                spoken = voice(sequence)
                spoken.audio.pcm = bytes(200_000)
                await speaking.publish(TOPIC, spoken)
            whole = await late.history(TOPIC, after_sequence=0)
            assert [broadcast.audio.sequence for broadcast in whole] == list(range(1, 121))
            await late.subscribe(TOPIC)
            missed = await late.history(TOPIC, after_sequence=100)
            assert [broadcast.audio.sequence for broadcast in missed] == list(range(101, 121))


class TestOwners:
    """Two gateways that both think that they speak for a session."""

    async def test_the_later_claim_wins(self, nats_server: NatsServer, fresh_stream: None) -> None:
        """Of two with the same epoch the one that claims last publishes, the other gets NotOwner for good."""
        async with on(nats_server.url) as first, on(nats_server.url) as second:
            await first.publish(TOPIC, voice(1))
            assert await second.claim(TOPIC) == 1
            with pytest.raises(NotOwner):
                await first.publish(TOPIC, voice(2))
            await second.publish(TOPIC, voice(2))
            with pytest.raises(NotOwner):
                await first.publish(TOPIC, voice(3))
            assert await first.claim(TOPIC) == 2  # its speaker came back
            await first.publish(TOPIC, voice(3))
            with pytest.raises(NotOwner):
                await second.publish(TOPIC, voice(3))
        assert await stored(nats_server.url) == [1, 2, 3]

    async def test_one_that_wakes_up_publishes_nothing(
        self, nats_server: NatsServer, fresh_stream: None
    ) -> None:
        """What an owner had under way when it was cut off is refused once another one has taken over."""
        async with (
            CuttableWire.to(nats_server.port) as way,
            on(way.url) as sleeper,
            on(nats_server.url) as successor,
        ):
            await sleeper.publish(TOPIC, voice(1), epoch=1)
            way.cut()
            await away(sleeper)
            await sleeper.publish(TOPIC, voice(2), epoch=1)
            await sleeper.publish(TOPIC, voice(3), epoch=1)
            assert await successor.claim(TOPIC, epoch=2) == 1
            await successor.publish(TOPIC, voice(2), epoch=2)
            way.mend()

            async def refused() -> bool:
                try:
                    await sleeper.publish(TOPIC, caption("late"), epoch=1)
                except NotOwner:
                    return True
                return False

            await eventually(refused)
            await successor.publish(TOPIC, voice(3), epoch=2)
            assert len(await successor.history(TOPIC, after_sequence=0)) == 3
        assert await stored(nats_server.url) == [1, 2, 3]

    async def test_fighting_makes_no_doubles(self, nats_server: NatsServer, fresh_stream: None) -> None:
        """Two that claim by turns, as fast as they can, together publish each number once."""
        async with on(nats_server.url) as first, on(nats_server.url) as second:

            async def fight(bus: NatsBus) -> None:
                published = 0
                while published < 40:
                    number = await bus.claim(TOPIC)
                    with contextlib.suppress(NotOwner):
                        for sequence in range(number + 1, number + 4):
                            await bus.publish(TOPIC, voice(sequence))
                            published += 1

            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(fight(first), fight(second))
        numbers = await stored(nats_server.url)
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= 80

    async def test_a_restarted_publisher_goes_on(self, nats_server: NatsServer, fresh_stream: None) -> None:
        """A new process goes on from the last number of the old one."""
        async with on(nats_server.url) as before:
            await before.publish(TOPIC, voice(7))
            await before.publish(TOPIC, caption("siete"))
        async with on(nats_server.url) as after:
            assert await after.last_sequence(TOPIC) == 7
            assert await after.claim(TOPIC) == 7
            await after.publish(TOPIC, voice(8))
        assert await stored(nats_server.url) == [7, 8]


class TestGateways:
    """Several gateways on one server."""

    async def test_share_a_consumer_by_topic(self, nats_server: NatsServer, fresh_stream: None) -> None:
        """All subscriptions of a gateway to a topic cost the server one consumer."""
        async with on(nats_server.url, retention_s=2.0) as bus:
            subscriptions = [await bus.subscribe(TOPIC) for _ in range(3)]
            client = await nats.connect(nats_server.url)
            js = client.jetstream()
            assert (await js.stream_info(wire.STREAM)).state.consumer_count == 1
            for subscription in subscriptions:
                subscription.close()
            again = await bus.subscribe(TOPIC)
            await bus.publish(TOPIC, voice(1))
            assert await take(again, 1) == [voice(1)]
            await client.close()

    async def test_read_what_was_before_them(self, nats_server: NatsServer, fresh_stream: None) -> None:
        """A gateway that follows a topic late has the whole history, once, without what it heard itself."""
        async with on(nats_server.url) as speaking, on(nats_server.url) as late:
            for sequence in range(1, 4):
                await speaking.publish(TOPIC, voice(sequence))
            subscription = await late.subscribe(TOPIC)
            await speaking.publish(TOPIC, voice(4))
            assert await take(subscription, 1) == [voice(4)]
            for after in (0, 2, 3):
                missed = await late.history(TOPIC, after_sequence=after)
                assert list(missed) == [voice(sequence) for sequence in range(after + 1, 5)]

    async def test_hear_of_the_end(self, nats_server: NatsServer, fresh_stream: None) -> None:
        """When the owner ends a session, subscriptions on other gateways end after what was said."""
        async with on(nats_server.url) as owner, on(nats_server.url) as other:
            subscription = await other.subscribe(TOPIC)
            await owner.publish(TOPIC, voice(1), epoch=3)
            await owner.forget(TOPIC.session_id)
            async with asyncio.timeout(PATIENCE_S):
                assert [broadcast async for broadcast in subscription] == [voice(1)]
            assert await other.last_sequence(TOPIC) == 0
            assert list(await other.history(TOPIC, after_sequence=0)) == []
            assert await other.claim(TOPIC, epoch=1) == 0

    async def test_carry_the_trace(self, nats_server: NatsServer, fresh_stream: None) -> None:
        """The trace context stands in a header, as others expect it."""
        traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        async with on(nats_server.url) as bus:
            broadcast = voice(1)
            broadcast.traceparent = traceparent
            await bus.publish(TOPIC, broadcast)
            client = await nats.connect(nats_server.url)
            last = await client.jetstream().get_last_msg(wire.STREAM, wire.subject(TOPIC))
            await client.close()
            assert last.headers is not None
            assert last.headers["traceparent"] == traceparent

    async def test_refuse_what_no_server_takes(self, nats_server: NatsServer, fresh_stream: None) -> None:
        """A message above the server's limit is refused here, and the connection lives on."""
        async with on(nats_server.url) as bus:
            huge = voice(1)
            huge.audio.pcm = bytes(9 * 1024 * 1024)
            with pytest.raises(MessageTooLarge):
                await bus.publish(TOPIC, huge)
            await bus.publish(TOPIC, voice(1))

    async def test_answer_in_time_without_a_server(
        self, mortal_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What needs an answer fails with ServiceUnavailable when there is no server."""
        monkeypatch.setattr("babelcast.bus.nats.link.REQUEST_S", 0.05)
        monkeypatch.setattr("babelcast.bus.nats.bus.REQUEST_S", 0.05)
        async with on(mortal_nats.url) as bus:
            mortal_nats.kill()
            await away(bus)
            for ask in (
                lambda: bus.subscribe(TOPIC),
                lambda: bus.history(TOPIC, after_sequence=0),
                lambda: bus.last_sequence(TOPIC),
                lambda: bus.claim(TOPIC),
                lambda: bus.forget(TOPIC.session_id),
            ):
                with pytest.raises(ServiceUnavailable):
                    await ask()


class TestClusters:
    """Three servers that keep everything three times."""

    @pytest.fixture
    def cluster(self, tmp_path: Path) -> Iterator[list[NatsServer]]:
        """Three servers that know each other."""
        require_nats()
        ports = [free_port() for _ in range(3)]
        routes = ",".join(f"nats://127.0.0.1:{port}" for port in ports)
        servers = [
            NatsServer(
                tmp_path / f"store-{index}",
                *("--name", f"nats-{index}", "--cluster_name", "bus", "--routes", routes),
                *("--cluster", f"nats://127.0.0.1:{port}"),
            )
            for index, port in enumerate(ports)
        ]
        for server in servers:
            server.start()
        yield servers
        for server in servers:
            server.stop()

    async def test_go_on_when_a_server_is_killed(self, cluster: list[NatsServer]) -> None:
        """One is killed in the middle of it and comes back; every number comes once, in order."""
        urls = ",".join(server.url for server in cluster)
        heard: list[int] = []
        silent = asyncio.Event()

        async def speak() -> None:
            sequence = 0
            while not silent.is_set():
                sequence += 1
                await speaking.publish(TOPIC, voice(sequence))
                await asyncio.sleep(0.02)
            await hear(sequence)
            subscription.close()

        async def hear(count: int) -> None:
            async def far_enough() -> bool:
                return len(heard) >= count

            try:
                await eventually(far_enough)
            except TimeoutError:
                pytest.fail(f"{count} should have come, but {len(heard)} came")

        async def disturb() -> None:
            await hear(len(heard) + 50)
            await asyncio.to_thread(cluster[0].kill)
            await hear(len(heard) + 50)
            await asyncio.to_thread(cluster[0].start)
            await hear(len(heard) + 50)
            silent.set()

        async with on(urls, replicas=3) as speaking, on(urls, replicas=3) as listening:
            subscription = await listening.subscribe(TOPIC)
            async with asyncio.timeout(3 * PATIENCE_S), asyncio.TaskGroup() as group:
                group.create_task(speak())
                group.create_task(disturb())
                async for broadcast in subscription:
                    heard.append(broadcast.audio.sequence)  # noqa: PERF401 - it is looked at meanwhile
        assert heard == list(range(1, len(heard) + 1))
        assert len(heard) >= 150


async def test_a_talk_that_ends_while_the_servers_are_away(mortal_nats: NatsServer) -> None:
    """What waits is published when they are back, then the end; and its owner keeps nothing of it."""
    async with on(mortal_nats.url, retention_s=6) as owner, on(mortal_nats.url, retention_s=6) as other:
        await owner.publish(TOPIC, voice(1))
        mortal_nats.kill()
        await away(owner)
        await owner.publish(TOPIC, voice(2))
        with pytest.raises(ServiceUnavailable):
            await owner.forget(TOPIC.session_id)
        mortal_nats.start()

        async def ended() -> bool:
            return not owner._outboxes

        await eventually(ended)
        assert await other.last_sequence(TOPIC) == 0
        assert await other.history(TOPIC, after_sequence=0) == []


async def test_a_talk_that_went_elsewhere(mortal_nats: NatsServer) -> None:
    """Its former owner keeps nothing of it once nothing is left from that time."""
    clock = Clock()
    async with on(mortal_nats.url, retention_s=3, clock=clock) as former, on(mortal_nats.url) as owner:
        await former.publish(TOPIC, voice(1), epoch=1)
        await owner.claim(TOPIC, epoch=2)
        with pytest.raises(NotOwner):
            await former.publish(TOPIC, voice(2), epoch=1)
        clock.added_s = 4.0

        async def forgotten() -> bool:
            return not former._outboxes

        await eventually(forgotten)
