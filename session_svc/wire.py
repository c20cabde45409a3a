"""Changes of sessions as they travel, to gateways and between replicas."""

from babelcast.session.v1 import session_pb2 as pb
from session_svc.events import Ended, Event
from session_svc.model import Audience, Broadcast


def event_out(event: Event) -> pb.WatchSessionsResponse:
    """An event for watchers; its revision is not in it."""
    made = pb.WatchSessionsResponse(session_id=event.session_id)
    match event.change:
        case Audience() as audience:
            made.audience.CopyFrom(audience_out(audience))
        case Broadcast() as broadcast:
            made.broadcast.CopyFrom(broadcast_out(broadcast, is_active=True))
        case Ended(reason=reason):
            made.ended.reason = reason
    return made


def event_in(message: pb.WatchSessionsResponse, *, revision: int) -> Event | None:
    """The event in a message; None for what a later version of this program may say."""
    code = message.session_id
    match message.WhichOneof("change"):
        case "audience":
            return Event(code, Audience(dict(message.audience.languages)), revision)
        case "broadcast":
            said = message.broadcast
            broadcast = Broadcast(
                last_change_ms=said.last_change_ms,
                is_paused=said.is_paused,
                is_muted=said.is_muted,
                volume=said.volume,
            )
            return Event(code, broadcast, revision)
        case "ended":
            return Event(code, Ended(message.ended.reason), revision)
        case _:
            return None


def audience_out(audience: Audience) -> pb.Audience:
    """Who listens."""
    return pb.Audience(listener_count=audience.listener_count, languages=audience.languages)


def broadcast_out(broadcast: Broadcast, *, is_active: bool) -> pb.BroadcastState:
    """The speaker's controls."""
    return pb.BroadcastState(
        is_active=is_active,
        is_paused=broadcast.is_paused,
        is_muted=broadcast.is_muted,
        volume=broadcast.volume,
        last_change_ms=broadcast.last_change_ms,
    )
