"""From the bus to the seats: each once, in order, whatever the bus does."""

import asyncio
import json
import random
from collections.abc import Sequence
from typing import cast

import pytest

from babelcast.bus.base import Subscription, Topic
from babelcast.bus.in_process import InProcessBus
from babelcast.errors import ServiceUnavailable
from babelcast.event.v1 import event_pb2 as event
from babelcast.protocol import server_messages as say
from gateway import rounds
from gateway.fanout import Demand, Hub
from gateway.outlet import Outlet, Parcel
from gateway.rounds import Encodings, Seat

TOPIC = Topic("golden-eagle-427", "es")


class Frames:
    """An outlet that keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[dict[str, object]] = []
        self.writes = 0
        self.arrived = asyncio.Event()

    def send(self, message: say.ServerMessage) -> None:
        self.messages.append({"type": message.__struct_config__.tag})

    def write_parcel(self, parcel: Parcel) -> None:
        self.writes += 1
        for piece in parcel.pieces:
            self.write(piece.frame)

    def write(self, frame: bytes) -> None:
        self.messages.append(json.loads(frame[frame.index(b'{"') :]))
        self.arrived.set()

    @property
    def numbers(self) -> list[object]:
        """The sequence numbers that came."""
        return [message["sequenceNumber"] for message in self.messages if "sequenceNumber" in message]

    async def until(self, number: int) -> None:
        """Wait for a voice message."""
        async with asyncio.timeout(5):
            while number not in self.numbers:
                self.arrived.clear()
                await self.arrived.wait()


def seat(**wishes: str) -> tuple[Seat, Frames]:
    """A seat and what it gets."""
    frames = Frames()
    return Seat(cast("Outlet", frames), **wishes), frames  # type: ignore[arg-type]


def voice(sequence: int) -> event.Broadcast:
    """A voice message."""
    return event.Broadcast(language="es", audio=event.TranslatedAudio(sequence=sequence, pcm=b"\0\0"))


def caption(segment: int) -> event.Broadcast:
    """A final caption."""
    return event.Broadcast(language="es", caption=event.Caption(segment=segment, is_final=True))


def greet(last: int) -> say.ServerMessage:
    """The answer to joining."""
    return say.SessionEnded(session_id=TOPIC.session_id, reason=str(last))


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def hub_on(bus: InProcessBus, clock: Clock | None = None) -> Hub:
    """A hub with a window of 60 s."""
    return Hub(bus, clock_ms=lambda: 1_000, clock=clock or Clock(), resume_window_s=60)


def bus() -> InProcessBus:
    """A bus whose clock stands still."""
    return InProcessBus(retention_s=60, clock=lambda: 0.0)


async def test_a_seat_gets_what_is_published_from_then_on() -> None:
    """Greeting first; what came before is not for it."""
    channel = bus()
    hub = hub_on(channel)
    await channel.publish(TOPIC, voice(1))
    listener, frames = seat()
    await hub.attach(TOPIC, listener, greet=greet)
    await channel.publish(TOPIC, voice(2))
    await frames.until(2)
    assert frames.numbers == [2]
    assert frames.messages[0]["type"] == "sessionEnded"
    assert hub.last_sequence(TOPIC) == 2
    await hub.detach(TOPIC, listener)
    assert hub.last_sequence(TOPIC) == 0
    await hub.detach(TOPIC, listener)


async def test_a_relay_that_fell_behind_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It subscribes again, and no voice message is lost or doubled."""
    monkeypatch.setattr("babelcast.bus.in_process.QUEUE_CAPACITY", 5)
    channel = bus()
    hub = hub_on(channel)
    listener, frames = seat()
    await hub.attach(TOPIC, listener, greet=greet)
    for number in range(1, 21):  # without a turn for the relay
        await channel.publish(TOPIC, voice(number))
    await frames.until(20)
    await channel.publish(TOPIC, voice(21))
    await frames.until(21)
    assert frames.numbers == list(range(1, 22))
    await hub.aclose()


