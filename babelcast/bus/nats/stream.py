"""The one stream of all topics: made if it is not there, changed if its limits are others now."""

import datetime
from typing import Final

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo

from babelcast.bus.base import Topic
from babelcast.bus.config import BusConfig
from babelcast.bus.nats import wire
from babelcast.bus.ring import most_kept

DUPLICATES_MOST_S: Final = 120.0


def stream_config(config: BusConfig, *, retention_s: float) -> StreamConfig:
    """The stream as it should be."""
    return StreamConfig(
        name=wire.STREAM,
        subjects=[f"{wire.PREFIX}.*.*"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=retention_s,
        max_msgs_per_subject=most_kept(retention_s),
        max_bytes=config.nats_max_bytes,
        num_replicas=config.nats_replicas,
        duplicate_window=min(retention_s, DUPLICATES_MOST_S),
    )


async def ensure(js: JetStreamContext, wanted: StreamConfig) -> datetime.datetime | None:
    """See that the stream is there with its limits. Returns when it was made: another time is another stream,
    whose places begin anew.

    Raises: nats.errors.Error.
    """
    try:
        info = await js.stream_info(wire.STREAM)
    except nats.js.errors.NotFoundError:
        info = await js.add_stream(wanted)
    if not _same(info, wanted):
        info = await js.update_stream(wanted)
    return info.created


def _same(info: StreamInfo, wanted: StreamConfig) -> bool:
    return all(
        getattr(info.config, name) == getattr(wanted, name)
        for name in ("max_age", "max_msgs_per_subject", "max_bytes", "num_replicas", "duplicate_window")
    )


async def tail(js: JetStreamContext, topic: Topic) -> wire.Tail:
    """The last message of a topic, as the stream's leader has it.

    Raises: nats.errors.Error.
    """
    try:
        last = await js.get_last_msg(wire.STREAM, wire.subject(topic))
    except nats.js.errors.NotFoundError:
        return wire.Tail()
    return wire.Tail(last.seq or 0, wire.Mark.read(last.headers))


async def topics_of(js: JetStreamContext, session_id: str) -> list[Topic]:
    """The topics of a session of which something is kept.

    Raises: nats.errors.Error.
    """
    info = await js.stream_info(wire.STREAM, subjects_filter=f"{wire.PREFIX}.{session_id}.*")
    return [wire.topic_of(subject) for subject in info.state.subjects or {}]
