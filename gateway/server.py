"""The gateway: one port for HTTP and WebSocket, its connections, and their orderly end."""

import asyncio
import contextlib
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self, cast
from urllib.parse import parse_qsl, urlsplit
from weakref import WeakKeyDictionary

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from babelcast import prices
from babelcast.archive.base import Archive
from babelcast.archive.config import ArchiveConfig
from babelcast.archive.opening import in_process
from babelcast.auth.config import Trust
from babelcast.auth.local_issuer import JWKS_PATH, LocalIssuer, local_trust
from babelcast.auth.verifier import Speaker as Identity
from babelcast.auth.verifier import open_verifier
from babelcast.bus.base import Bus
from babelcast.clock import wall_clock_ms
from babelcast.errors import BabelcastError, ServiceUnavailable
from babelcast.rpc.client import open_channel
from babelcast.rpc.credentials import Calling
from babelcast.telemetry.instruments import CONNECTIONS, ROLE, SESSIONS
from gateway import measuring
from gateway.address import client_address, client_scheme, limited_as, networks, reachable
from gateway.capacity import most_connections
from gateway.config import GatewayConfig
from gateway.connection import Connection, Visit
from gateway.departure import Departure, Schedule, unless_hurried
from gateway.desk import Desk, Languages
from gateway.fanout import Hub
from gateway.front import Front, Lobby
from gateway.garbage import Garbage
from gateway.guessing import Guesses
from gateway.http import Answer, bearer, headers
from gateway.lease import keep_lease
from gateway.limits import KeyedBuckets
from gateway.live import LiveStreams
from gateway.permissions import Role
from gateway.rooms import Rooms
from gateway.sessions import IDEMPOTENT, SERVICE, Sessions
from gateway.streams import Stations
from gateway.tls import HANDSHAKE_S, ServerTls, server_tls
from gateway.web.app import application
from gateway.web.live import LivePages
from gateway.web.origins import AllowedOrigins
from gateway.web.serving import PageServer
from gateway.web.site import Site
from gateway.web.transcripts import Transcripts

