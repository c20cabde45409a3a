"""The archive for many gateways: a JetStream stream of its own, in files.

Subjects are `babelcast-text.<session>.<created ms>-<language spoken>.<language>`; the end of a talk stands in
a subject of its own, whose last part is `end-<epoch ms>`. So a list of subjects tells what there is.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self, TypeVar

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from babelcast.archive.base import Contents, Entry, Talk, newest
from babelcast.archive.config import ArchiveConfig
from babelcast.archive.in_process import MAX_SEGMENTS, SILENT_S
from babelcast.bus.config import BusConfig
from babelcast.bus.nats.link import Connection, Link, LinkLost, Refused, cancelled
from babelcast.bus.nats.wire import MESSAGE_ID, Delivery
from babelcast.errors import ServiceUnavailable
from babelcast.telemetry import instruments

STREAM: Final = "BABELCAST_TEXT"
PREFIX: Final = "babelcast-text"
END: Final = "end-"
NO_STREAM: Final = 503

OPEN_S: Final = 30.0
READ_S: Final = 5.0
FLUSH_S: Final = 5.0
AGAIN_S: Final = 0.2
DUPLICATES_S: Final = 120.0
MAX_WAITING: Final = 10_000
"""Messages that wait for the servers to be back."""
SWEEPS: Final = 6
"""How often, in a retention, talks that are over are looked for."""
SWEEP_AT_LEAST_S: Final = 1.0

log = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class _Message:
    subject: str
    id: str
    data: bytes


class NatsArchive:
    """Made by `open`. Policy of what waits: above MAX_WAITING the oldest goes and is counted."""

    def __init__(self, config: BusConfig, limits: ArchiveConfig, *, clock_ms: Callable[[], int]) -> None:
        self._retention_s = limits.retention_s
        self._clock_ms = clock_ms
        self._wanted = stream_config(config, limits)
        self._link = Link(config, prepare=self._prepare, clock=time.monotonic)
        self._waiting: deque[_Message] = deque()
        self._due = asyncio.Event()
        self._flushed = asyncio.Event()
        self._flushed.set()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls,
        config: BusConfig,
        limits: ArchiveConfig,
        *,
        clock_ms: Callable[[], int],
        patience_s: float = OPEN_S,
    ) -> Self:
        """Connect, and see that the stream is there. `clock_ms` gives epoch ms.

        Raises: ConfigError, ServiceUnavailable, InvalidConfiguration.
        """
        config.check()
        archive = cls(config, limits, clock_ms=clock_ms)
        await archive._link.open(patience_s=patience_s)
        archive._tasks = [
            asyncio.create_task(archive._send(), name="archive-outbox"),
            asyncio.create_task(archive._sweep(), name="archive-sweeper"),
        ]
        return archive

    @property
    def retention_s(self) -> float:
        """How long texts stay after the end of their talk."""
        return self._retention_s

    @property
    def connected(self) -> bool:
        """Whether a server is in reach, as far as is known."""
        return self._link.connected

    def append(self, talk: Talk, language: str, entry: Entry) -> None:
        """Let a text be sent."""
        subject = f"{_prefix(talk)}.{language}"
        number = f"{entry.segment}.{entry.epoch}.{entry.revision}"
        self._put(_Message(subject, f"{subject}.{number}", msgspec.json.encode(entry)))

    def end(self, talk: Talk, *, at_ms: int) -> None:
        """Let the end be known. Several gateways may say so: the first counts."""
        subject = f"{_prefix(talk)}.{END}{at_ms}"
        self._put(_Message(subject, subject, b""))

    async def find(self, session_id: str) -> Contents | None:
        """The last talk under a code."""
        subjects = await self._ask(lambda connection: _subjects(connection, f"{PREFIX}.{session_id}.*.*"))
        found = _contents(subjects)
        if not found:
            return None
        last = max(found, key=lambda contents: contents.talk.created_ms)
        if last.ended_ms is not None and self._is_late(last.ended_ms):
            return None
        if not last.languages:  # an end and nothing else
            return None
        last_ms = await self._ask(lambda connection: _last_ms(connection, last))
        return Contents(last.talk, last.languages, last.ended_ms, last_ms)

    async def read(self, talk: Talk, language: str) -> Sequence[Entry]:
        """The newest of each segment."""
        try:
            async with asyncio.timeout(READ_S):
                return newest(await self._ask(lambda connection: _read(connection, talk, language)))
        except TimeoutError as error:
            raise ServiceUnavailable("The archive does not answer.") from error

    async def flushed(self) -> None:
        """Wait until all that was appended is kept."""
        await self._flushed.wait()

    async def aclose(self) -> None:
        """Send what waits, for FLUSH_S at most, and disconnect."""
        if self._tasks:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self.flushed()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await cancelled(task)
        await self._link.aclose()

    def _is_late(self, ended_ms: int) -> bool:
        return self._clock_ms() - ended_ms >= 1000 * self._retention_s

    def _put(self, message: _Message) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            instruments.ARCHIVE_UNSENT.add(1)
        self._waiting.append(message)
        self._flushed.clear()
        self._due.set()

    async def _prepare(self, connection: Connection) -> None:
        await _ensure(connection, self._wanted)

    async def _ask(self, call: Callable[[Connection], Coroutine[object, object, ResultT]]) -> ResultT:
        connection = await self._link.soon()
        try:
            return await connection.ask(call(connection))
        except (LinkLost, nats.errors.Error) as error:
            raise ServiceUnavailable("The archive does not answer.") from error

    async def _send(self) -> None:
        while True:
            while not self._waiting:
                self._flushed.set()
                self._due.clear()
                await self._due.wait()
            message = self._waiting[0]
            if await self._stored(message) and self._waiting and self._waiting[0] is message:
                self._waiting.popleft()

    async def _stored(self, message: _Message) -> bool:
        """Try to send a message; false when it is to be tried again."""
        connection = await self._link.connection()
        try:
            await connection.store(message.subject, message.data, {MESSAGE_ID: message.id})
        except (LinkLost, TimeoutError):
            await asyncio.sleep(AGAIN_S)
            return False
        except Refused as error:
            if error.code != NO_STREAM:
                log.warning("a text is not kept", extra={"why": str(error)})
                instruments.ARCHIVE_UNSENT.add(1)
                return True
            with suppress(LinkLost, nats.errors.Error):
                await connection.ask(_ensure(connection, self._wanted))
            await asyncio.sleep(AGAIN_S)
            return False
        return True

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(max(SWEEP_AT_LEAST_S, self._retention_s / SWEEPS))
            with suppress(ServiceUnavailable):
                await self._sweep_once()

    async def _sweep_once(self) -> None:
        ends = await self._ask(lambda connection: _subjects(connection, f"{PREFIX}.*.*.*"))
        for contents in _contents(ends):
            if contents.ended_ms is not None and self._is_late(contents.ended_ms):
                await self._ask(
                    lambda connection, talk=contents.talk: connection.js.purge_stream(  # type: ignore[misc]
                        STREAM, subject=f"{_prefix(talk)}.*"
                    )
                )


def stream_config(config: BusConfig, limits: ArchiveConfig) -> StreamConfig:
    """The stream as it should be."""
    return StreamConfig(
        name=STREAM,
        subjects=[f"{PREFIX}.*.*.*"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=SILENT_S + limits.retention_s,
        max_msgs_per_subject=MAX_SEGMENTS,
        max_bytes=limits.transcript_max_bytes,
        num_replicas=config.nats_replicas,
        duplicate_window=DUPLICATES_S,
    )


async def _ensure(connection: Connection, wanted: StreamConfig) -> None:
    try:
        info = await connection.js.stream_info(STREAM)
    except nats.js.errors.NotFoundError:
        await connection.js.add_stream(wanted)
        return
    if any(
        getattr(info.config, name) != getattr(wanted, name)
        for name in ("max_age", "max_msgs_per_subject", "max_bytes", "num_replicas")
    ):
        await connection.js.update_stream(wanted)


def _prefix(talk: Talk) -> str:
    return f"{PREFIX}.{talk.session_id}.{talk.created_ms}-{talk.source}"


async def _subjects(connection: Connection, pattern: str) -> list[str]:
    info = await connection.js.stream_info(STREAM, subjects_filter=pattern)
    return list(info.state.subjects or {})


def _contents(subjects: Iterable[str]) -> list[Contents]:
    """What a list of subjects tells, but for when the last text came."""
    languages: dict[Talk, set[str]] = {}
    ends: dict[Talk, int] = {}
    for subject in subjects:
        _, session_id, began, last = subject.split(".")
        created, _, source = began.partition("-")
        talk = Talk(session_id, int(created), source)
        known = languages.setdefault(talk, set())
        if last.startswith(END):
            at_ms = int(last.removeprefix(END))
            ends[talk] = min(at_ms, ends.get(talk, at_ms))
        else:
            known.add(last)
    return [Contents(talk, sorted(known), ends.get(talk), 0) for talk, known in languages.items()]


async def _last_ms(connection: Connection, contents: Contents) -> int:
    """When the last text of the language spoken came: the others follow it."""
    talk = contents.talk
    language = talk.source if talk.source in contents.languages else contents.languages[0]
    try:
        last = await connection.js.get_last_msg(STREAM, f"{_prefix(talk)}.{language}")
    except nats.js.errors.NotFoundError:
        return talk.created_ms
    entry = _entry(last.data or b"")
    return talk.created_ms if entry is None else entry.kept_ms


async def _read(connection: Connection, talk: Talk, language: str) -> list[Entry]:
    client = connection.client
    inbox = client.new_inbox()
    entries: list[Entry] = []
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    count = 0

    async def receive(message: Msg) -> None:
        nonlocal count
        if not message.reply.startswith("$JS.ACK.") or done.done():
            return
        delivery = Delivery.read(message.reply)
        count += 1
        if delivery.count != count:
            done.set_exception(LinkLost())
            return
        entry = _entry(message.data)
        if entry is not None:
            entries.append(entry)
        if not delivery.pending:
            done.set_result(None)

    subscription = await client.subscribe(inbox, cb=receive)
    try:
        made = await connection.js.add_consumer(
            STREAM,
            config=ConsumerConfig(
                filter_subject=f"{_prefix(talk)}.{language}",
                deliver_subject=inbox,
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.NONE,
                max_deliver=1,
                inactive_threshold=2 * READ_S,
                mem_storage=True,
                num_replicas=1,
            ),
        )
        if made.num_pending or count:
            await done
        with suppress(nats.errors.Error):
            await connection.js.delete_consumer(STREAM, made.name)
    finally:
        done.cancel()
        with suppress(nats.errors.Error):
            await subscription.unsubscribe()
    return entries


def _entry(data: bytes) -> Entry | None:
    try:
        return msgspec.json.decode(data, type=Entry)
    except msgspec.DecodeError:
        return None
