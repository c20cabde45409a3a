"""What operators ask of a running system: which sessions are on, how one stands, and that one ends.

An operator is whoever's token names the configured group. No answer holds a token, an address, or more of a
speaker's identity than a hash.
"""

from msgspec import UNSET

from babelcast.auth.verifier import Speaker as Identity
from babelcast.protocol import client_messages as ask
from babelcast.protocol import server_messages as say
from babelcast.session.v1 import session_pb2 as api
from gateway import messages
from gateway.desk import Desk


def is_operator(identity: Identity, group: str) -> bool:
    """Whether a token is an operator's; without a group nobody's is."""
    return bool(group) and group in identity.groups


async def answer(
    desk: Desk, message: ask.ListSessions | ask.ShowSession | ask.CloseSession
) -> say.ServerMessage:
    """Do what an operator's message asks.

    Raises: BabelcastError.
    """
    request_id = message.request_id or UNSET
    match message:
        case ask.ListSessions():
            page = await desk.sessions.page(message.page_token, size=message.page_size)
            return say.SessionList(
                sessions=[_view(session) for session in page.sessions],
                next_page_token=page.next_page_token or UNSET,
                request_id=request_id,
                timestamp=desk.clock_ms(),
            )
        case ask.ShowSession():
            session = await desk.sessions.get(message.session_id)
            return say.SessionShown(
                session=_view(session),
                partial_results_enabled=session.settings.partial_results,
                min_stability_threshold=session.settings.min_stability,
                max_buffer_timeout=session.settings.max_buffer_timeout_s,
                glossary_terms=len(session.settings.glossary),
                request_id=request_id,
                timestamp=desk.clock_ms(),
            )
        case ask.CloseSession():
            session = await desk.sessions.close(message.session_id, reason=message.reason)
            return say.SessionClosed(
                session_id=session.session_id,
                reason=message.reason,
                listener_count=session.audience.listener_count,
                request_id=request_id,
                timestamp=desk.clock_ms(),
            )


def _view(session: api.Session) -> say.SessionView:
    return say.SessionView(
        session_id=session.session_id,
        source_language=session.settings.source_language,
        quality_tier=messages.quality_tier(session.settings.quality_tier),
        created_at=session.created_at_ms,
        expires_at=session.expires_at_ms,
        listener_count=session.audience.listener_count,
        language_distribution=dict(session.audience.languages),
        broadcast_state=messages.broadcast_state(session.broadcast),
        speaker_hash=session.speaker_hash,
        speaker_present=session.speaker_present,
    )
