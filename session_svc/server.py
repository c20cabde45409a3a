"""The session service as it runs: store, rules, timers and gRPC server, started and stopped as one."""

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass
from typing import Self

from babelcast.bus.config import BusConfig
from babelcast.clock import wall_clock_ms
from babelcast.rpc.credentials import Protection
from babelcast.rpc.server import GrpcServer
from babelcast.session.v1 import session_pb2, session_pb2_grpc
from session_svc import ids
from session_svc.config import SessionConfig, StoreKind, policy
from session_svc.events import Hub
from session_svc.publishing import PublishingStore
from session_svc.service import SessionServicer
from session_svc.sessions import Chance, NowMs, Sessions
from session_svc.sharing import Sharing
from session_svc.store.base import SessionStore
from session_svc.store.measured import MeasuredStore
from session_svc.store.opening import open_store
from session_svc.sweeper import Sweeper, waker

SERVICE = session_pb2.DESCRIPTOR.services_by_name["SessionService"].full_name

log = logging.getLogger(__name__)


@dataclass(slots=True)
class SessionServer:
    """A running session service. `port` is where it listens."""

    port: int
    _config: SessionConfig
    _store: SessionStore
    _hub: Hub
    _sharing: Sharing | None
    _grpc: GrpcServer
    _sweeper: Sweeper

    @classmethod
    async def start(
        cls,
        config: SessionConfig,
        *,
        bus: BusConfig | None = None,
        protection: Protection | None = None,
        connections_lost: bool = False,
        now_ms: NowMs = wall_clock_ms,
    ) -> Self:
        """Open the store and serve.

        `connections_lost` says that no gateway outlived the last stop, as when all parts run in one process:
        then every connection in the file counts as gone, speakers' grace periods start, and seats wait to be
        resumed.

        `bus` is where replicas tell each other their changes; without servers this is the only one.

        `protection` says who may call.

        Raises: ServiceUnavailable when the store cannot be opened or the address is taken; ConfigError and
        InvalidConfiguration when the bus cannot be used, ConfigError also when anybody could call.
        """
        store = await open_store(config)
        # Others may share the tables, so the connections in them are not all ours.
        ours = config.session_store is StoreKind.SQLITE
        hub = Hub()
        sharing: Sharing | None = None
        try:
            if bus is not None and bus.servers:
                sharing = await Sharing.open(bus, hub, clock=time.monotonic)
            return await cls._start(
                config,
                store,
                hub,
                sharing,
                protection=protection,
                connections_lost=connections_lost and ours,
                now_ms=now_ms,
            )
        except BaseException:
            if sharing is not None:
                await sharing.aclose()
            await store.aclose()
            raise

    @classmethod
    async def _start(
        cls,
        config: SessionConfig,
        opened: SessionStore,
        hub: Hub,
        sharing: Sharing | None,
        *,
        protection: Protection | None,
        connections_lost: bool,
        now_ms: NowMs,
    ) -> Self:
        store = PublishingStore(MeasuredStore(opened), hub if sharing is None else sharing)
        server = GrpcServer(
            config.session_bind,
            services=[SERVICE],
            reflection_enabled=config.grpc_reflection,
            protection=protection,
        )
        due = asyncio.Event()
        sessions = Sessions(
            store,
            policy(config),
            words=ids.load_words(),
            now_ms=now_ms,
            chance=Chance(
                secrets.randbelow,
                secrets.token_bytes,
                address_key=config.rate_limit_address_key.encode() or secrets.token_bytes(32),
            ),
            deadline_moved=waker(due, now_ms=now_ms),
        )
        if connections_lost:
            await sessions.disconnect_all()
        session_pb2_grpc.add_SessionServiceServicer_to_server(SessionServicer(sessions, hub), server.server)
        port = await server.start()
        sweeper = Sweeper(sessions, due, now_ms=now_ms, tell_health=server.set_serving)
        await sweeper.start()
        log.info("session service ready", extra={"port": port})
        return cls(port, config, store, hub, sharing, server, sweeper)

    async def wait(self) -> None:
        """Wait until the server has stopped.

        Raises: whatever ended its timers, which never end by themselves.
        """
        stopped = asyncio.create_task(self._grpc.wait(), name="session server")
        failed = asyncio.create_task(self._sweeper.wait(), name="session sweeper's end")
        try:
            await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
        finally:
            stopped.cancel()
            failed.cancel()

    async def aclose(self) -> None:
        """Drain: end the watches, let calls finish, stop the timers, close the store; idempotent."""
        await self._sweeper.aclose()
        self._hub.close()
        await self._grpc.stop(grace_s=self._config.drain_seconds)
        await self._store.aclose()
        if self._sharing is not None:
            await self._sharing.aclose()
        log.info("session service stopped")
