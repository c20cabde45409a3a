"""Plain HTTP on the WebSocket's port: health, the local issuer's keys, and where to go from here. Pure."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from babelcast.auth.local_issuer import JWKS_PATH, LocalIssuer

WELCOME = """Babelcast: live speech translation.

Listen:  babelcast listen CODE --to es
Speak:   babelcast speak talk.wav --from en
Or open a WebSocket here and send JSON.
"""

INVITATION = """You are invited to listen to {code}.

    babelcast listen {code} --to es
"""
_SESSION = re.compile(r"/[a-z]{2,16}-[a-z]{2,16}-[1-9][0-9]{2}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    retry_after_s: float | None = None
    """When to ask again."""

    def response(self) -> Response:
        """As the server sends it."""
        headers = Headers(
            {
                "Content-Type": self.content_type,
                "Content-Length": str(len(self.body)),
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "Connection": "close",
            }
        )
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(math.ceil(self.retry_after_s))
        return Response(self.status.value, self.status.phrase, headers, self.body)


class Site:
    """The pages of this gateway. `ready` says whether it takes new connections."""

    def __init__(self, *, issuer: LocalIssuer | None, ready: Callable[[], bool]) -> None:
        self._issuer = issuer
        self._ready = ready

    def answer(self, path: str) -> Answer:
        """The page at `path` (no query)."""
        match path:
            case "/":
                return Answer(HTTPStatus.OK, WELCOME.encode())
            case _ if _SESSION.fullmatch(path):
                return Answer(HTTPStatus.OK, INVITATION.format(code=path[1:]).encode())
            case "/healthz":
                return Answer(HTTPStatus.OK, b"alive\n")
            case "/readyz" if self._ready():
                return Answer(HTTPStatus.OK, b"ready\n")
            case "/readyz":
                return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"not ready\n")
            case _ if path == JWKS_PATH and self._issuer is not None:
                keys = msgspec.json.encode(self._issuer.jwks())
                return Answer(HTTPStatus.OK, keys, "application/json")
            case _:
                return Answer(HTTPStatus.NOT_FOUND, b"There is nothing here.\n")


def wants_upgrade(request: Request) -> bool:
    """Whether a request asks for a WebSocket."""
    return any("websocket" in value.lower() for value in request.headers.get_all("Upgrade"))


def bearer(request: Request) -> str:
    """The token of the Authorization header; "" when there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