class BrokenBus(InProcessBus):
    """A bus that cannot be subscribed to, or be read, the first times."""

    def __init__(self) -> None:
        super().__init__(retention_s=60, clock=lambda: 0.0)
        self.refuse = 0
        self.publish_before_history: list[event.Broadcast] = []
        self.publish_during_history: list[event.Broadcast] = []

    async def subscribe(self, topic: Topic) -> Subscription:
        if self.refuse:
            self.refuse -= 1
            raise ServiceUnavailable("No bus.")
        return await super().subscribe(topic)

    async def history(self, topic: Topic, *, after_sequence: int) -> Sequence[event.Broadcast]:
        while self.publish_before_history:
            await self.publish(topic, self.publish_before_history.pop(0))
        kept = await super().history(topic, after_sequence=after_sequence)
        while self.publish_during_history:
            await self.publish(topic, self.publish_during_history.pop(0))
            for _ in range(5):
                await asyncio.sleep(0)
        return kept


async def test_a_bus_that_is_away_refuses_and_leaves_nothing() -> None:
    """Everybody who waits is told, and the next one finds a working relay."""
    channel = BrokenBus()
    hub = hub_on(channel)
    channel.refuse = 1
    waiting = [hub.attach(TOPIC, seat()[0], greet=greet) for _ in range(3)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, ServiceUnavailable) for result in results)
    assert hub._relays == {}
    listener, frames = seat()
    await hub.attach(TOPIC, listener, greet=greet)
    await channel.publish(TOPIC, voice(1))
    await frames.until(1)
    await hub.aclose()


async def test_a_subscription_that_is_lost_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came meanwhile is read from the history."""
    monkeypatch.setattr("gateway.backoff.FIRST_S", 0.001)
    monkeypatch.setattr("babelcast.bus.in_process.QUEUE_CAPACITY", 2)
    channel = BrokenBus()
    hub = hub_on(channel)
    listener, frames = seat()
    await hub.attach(TOPIC, listener, greet=greet)
    channel.refuse = 3
    for number in range(1, 8):
        await channel.publish(TOPIC, voice(number))
    await frames.until(7)
    assert frames.numbers == list(range(1, 8))
    await hub.aclose()


async def test_what_is_in_the_history_and_the_subscription_comes_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a restart of the relay both hold what was published in between."""
    monkeypatch.setattr("babelcast.bus.in_process.QUEUE_CAPACITY", 2)
    channel = BrokenBus()
    hub = hub_on(channel)
    listener, frames = seat()
    await hub.attach(TOPIC, listener, greet=greet)
    for number in range(1, 6):
        await channel.publish(TOPIC, voice(number))
    channel.publish_before_history = [voice(6), voice(7)]
    await frames.until(7)
    await channel.publish(TOPIC, voice(8))
    await frames.until(8)
    assert frames.numbers == list(range(1, 9))
    await hub.aclose()


async def test_what_is_published_while_the_history_is_read_is_not_lost() -> None:
    """A listener who resumes gets it once, though it was in neither."""
    channel = BrokenBus()
    hub = hub_on(channel)
    first, _ = seat()
    await hub.attach(TOPIC, first, greet=greet)
    for number in (1, 2):
        await channel.publish(TOPIC, voice(number))
    await hub.catch_up()
    channel.publish_during_history = [caption(3), voice(3), voice(4)]
    back, frames = seat()
    await hub.attach(TOPIC, back, greet=greet, after_sequence=1)
    await channel.publish(TOPIC, voice(5))
    await frames.until(5)
    assert frames.numbers == [2, 3, 4, 5]
    await hub.aclose()


async def test_an_attach_that_is_cancelled_leaves_nothing() -> None:
    """A connection that goes while it waits takes its relay along."""
    hub = hub_on(bus())
    joining = asyncio.create_task(hub.attach(TOPIC, seat()[0], greet=greet))
    await asyncio.sleep(0)
    joining.cancel()
    await asyncio.wait([joining])
    assert hub._relays == {}


