"""An operator's client: which sessions are on, how one stands, and ending one."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from babelcast.client import address
from babelcast.client.connection import Connection
from babelcast.client.settings import ClientSettings
from babelcast.protocol.client_messages import CloseSession, ListSessions, ShowSession
from babelcast.protocol.server_messages import SessionClosed, SessionList, SessionShown, SessionView


class Operator:
    """A connection with an operator's token; use as `async with`."""

    def __init__(self, connection: Connection) -> None:
        """Use `connect`."""
        self._connection = connection

    @classmethod
    async def connect(cls, url: str, *, token: str, settings: ClientSettings | None = None) -> Self:
        """Connect to a gateway.

        Raises: InvalidParameter, Unauthorized, RateLimitExceeded, ServiceUnavailable.
        """
        connection = await Connection.open(
            address.normalise(url),
            token=token,
            settings=settings or ClientSettings(),
            on_message=lambda _message, _awaited: None,
        )
        return cls(connection)

    async def sessions(self) -> AsyncIterator[SessionView]:
        """The sessions that are on, page after page.

        Raises: RemoteError, ServiceUnavailable.
        """
        page_token = ""
        while True:
            page = await self._connection.request(ListSessions(page_token=page_token), SessionList)
            for session in page.sessions:
                yield session
            if not isinstance(page.next_page_token, str):
                return
            page_token = page.next_page_token

    async def show(self, code: str) -> SessionShown:
        """How one session stands.

        Raises: RemoteError, ServiceUnavailable.
        """
        return await self._connection.request(ShowSession(session_id=code), SessionShown)

    async def close(self, code: str) -> SessionClosed:
        """End a session for everybody.

        Raises: RemoteError, ServiceUnavailable.
        """
        return await self._connection.request(CloseSession(session_id=code), SessionClosed)

    async def aclose(self) -> None:
        """Let go; idempotent."""
        await self._connection.aclose()

    async def __aenter__(self) -> Self:
        """This client."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go."""
        await self.aclose()
