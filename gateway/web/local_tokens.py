"""One click signs in who sits at the machine of a gateway that is its own issuer."""

import math
from http import HTTPStatus

from aiohttp import web

from babelcast.auth.local_issuer import LocalIssuer
from gateway.limits import TokenBucket
from gateway.web import answers, requests
from gateway.web.signin import LOCAL_SUBJECT, from_own_page
from gateway.web.site import Site

AT_ONCE = 30
PER_MIN = 30


class LocalTokens:
    """Hands out tokens to pages of ours in browsers on this machine: AT_ONCE, and PER_MIN on average."""

    def __init__(self, site: Site, issuer: LocalIssuer) -> None:
        self._site = site
        self._issuer = issuer
        self._bucket = TokenBucket.full(rate=PER_MIN / 60, burst=AT_ONCE, now_s=site.clock())

    async def issue(self, request: web.Request) -> web.Response:
        """A token, or 403 for anybody else."""
        own = from_own_page(
            host=requests.host(request),
            origin_headers=request.headers.getall("Origin", []),
            fetch_site=request.headers.get("Sec-Fetch-Site", ""),
        )
        if not (own and requests.may_sign_in_locally(request, self._site)):
            return answers.refusal(
                request, HTTPStatus.FORBIDDEN, reason="Only pages on this machine are signed in."
            )
        wait_s = self._bucket.take(self._site.clock())
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            return answers.refusal(request, HTTPStatus.TOO_MANY_REQUESTS, headers=headers)
        return answers.json({"token": self._issuer.mint(LOCAL_SUBJECT)})
