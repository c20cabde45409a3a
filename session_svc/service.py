"""SessionService over gRPC: protobuf on one side, the rules on the other."""
# ruff: noqa: N802, D102, ARG002 - the methods are named and described in the .proto

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from babelcast.session.v1 import session_pb2 as pb
from babelcast.session.v1 import session_pb2_grpc
from session_svc.events import Hub
from session_svc.model import (
    Controls,
    EndReason,
    GlossaryTerm,
    QualityTier,
    Role,
    Settings,
    Snapshot,
)
from session_svc.sessions import Sessions
from session_svc.wire import audience_out, broadcast_out, event_out

_TIERS = {
    pb.QUALITY_TIER_STANDARD: QualityTier.STANDARD,
    pb.QUALITY_TIER_PREMIUM: QualityTier.PREMIUM,
}
_TIERS_OUT = {tier: value for value, tier in _TIERS.items()}
_ROLES_OUT = {Role.SPEAKER: pb.ROLE_SPEAKER, Role.LISTENER: pb.ROLE_LISTENER}


class SessionServicer(session_pb2_grpc.SessionServiceServicer):
    """Carries calls to the rules; what they raise is mapped by the server's interceptor."""

    def __init__(self, sessions: Sessions, hub: Hub) -> None:
        self._sessions = sessions
        self._hub = hub

    async def CreateSession(
        self, request: pb.CreateSessionRequest, context: grpc.ServicerContext
    ) -> pb.CreateSessionResponse:
        granted = await self._sessions.create(
            _settings_in(request.settings),
            request_id=request.request_id,
            speaker_id=request.speaker_id,
            connection_id=request.connection_id,
            gateway_id=request.gateway_id,
        )
        return pb.CreateSessionResponse(
            session=self._session_out(granted.snapshot), resume_token=granted.resume_token
        )

    async def JoinSession(
        self, request: pb.JoinSessionRequest, context: grpc.ServicerContext
    ) -> pb.JoinSessionResponse:
        granted = await self._sessions.join(
            request.session_id,
            connection_id=request.connection_id,
            target_language=request.target_language,
            client_address=request.client_address,
            resume_token=request.resume_token,
            gateway_id=request.gateway_id,
        )
        return pb.JoinSessionResponse(
            session=self._session_out(granted.snapshot),
            resume_token=granted.resume_token,
            previous_connection_id=granted.previous_connection_id,
        )

    async def RefreshConnection(
        self, request: pb.RefreshConnectionRequest, context: grpc.ServicerContext
    ) -> pb.RefreshConnectionResponse:
        granted = await self._sessions.refresh(
            request.session_id,
            connection_id=request.connection_id,
            resume_token=request.resume_token,
            gateway_id=request.gateway_id,
        )
        return pb.RefreshConnectionResponse(
            session=self._session_out(granted.snapshot),
            role=_ROLES_OUT[granted.role],
            target_language=granted.target_language,
            resume_token=granted.resume_token,
            previous_connection_id=granted.previous_connection_id,
        )

    async def ChangeLanguage(
        self, request: pb.ChangeLanguageRequest, context: grpc.ServicerContext
    ) -> pb.ChangeLanguageResponse:
        snapshot = await self._sessions.change_language(request.connection_id, request.target_language)
        return pb.ChangeLanguageResponse(session=self._session_out(snapshot))

    async def UpdateBroadcast(
        self, request: pb.UpdateBroadcastRequest, context: grpc.ServicerContext
    ) -> pb.UpdateBroadcastResponse:
        controls = Controls(
            is_paused=request.is_paused if request.HasField("is_paused") else None,
            is_muted=request.is_muted if request.HasField("is_muted") else None,
            volume=request.volume if request.HasField("volume") else None,
        )
        snapshot = await self._sessions.update_broadcast(request.session_id, request.connection_id, controls)
        return pb.UpdateBroadcastResponse(session=self._session_out(snapshot))

    async def GetSession(
        self, request: pb.GetSessionRequest, context: grpc.ServicerContext
    ) -> pb.GetSessionResponse:
        return pb.GetSessionResponse(session=self._session_out(await self._sessions.get(request.session_id)))

    async def EndSession(
        self, request: pb.EndSessionRequest, context: grpc.ServicerContext
    ) -> pb.EndSessionResponse:
        snapshot = await self._sessions.end(request.session_id, request.connection_id, request.reason)
        return pb.EndSessionResponse(session=self._session_out(snapshot))

    async def Disconnect(
        self, request: pb.DisconnectRequest, context: grpc.ServicerContext
    ) -> pb.DisconnectResponse:
        await self._sessions.disconnect(request.connection_id)
        return pb.DisconnectResponse()

    async def RenewLease(
        self, request: pb.RenewLeaseRequest, context: grpc.ServicerContext
    ) -> pb.RenewLeaseResponse:
        held = await self._sessions.renew_lease(request.gateway_id)
        return pb.RenewLeaseResponse(held=held, lease_ms=self._sessions.leases.length_ms)

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: grpc.ServicerContext
    ) -> pb.ListSessionsResponse:
        page = await self._sessions.page(request.page_token, size=request.page_size)
        made = pb.ListSessionsResponse(
            sessions=map(self._session_out, page.snapshots), next_page_token=page.cursor
        )
        for session in made.sessions:
            session.settings.ClearField("glossary")  # a page of them would be too long for an answer
        return made

    async def CloseSession(
        self, request: pb.CloseSessionRequest, context: grpc.ServicerContext
    ) -> pb.CloseSessionResponse:
        snapshot = await self._sessions.close(request.session_id, request.reason)
        return pb.CloseSessionResponse(session=self._session_out(snapshot))

    async def WatchSessions(
        self, request: pb.WatchSessionsRequest, context: grpc.ServicerContext
    ) -> AsyncIterator[pb.WatchSessionsResponse]:
        with self._hub.watch() as watch:
            yield pb.WatchSessionsResponse(opened=pb.WatchOpened())
            async with aclosing(aiter(watch)) as events:
                async for event in events:
                    yield event_out(event)

    def _session_out(self, snapshot: Snapshot) -> pb.Session:
        return session_out(snapshot, speaker_hash=self._sessions.speaker_hash(snapshot.session))


