"""Upgrade requests: what they carry, and how they are refused. Pure."""

import math
from dataclasses import dataclass
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from gateway.web.security import ENCRYPTED, EVERYWHERE


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    retry_after_s: float | None = None
    """When to ask again."""

    def response(self, *, encrypted: bool = False) -> Response:
        """As the server sends it, over TLS or not."""
        headers = Headers(
            {
                **EVERYWHERE,
                **(ENCRYPTED if encrypted else {}),
                "Content-Type": self.content_type,
                "Content-Length": str(len(self.body)),
                "Cache-Control": "no-store",
                "Connection": "close",
            }
        )
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(math.ceil(self.retry_after_s))
        return Response(self.status.value, self.status.phrase, headers, self.body)


def bearer(request: Request) -> str:
    """The token of the Authorization header; "" when there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
