"""The way to NATS: connected, or on the way to be again, for as long as the bus is open.

Each connection is a new client: what was under way on a lost one fails at once with LinkLost, and whoever
needs to go on does so on the next, knowing how far it was.
"""

import asyncio
import datetime
import json
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Final, TypeVar

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from babelcast.bus.config import BusConfig
from babelcast.errors import InvalidConfiguration, ServiceUnavailable

CONNECT_S: Final = 2
REQUEST_S: Final = 5.0
# An answer that a server took along when it died; sending again is safe.
STORED_S: Final = 2.0
# A cut wire that says nothing is noticed after the pings that may be out, and one more.
PING_S: Final = 3
PINGS_OUT: Final = 2
BACKOFF_FIRST_S, BACKOFF_MOST_S = 0.1, 2.0
UNAVAILABLE_AFTER_S: Final = 10.0
CANCEL_AGAIN_S: Final = 0.2
MIN_MAX_PAYLOAD: Final = 4 * 1024 * 1024
NO_RESPONDERS: Final = "503"

log = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")


class LinkLost(Exception):
    """The connection went while something was under way; whether the server had it is not known."""


class Refused(Exception):
    """The server does not take a message."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a message stands in the stream."""

    place: int
    duplicate: bool


class Connection:
    """One connection to a server, until it is lost."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.js: JetStreamContext = client.jetstream(timeout=REQUEST_S)
        self.stream_made: datetime.datetime | None = None
        """When the stream was made; another time than before: places begin anew."""
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers: dict[str, asyncio.Future[Stored]] = {}
        self._inbox = ""
        self._count = 0

    async def begin(self) -> None:
        """Make ready to be answered."""
        self._inbox = self.client.new_inbox()
        await self.client.subscribe(f"{self._inbox}.*", cb=self._on_answer)

    def end(self) -> None:
        """Fail what is under way; idempotent."""
        if not self.lost.done():
            self.lost.set_result(None)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(LinkLost())

    async def store(self, subject: str, payload: bytes, headers: dict[str, str]) -> Stored:
        """Publish into the stream.

        Raises: LinkLost, Refused, TimeoutError.
        """
        self._count += 1
        token = str(self._count)
        answer: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        if self.lost.done():
            raise LinkLost
        self._answers[token] = answer
        try:
            await self.client.publish(subject, payload, reply=f"{self._inbox}.{token}", headers=headers)
            async with asyncio.timeout(STORED_S):
                return await answer
        except nats.errors.Error as error:
            raise LinkLost from error
        finally:
            del self._answers[token]
            answer.cancel()

    async def ask(self, call: Coroutine[object, object, ResultT]) -> ResultT:
        """Await a call to JetStream, but not longer than the connection lasts.

        Raises: LinkLost, also when it is not answered; nats.js.errors.APIError.
        """
        task = asyncio.ensure_future(call)
        try:
            await asyncio.wait((task, self.lost), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise LinkLost
            return task.result()
        except nats.js.errors.APIError:
            raise
        except (nats.errors.Error, TimeoutError) as error:
            raise LinkLost from error
        finally:
            task.cancel()

    async def _on_answer(self, message: Msg) -> None:
        answer = self._answers.get(message.subject.rpartition(".")[2])
        if answer is None or answer.done():
            return
        if message.headers and message.headers.get("Status") == NO_RESPONDERS:
            answer.set_exception(Refused(int(NO_RESPONDERS), "no stream is there"))
            return
        said = json.loads(message.data)
        if "error" in said:
            error = said["error"]
            answer.set_exception(Refused(int(error.get("err_code", 0)), str(error.get("description", ""))))
        else:
            answer.set_result(Stored(int(said["seq"]), bool(said.get("duplicate", False))))


class Link:
    """Keeps a connection. `prepare` is awaited on each before anybody else gets it."""

    def __init__(
        self,
        config: BusConfig,
        *,
        prepare: Callable[[Connection], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._prepare = prepare
        self._clock = clock
        self._context = config.tls_context() if config.tls else None
        self._connection: Connection | None = None
        self._up = asyncio.Event()
        self._down_since_s: float | None = None
        self._why = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection now, as far as is known."""
        return self._connection is not None

    @property
    def available(self) -> bool:
        """Whether there is one, or was UNAVAILABLE_AFTER_S ago."""
        down_since_s = self._down_since_s
        return down_since_s is None or self._clock() - down_since_s < UNAVAILABLE_AFTER_S

    async def open(self, *, patience_s: float) -> None:
        """Connect, trying again for `patience_s`.

        Raises: ServiceUnavailable, InvalidConfiguration.
        """
        try:
            async with asyncio.timeout(patience_s):
                connection = await self._connect_again()
        except TimeoutError as error:
            raise ServiceUnavailable(f"No server of BUS_URL can be used: {self._why}.") from error
        self._take(connection)
        self._task = asyncio.create_task(self._keep(connection), name="nats-link")

    async def connection(self) -> Connection:
        """The connection, as soon as there is one."""
        while self._connection is None:
            await self._up.wait()
        return self._connection

    async def soon(self) -> Connection:
        """The connection, if there is one within REQUEST_S.

        Raises: ServiceUnavailable.
        """
        try:
            async with asyncio.timeout(REQUEST_S):
                return await self.connection()
        except TimeoutError as error:
            raise ServiceUnavailable("The bus is out of reach.") from error

    async def aclose(self) -> None:
        """Disconnect; idempotent."""
        if self._task is not None:
            await cancelled(self._task)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.end()
            await connection.client.close()

    async def _keep(self, connection: Connection) -> None:
        while True:
            await connection.lost
            self._connection = None
            self._up.clear()
            self._down_since_s = self._clock()
            log.warning("the bus is out of reach")
            connection = await self._connect_again()
            log.info("the bus is back", extra={"away_s": round(self._clock() - self._down_since_s, 1)})
            self._take(connection)

    def _take(self, connection: Connection) -> None:
        self._down_since_s = None
        self._connection = connection
        self._up.set()

    async def _connect_again(self) -> Connection:
        wait_s = BACKOFF_FIRST_S
        while True:
            try:
                return await self._connect()
            except (
                OSError,
                LinkLost,
                nats.errors.Error,  # nats.js.errors among them
            ) as error:
                self._why = _why(error)
            except InvalidConfiguration as error:
                if self._task is None:
                    raise
                log.critical("the bus cannot be used any more", extra={"why": error.message})
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            wait_s = min(2 * wait_s, BACKOFF_MOST_S)

    async def _connect(self) -> Connection:
        config = self._config
        client = _client(require_tls=config.tls)
        connection = Connection(client)

        async def on_closed() -> None:
            connection.end()

        try:
            await client.connect(
                config.servers,
                name="babelcast",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_S,
                ping_interval=PING_S,
                max_outstanding_pings=PINGS_OUT,
                closed_cb=on_closed,
                error_cb=_note,
                tls=self._context,
                user=config.nats_user or None,
                password=config.nats_password or None,
                token=config.nats_token or None,
                user_credentials=config.nats_creds or None,
            )
            _require_room(client.max_payload)
            await connection.begin()
            await self._prepare(connection)
        except BaseException:
            connection.end()
            await client.close()
            raise
        return connection


async def cancelled(task: "asyncio.Task[None]") -> None:
    """Cancel a task until it has ended: the client swallows a cancellation here and there."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_AGAIN_S)


class _TlsClient(Client):
    """Signs in over TLS alone, whatever the server says that it needs."""

    def _connect_command(self) -> bytes:
        if not self._server_info.get("tls_required"):
            raise nats.errors.Error("nats: the server offers no TLS")
        command: bytes = super()._connect_command()
        return command


def _client(*, require_tls: bool) -> Client:
    return _TlsClient() if require_tls else Client()


def _require_room(max_payload: int) -> None:
    if max_payload < MIN_MAX_PAYLOAD:
        raise InvalidConfiguration(
            f"NATS takes messages of {max_payload} bytes; a voice may need {MIN_MAX_PAYLOAD}: "
            "set max_payload in its configuration."
        )


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, nats.errors.Error) else type(error).__name__


async def _note(error: Exception) -> None:
    # names alone: the texts may hold addresses with passwords
    log.debug("NATS", extra={"error": type(error).__name__})