def session_out(snapshot: Snapshot, *, speaker_hash: str) -> pb.Session:
    """A session as it travels."""
    session = snapshot.session
    return pb.Session(
        session_id=session.session_id,
        settings=_settings_out(session.settings),
        broadcast=broadcast_out(session.broadcast, is_active=not session.ended),
        audience=audience_out(snapshot.audience),
        created_at_ms=session.created_at_ms,
        expires_at_ms=session.expires_at_ms,
        speaker_hash=speaker_hash,
        speaker_present=session.end_reason != EndReason.SPEAKER_DISCONNECTED,
        owner_epoch=session.owner_epoch,
    )


def _settings_in(settings: pb.SessionSettings) -> Settings:
    return Settings(
        source_language=settings.source_language,
        quality_tier=_TIERS.get(settings.quality_tier, QualityTier.STANDARD),
        partial_results=settings.partial_results,
        min_stability=settings.min_stability,
        max_buffer_timeout_s=settings.max_buffer_timeout_s,
        glossary=tuple(GlossaryTerm(term.term, dict(term.translations)) for term in settings.glossary),
    )


def _settings_out(settings: Settings) -> pb.SessionSettings:
    return pb.SessionSettings(
        source_language=settings.source_language,
        quality_tier=_TIERS_OUT[settings.quality_tier],
        partial_results=settings.partial_results,
        min_stability=settings.min_stability,
        max_buffer_timeout_s=settings.max_buffer_timeout_s,
        glossary=[
            pb.GlossaryTerm(term=entry.term, translations=entry.translations) for entry in settings.glossary
        ],
    )