WEBSOCKET_PATHS = ("/", "/ws", "/prod")
# Frames up to this are answered with an error; above it the connection is closed with 1009.
MAX_FRAME_BYTES = 2 * 1024 * 1024
MAX_WAITING_FRAMES = 32
# Connections that the kernel keeps until they are accepted: a hall may come while the loop is busy.
BACKLOG = 1024
# How long a client may take to close its side; one whose wire is cut takes all of it, after its last ping.
CLOSE_S = 5.0
TICK_S = 1.0
# All the rest of stopping, once clients and sentences have had their time.
CLOSE_ALL_S = 20.0
# When a client that is refused may try another gateway.
ELSEWHERE_S = 1.0
DRAINING = "the gateway is draining"
_ROLES = {Role.SPEAKER: "speaker", Role.LISTENER: "listener", Role.NONE: "none"}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Issuers:
    """Whose tokens are good: a configured issuer's, or the local one's, whose keys this gateway serves."""

    local: LocalIssuer | None = None
    configured: Trust | None = None

    def trust(self, base: str) -> Trust:
        """What good tokens look like; local keys are fetched from this gateway, which is at `base`, like any
        other's.

        Raises: ServiceUnavailable when there is no issuer.
        """
        if self.configured is not None:
            return self.configured
        if self.local is None:
            raise ServiceUnavailable("No token issuer is configured.")
        return local_trust(f"{base}{JWKS_PATH}")


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Other gateways that serve the same sessions."""

    on_bus: bool = False
    """There may be some: clients of one that stops can move."""
    on_port: bool = False
    """Some are on this machine and on this very port, where the kernel spreads newcomers over all (Linux'
    SO_REUSEPORT).
    """


class Gateway:
    """A running gateway. Made by `start`; ended by `aclose`, which drains it."""

    def __init__(self, desk: Desk, *, issuer: LocalIssuer | None, port: int, neighbours: Neighbours) -> None:
        self.port = port
        self._neighbours = neighbours
        self._desk = desk
        self._most_connections = most_connections(desk.config)
        self._lobby = Lobby(full=self._is_full)
        self._live = LiveStreams(desk)
        self._pages = PageServer(
            application(
                Site(
                    config=desk.config,
                    issuer=issuer,
                    languages=desk.languages,
                    ready=lambda: self.ready,
                    clock=desk.clock,
                    more=[*Transcripts(desk).routes(), *LivePages(desk, self._live).routes()],
                )
            )
        )
        self._connections: set[Connection] = set()
        self._garbage = Garbage()
        self._visits: WeakKeyDictionary[ServerConnection, Visit] = WeakKeyDictionary()
        self._draining = False
        self._refusing = False
        self._hurried = asyncio.Event()
        self._server: Server | None = None
        self._deaf = False
        per_minute = desk.config.rate_limit_connection_attempts_per_min
        self._attempts = KeyedBuckets(rate=per_minute / 60, burst=per_minute)
        self._trusted = networks(desk.config.trusted_proxies)
        self._origins = AllowedOrigins.of(desk.config.allowed_origins, public_url=desk.config.public_url)
        self._resources = contextlib.AsyncExitStack()

    @property
    def ready(self) -> bool:
        """Whether new connections are taken and served. A gateway that has long had no bus keeps those it
        has, whose listeners miss nothing when it is back, but sends others elsewhere.
        """
        return not self._draining and not self._deaf and self._desk.bus.available

    @classmethod
    async def start(
        cls,
        config: GatewayConfig,
        *,
        bus: Bus,
        archive: Archive | None = None,
        issuers: Issuers,
        neighbours: Neighbours | None = None,
        calling: Calling | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Listen and serve; alone if it has no neighbours, and with texts in memory if no archive is given.
        `calling` is how it calls the services.

        Raises: ServiceUnavailable when the address is taken or there is no issuer.
        """
        async with contextlib.AsyncExitStack() as stack:
            neighbours = neighbours or Neighbours()
            tls = server_tls(config)
            listening = _listen(config.host, config.port, shared=neighbours.on_port)
            stack.callback(listening.close)
            host, port = listening.getsockname()[:2]
            sessions_channel = open_channel(
                config.session_target, service=SERVICE, idempotent=IDEMPOTENT, calling=calling
            )
            transcription_channel = open_channel(config.transcription_target, calling=calling)
            translation_channel = open_channel(config.translation_target, calling=calling)
            for channel in (sessions_channel, transcription_channel, translation_channel):
                stack.push_async_callback(channel.close)
            own = issuers.trust(f"{config.scheme}://{reachable(host)}:{port}")
            verifier = await stack.enter_async_context(open_verifier(own, own=issuers.configured is None))
            sessions = Sessions(sessions_channel)
            stations = Stations(transcription_channel, translation_channel)
            hub = Hub(
                bus,
                clock_ms=wall_clock_ms,
                clock=clock,
                resume_window_s=config.resume_window_seconds,
            )
            stack.push_async_callback(hub.aclose)
            archive = archive or in_process(ArchiveConfig(), clock_ms=wall_clock_ms)
            rooms = Rooms(sessions, hub, bus, archive, clock_ms=wall_clock_ms)
            stack.push_async_callback(rooms.aclose)
            desk = Desk(
                config=config,
                verifier=verifier,
                sessions=sessions,
                stations=stations,
                languages=Languages(stations, clock=clock),
                bus=bus,
                archive=archive,
                hub=hub,
                rooms=rooms,
                prices=prices.load(config.prices_file),
                guesses=Guesses(per_min=config.rate_limit_wrong_codes_per_min),
                page_guesses=Guesses(per_min=config.rate_limit_wrong_codes_per_min),
                clock_ms=wall_clock_ms,
                clock=clock,
            )
            gateway = cls(desk, issuer=issuers.local, port=port, neighbours=neighbours)
            follower = asyncio.create_task(rooms.follow(), name="follow-sessions")
            follower.add_done_callback(gateway._on_needed_done)
            stack.push_async_callback(_cancel, follower)
            ticker = asyncio.create_task(gateway._tick(), name="lifetimes")
            stack.push_async_callback(_cancel, ticker)
            keeper = asyncio.create_task(keep_lease(sessions, on_lost=gateway.send_away), name="lease")
            keeper.add_done_callback(gateway._on_needed_done)
            stack.push_async_callback(_cancel, keeper)
            await gateway._pages.open()
            stack.push_async_callback(gateway._pages.aclose)
            stack.push_async_callback(gateway._live.aclose)
            stack.callback(gateway._lobby.close)
            server = gateway._server = await gateway._serve(listening, tls)
            stack.push_async_callback(_close_server, server)
            gateway._resources = stack.pop_all()
        log.info("gateway listens", extra={"port": gateway.port})
        return gateway

    async def drain(self) -> None:
        """Let clients move to other gateways, if there are any, and what was said go through; bounded.

        While there are others, newcomers are still served for a moment and everybody else until they have
        moved. A gateway that is alone refuses newcomers, lets open sentences finish, and is done.
        """
        if self._draining:
            return
        self._draining = True
        budget_s = float(self._desk.config.drain_seconds)
        if self._neighbours.on_bus:
            departure = Departure(
                Schedule.of(self._desk.config),
                leavers=lambda: tuple(self._connections),
                clock=asyncio.get_running_loop().time,
                clock_ms=self._desk.clock_ms,
                hurried=self._hurried,
            )
            await departure.linger()
            self._refuse_newcomers()
            await departure.move()
            log.info("clients have moved", extra={"remain": len(self._connections)})
            budget_s = departure.left_s
        else:
            self._refusing = True
            refresh_by_ms = self._desk.clock_ms() + round(1000 * budget_s)
            for connection in tuple(self._connections):
                connection.require_refresh(refresh_by_ms=refresh_by_ms)
        await unless_hurried(self._finish(budget_s), self._hurried, most_s=budget_s)

    def hurry(self) -> None:
        """Cut a drain short, now or when it comes: nobody is waited for, open sentences have a moment."""
        self._hurried.set()

    def check_lifetimes(self) -> None:
        """Warn and close the connections that are too old or silent; called every TICK_S."""
        for connection in tuple(self._connections):
            connection.check_lifetime()
        self._count()

    def _count(self) -> None:
        """Tell how many there are: here rather than as they come and go, so that no count can drift."""
        roles = Counter(connection.role for connection in self._connections)
        for role, name in _ROLES.items():
            CONNECTIONS.set(roles[role], {ROLE: name})
        SESSIONS.set(sum(room.pipeline is not None for room in self._desk.rooms))

    def send_away(self) -> None:
        """Close all connections, so that clients come back with their resume tokens."""
        for connection in tuple(self._connections):
            connection.outlet.close_soon(1001, "taken for gone; come back")
        self._live.end_all()

    async def aclose(self) -> None:
        """Drain and stop; idempotent. Nothing that hangs holds it up for longer than CLOSE_ALL_S."""
        await self.drain()
        closing = asyncio.create_task(self._resources.aclose(), name="close-gateway")
        _, late = await asyncio.wait({closing}, timeout=CLOSE_ALL_S)
        if late:
            log.critical("the gateway did not close in time")
            closing.cancel()
        else:
            closing.result()

    async def _finish(self, budget_s: float) -> None:
        pipelines = [room.pipeline for room in self._desk.rooms if room.pipeline is not None]
        await asyncio.gather(*(pipeline.finish(timeout_s=budget_s) for pipeline in pipelines))
        await self._desk.hub.catch_up()

    def _refuse_newcomers(self) -> None:
        self._refusing = True
        if self._neighbours.on_port and self._server is not None:
            self._server.server.close()  # the kernel gives them to the other processes from now on

    async def _serve(self, listening: socket.socket, tls: ServerTls | None) -> Server:
        config = self._desk.config
        server = await serve(
            self._on_connection,
            sock=listening,
            ssl=None if tls is None else tls.context,
            ssl_handshake_timeout=None if tls is None else HANDSHAKE_S,
            process_request=self._on_request,
            process_response=self._on_response,
            compression=None,
            max_size=MAX_FRAME_BYTES,
            max_queue=MAX_WAITING_FRAMES,
            ping_interval=config.heartbeat_interval_seconds,
            ping_timeout=max(
                1.0, config.heartbeat_timeout_seconds - config.heartbeat_interval_seconds - CLOSE_S
            ),
            close_timeout=CLOSE_S,
            logger=_websocket_logger(),
            server_header=None,
            # typed as a subclass; whatever makes a protocol does
            create_connection=cast(type[ServerConnection], self._front),
        )
        listening.listen(BACKLOG)  # asyncio made it 100, which is also how many it accepts at a time
        return server

    def _front(self, *arguments: Any, **options: Any) -> Front:
        def websocket() -> ServerConnection:
            return ServerConnection(*arguments, **options)

        return Front(websocket=websocket, http=lambda: self._pages.connection(websocket), lobby=self._lobby)

    def _is_full(self) -> bool:
        server = self._server
        sockets = 0 if server is None else len(server.all_connections)
        return len(self._lobby) + self._pages.open_connections + sockets >= self._most_connections

    async def _on_request(self, connection: ServerConnection, request: Request) -> Response | None:
        refusal = await self._look_at(connection, request)
        return None if refusal is None else refusal.response()

    def _on_response(self, _: ServerConnection, _request: Request, response: Response) -> None:
        encrypted = self._desk.config.scheme == "https"
        for name, value in headers(response.status_code, encrypted=encrypted).items():
            if name not in response.headers:
                response.headers[name] = value
        if not (self._refusing and response.status_code == HTTPStatus.SERVICE_UNAVAILABLE):
            measuring.answered(response.status_code)

    async def _look_at(self, connection: ServerConnection, request: Request) -> Answer | None:
        try:
            target = urlsplit(request.path)
        except ValueError:
            return Answer(HTTPStatus.BAD_REQUEST, b"That is no address.\n")
        if target.path not in WEBSOCKET_PATHS:
            return Answer(HTTPStatus.NOT_FOUND, b"There is nothing here.\n")
        host = request.headers.get("Host", "")
        if not self._origins.allow(request.headers.get_all("Origin"), host=host):
            return Answer(HTTPStatus.FORBIDDEN, b"Pages of that site may not connect.\n")
        if self._refusing:
            wait_s = ELSEWHERE_S if self._neighbours.on_bus else float(self._desk.config.drain_seconds)
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"draining\n", retry_after_s=wait_s)
        visit_or_refusal = await self._visit(connection, request, query=dict(parse_qsl(target.query)))
        if isinstance(visit_or_refusal, Answer):
            return visit_or_refusal
        self._visits[connection] = visit_or_refusal
        return None

    async def _visit(
        self, connection: ServerConnection, request: Request, *, query: dict[str, str]
    ) -> Visit | Answer:
        peer = str(connection.remote_address[0])
        forwarded_for = request.headers.get_all("X-Forwarded-For")
        address = limited_as(client_address(peer, forwarded_for, self._trusted))
        wait_s = self._attempts.take(address, self._desk.clock())
        if wait_s:
            body = b"Too many connections.\n"
            return Answer(HTTPStatus.TOO_MANY_REQUESTS, body, retry_after_s=wait_s)
        by_header = bearer(request)
        token = by_header or query.get("token", "")
        identity: Identity | None = None
        if token:
            try:
                identity = await self._desk.verifier.verify(token)
            except ServiceUnavailable as error:
                body = b"Tokens cannot be checked right now.\n"
                return Answer(HTTPStatus.SERVICE_UNAVAILABLE, body, retry_after_s=error.retry_after_s)
            except BabelcastError as error:
                return Answer(HTTPStatus.UNAUTHORIZED, f"{error.code}: {error.message}\n".encode())
        host = request.headers.get("Host", "") or f"127.0.0.1:{self.port}"
        scheme = client_scheme(
            self._desk.config.scheme,
            peer=peer,
            forwarded_proto=request.headers.get_all("X-Forwarded-Proto"),
            trusted=self._trusted,
        )
        return Visit(
            address=address,
            base_url=f"{scheme}://{host}",
            identity=identity,
            by_header=bool(by_header),
            query=query,
        )

    async def _on_connection(self, socket_connection: ServerConnection) -> None:
        connection = Connection(socket_connection, self._visits.pop(socket_connection), self._desk)
        self._connections.add(connection)
        self._garbage.came()
        if self._refusing:  # came while its upgrade was looked at
            connection.outlet.close_soon(1001, DRAINING)
        try:
            await connection.run()
        except Exception:
            log.exception("connection failed")
            raise
        finally:
            self._connections.discard(connection)
            self._garbage.left()
            measuring.closed(socket_connection.protocol)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.check_lifetimes()

    def _on_needed_done(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled():
            log.critical(
                "a task of the gateway has stopped",
                extra={"task": task.get_name()},
                exc_info=task.exception(),
            )
            self._deaf = True


def _listen(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=shared)
    except OSError as error:
        raise ServiceUnavailable(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from error


def _websocket_logger() -> logging.Logger:
    # At DEBUG it would log request lines, tokens in URLs included; at INFO one line a connection.
    logger = logging.getLogger("gateway.websockets")
    logger.setLevel(logging.CRITICAL)
    return logger


async def _close_server(server: Server) -> None:
    server.close(close_connections=True, code=1001, reason=DRAINING)
    await server.wait_closed()


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])
