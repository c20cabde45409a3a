"""Upgrade requests: what they carry, and how they are refused. Pure."""

import math
from collections.abc import Mapping
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

    def response(self) -> Response:
        """With what is its own; `headers` are what any answer has."""
        own = Headers(
            {
                "Content-Type": self.content_type,
                "Content-Length": str(len(self.body)),
                "Connection": "close",
            }
        )
        if self.retry_after_s is not None:
            own["Retry-After"] = str(math.ceil(self.retry_after_s))
        return Response(self.status.value, self.status.phrase, own, self.body)


def headers(status: int, *, encrypted: bool) -> Mapping[str, str]:
    """What goes with any answer to an upgrade request, over TLS or not, the library's own refusals too."""
    refused = {} if status == HTTPStatus.SWITCHING_PROTOCOLS else {**EVERYWHERE, "Cache-Control": "no-store"}
    return {**refused, **(ENCRYPTED if encrypted else {})}


def bearer(request: Request) -> str:
    """The token of the Authorization header; "" when there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