async def test_a_join_and_a_leave_at_once() -> None:
    """The last one to leave does not take the relay from one who is just coming."""
    channel = BrokenBus()
    hub = hub_on(channel)
    old, _ = seat()
    new, frames = seat()
    await hub.attach(TOPIC, old, greet=greet)
    channel.publish_during_history = [caption(0)]
    joining = asyncio.create_task(hub.attach(TOPIC, new, greet=greet, after_sequence=0))
    await asyncio.sleep(0)
    assert not joining.done()
    await hub.detach(TOPIC, old)
    await joining
    await channel.publish(TOPIC, voice(1))
    await frames.until(1)
    await hub.aclose()


async def test_turns_are_given_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large audience is written to in portions; who comes meanwhile gets nothing twice."""
    monkeypatch.setattr(rounds, "WRITES_PER_TURN", 2)
    channel = bus()
    hub = hub_on(channel)
    seats = [seat() for _ in range(9)]
    for listener, _ in seats:
        await hub.attach(TOPIC, listener, greet=greet)
    await channel.publish(TOPIC, voice(1))
    await seats[0][1].until(1)
    late, late_frames = seat()
    await hub.attach(TOPIC, late, greet=greet, after_sequence=0)
    await hub.tell(TOPIC.session_id, greet(0))
    await channel.publish(TOPIC, voice(2))
    for frames in (*(frames for _, frames in seats), late_frames):
        await frames.until(2)
        assert frames.numbers == [1, 2]
    await hub.aclose()


async def test_what_comes_meanwhile_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one write for those whose turn is still to come, and afterwards for the others."""
    monkeypatch.setattr(rounds, "WRITES_PER_TURN", 2)
    channel = bus()
    hub = hub_on(channel)
    seats = [seat() for _ in range(20)]
    texts_only, texts = seat(audio="none")
    for listener in (*(listener for listener, _ in seats), texts_only):
        await hub.attach(TOPIC, listener, greet=greet)
    await channel.publish(TOPIC, caption(1))
    await asyncio.wait_for(seats[0][1].arrived.wait(), 5)
    for number in (1, 2):
        await channel.publish(TOPIC, voice(number))
    for _, frames in seats:
        await frames.until(2)
        assert [message["type"] for message in frames.messages[1:]] == ["caption", *2 * ["translatedAudio"]]
    writes = [frames.writes for _, frames in seats]
    assert writes == sorted(writes, reverse=True)
    assert (writes[0], writes[-1]) == (2, 1)
    assert (texts.writes, texts.numbers) == (1, [])
    await hub.aclose()


async def test_only_so_much_goes_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client's socket does not take of it could not be dropped any more."""
    monkeypatch.setattr(rounds, "TOGETHER_BYTES", 3 * voice(1).ByteSize())
    channel = bus()
    hub = hub_on(channel)
    listener, frames = seat()
    await hub.attach(TOPIC, listener, greet=greet)
    for number in range(1, 10):
        await channel.publish(TOPIC, voice(number))
    await frames.until(9)
    assert (frames.numbers, frames.writes) == (list(range(1, 10)), 3)
    await hub.aclose()


@pytest.mark.parametrize("seed", range(40))
async def test_each_seat_gets_all_of_its_time(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes, resumes and leaves whenever, however fast it is spoken: every number once."""
    monkeypatch.setattr(rounds, "WRITES_PER_TURN", 2)
    monkeypatch.setattr(rounds, "TOGETHER_BYTES", 40)
    chance = random.Random(seed)
    channel = bus()
    hub = hub_on(channel)
    number = 0
    here: list[tuple[Seat, Frames]] = []
    all_of_them: list[tuple[Frames, int]] = []
    stays, hears_all = seat()
    await hub.attach(TOPIC, stays, greet=greet)
    for _ in range(150):
        what = chance.random()
        if what < 0.5:
            number += 1
            await channel.publish(TOPIC, voice(number))
        elif what < 0.7:
            listener, frames = seat(captions=chance.choice(["partial", "final"]))
            after = chance.randint(0, hub.last_sequence(TOPIC))
            await hub.attach(TOPIC, listener, greet=greet, after_sequence=after)
            here.append((listener, frames))
            all_of_them.append((frames, after))
        elif what < 0.8 and here:
            await hub.detach(TOPIC, here.pop(chance.randrange(len(here)))[0])
        for _ in range(chance.randint(0, 4)):
            await asyncio.sleep(0)
    await channel.publish(TOPIC, voice(number + 1))
    for frames in (hears_all, *(frames for _, frames in here)):
        await frames.until(number + 1)
    assert hears_all.numbers == list(range(1, number + 2))
    for frames, after in all_of_them:
        assert frames.numbers == list(range(after + 1, after + 1 + len(frames.numbers)))
    await hub.aclose()


async def test_who_leaves_in_the_middle_gets_no_more_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being written is not for those who have left, nor for those who come back meanwhile."""
    monkeypatch.setattr(rounds, "WRITES_PER_TURN", 2)
    channel = bus()
    hub = hub_on(channel)
    seats = [seat() for _ in range(6)]
    for listener, _ in seats:
        await hub.attach(TOPIC, listener, greet=greet)
    await channel.publish(TOPIC, voice(1))
    await seats[0][1].until(1)
    leaves, comes_back = seats[4], seats[5]
    await hub.detach(TOPIC, leaves[0])
    await hub.detach(TOPIC, comes_back[0])
    await hub.attach(TOPIC, comes_back[0], greet=greet)
    await seats[3][1].until(1)
    await channel.publish(TOPIC, voice(2))
    await comes_back[1].until(2)
    assert (leaves[1].numbers, comes_back[1].numbers) == ([], [2])
    assert hub._relays[TOPIC]._gone == set()
    await hub.aclose()


async def test_nothing_is_kept_of_those_who_leave() -> None:
    """While nothing is said, a relay does not collect who comes and goes."""
    hub = hub_on(bus())
    stays, _ = seat()
    await hub.attach(TOPIC, stays, greet=greet)
    passing, _ = seat()
    await hub.attach(TOPIC, passing, greet=greet)
    await hub.detach(TOPIC, passing)
    assert hub._relays[TOPIC]._gone == set()
    await hub.aclose()


async def test_who_stops_playing_gets_text_alone() -> None:
    """From the next message on, and sound again from the next after that."""
    channel = bus()
    hub = hub_on(channel)
    listener, frames = seat()
    other, all_of_it = seat()
    for one in (listener, other):
        await hub.attach(TOPIC, one, greet=greet)
    for number, playing in ((1, True), (2, False), (3, True)):
        hub.set_playing(TOPIC, listener, playing=playing)
        await channel.publish(TOPIC, caption(number))
        await channel.publish(TOPIC, voice(number))
        await all_of_it.until(number)
    await frames.until(3)
    assert frames.numbers == [1, 3]
    assert [m["segmentId"] for m in frames.messages if m.get("type") == "caption"] == ["1", "2", "3"]
    hub.set_playing(Topic("other-talk-123", "es"), other, playing=True)
    await hub.aclose()


async def test_a_checkpoint_is_for_no_listener() -> None:
    """It is for the next owner alone."""
    channel = bus()
    hub = hub_on(channel)
    listener, frames = seat()
    await hub.attach(TOPIC, listener, greet=greet)
    await channel.publish(TOPIC, event.Broadcast(language="es", checkpoint=event.Checkpoint(next_segment=1)))
    await channel.publish(TOPIC, voice(1))
    await frames.until(1)
    assert [m["type"] for m in frames.messages] == ["sessionEnded", "translatedAudio"]
    await hub.aclose()


async def test_demand_is_what_the_seats_want() -> None:
    """Voice when anybody wants sound, Opus when anybody wants that, nothing without anybody."""
    hub = hub_on(bus())
    assert hub.demand(TOPIC) == Demand(voice=False, opus=False)
    silent, pcm, opus = (seat(audio=audio)[0] for audio in ("none", "pcm", "opus"))
    for listener, expected in (
        (silent, Demand(voice=False, opus=False)),
        (pcm, Demand(voice=True, opus=False)),
        (opus, Demand(voice=True, opus=True)),
    ):
        await hub.attach(TOPIC, listener, greet=greet)
        assert hub.demand(TOPIC) == expected
    await hub.aclose()


async def test_listeners_elsewhere_are_made_everything() -> None:
    """What those on other gateways want is not known; of those here it is."""
    hub = hub_on(bus())
    assert hub.demand(TOPIC, listeners=1) == Demand(voice=True, opus=True)
    silent, _ = seat(audio="none")
    await hub.attach(TOPIC, silent, greet=greet)
    assert hub.demand(TOPIC, listeners=1) == Demand(voice=False, opus=False)
    assert hub.demand(TOPIC, listeners=2) == Demand(voice=True, opus=True)
    await hub.aclose()


async def test_who_dropped_is_awaited_for_a_while() -> None:
    """Until the window is over, it comes back, or the session ends; who leaves in order is not."""
    clock = Clock()
    hub = hub_on(bus(), clock)

    async def comes_and_goes(*, drops: bool, after: int | None = None) -> None:
        listener, _ = seat(audio="opus")
        await hub.attach(TOPIC, listener, greet=greet, after_sequence=after)
        await hub.detach(TOPIC, listener, may_come_back=drops)

    await comes_and_goes(drops=False)
    assert hub.awaited(TOPIC.session_id) == set()
    await comes_and_goes(drops=True)
    assert hub.awaited(TOPIC.session_id) == {"es"}
    assert hub.awaited("other-talk-123") == set()
    assert hub.demand(TOPIC) == Demand(voice=True, opus=True)
    clock.now_s = 61
    assert hub.awaited(TOPIC.session_id) == set()
    assert hub.demand(TOPIC) == Demand(voice=False, opus=False)
    await comes_and_goes(drops=True)
    await comes_and_goes(drops=False, after=0)
    assert hub.awaited(TOPIC.session_id) == set()
    await comes_and_goes(drops=True)
    hub.forget(TOPIC.session_id)
    assert hub.awaited(TOPIC.session_id) == set()


async def test_a_frame_is_made_once_a_kind_of_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many seats, each encoding is made when the first needs it."""
    made: list[tuple[str, str]] = []
    encode = rounds.encode

    def counted(broadcast: event.Broadcast, audio: str, delivery: str, *, now_ms: int) -> bytes:
        made.append((audio, delivery))
        return encode(broadcast, audio, delivery, now_ms=now_ms)

    monkeypatch.setattr(rounds, "encode", counted)
    encodings = Encodings(voice(1), 0)
    seats = [seat()[0] for _ in range(5)] + [seat(delivery="binary")[0] for _ in range(5)]
    pieces = [encodings.piece_for(listener) for listener in seats]
    assert made == [("pcm", "json"), ("pcm", "binary")]
    assert len({piece for piece in pieces if piece}) == 2
    assert encodings.piece_for(seat(audio="none")[0]) is None


async def test_who_did_not_come_back_is_forgotten_where_nobody_asks() -> None:
    """A gateway without speakers keeps no more than those who left within the window."""
    clock = Clock()
    hub = hub_on(InProcessBus(retention_s=120, clock=clock), clock)
    for number in range(10):
        topic = Topic(f"golden-eagle-{100 + number}", "es")
        listener, _ = seat()
        await hub.attach(topic, listener, greet=greet)
        await hub.detach(topic, listener, may_come_back=True)
        clock.now_s += 1000
    assert len(hub._absent) == 1
    await hub.aclose()
