"""The pages, the files that they are made of, and the small answers that need no session."""

import functools
import io
import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import segno
from aiohttp import web

from babelcast.errors import ServiceUnavailable
from gateway.address import networks
from gateway.limits import KeyedBuckets
from gateway.web import answers, requests, security
from gateway.web.origins import origins, split
from gateway.web.signin import Login
from gateway.web.site import Site

WELCOME = """Babelcast: live speech translation.

Listen:  babelcast listen CODE --to es
Speak:   babelcast speak talk.wav --from en
Or open this address in a browser, /speak to speak, or a WebSocket and send JSON.
"""
INVITATION = """You are invited to listen to {code}.

    babelcast listen {code} --to es
"""


QR_PER_S: Final = 5.0
QR_AT_ONCE: Final = 60
"""Of an address: a code takes milliseconds to make, in which nobody else is served."""


class Pages:
    """Handlers. Raises: ConfigError when a setting of the pages is wrong."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._public_url = site.config.public_url.rstrip("/")
        self._trusted = networks(site.config.trusted_proxies)
        self._login = Login.of(site.config)
        self._pictures = KeyedBuckets(rate=QR_PER_S, burst=QR_AT_ONCE)
        framed_by = origins(split(site.config.stage_frame_origins), variable="STAGE_FRAME_ORIGINS")
        self._stage_framed_by = [str(origin) for origin in framed_by]

    async def home(self, request: web.Request) -> web.Response:
        """The listener's page, for a code to be typed in."""
        return self._page(request, "listen.html", plain=WELCOME)

    async def session(self, request: web.Request) -> web.Response:
        """The listener's page of a session: where an invitation leads."""
        return self._page(request, "listen.html", plain=INVITATION.format(code=request.match_info["code"]))

    async def stage(self, request: web.Request) -> web.Response:
        """Captions alone, for projectors and broadcasts."""
        return self._page(request, "stage.html", framed_by=self._stage_framed_by)

    async def speak(self, request: web.Request) -> web.Response:
        """The speaker's page."""
        token_origin = "" if self._login is None else self._login.token_origin
        return self._page(request, "speak.html", token_origin=token_origin)

    async def asset(self, request: web.Request) -> web.Response:
        """A file that a page is made of."""
        return self._file(request, request.match_info["name"])

    async def icon(self, request: web.Request) -> web.Response:
        """What browsers ask for by themselves."""
        return self._file(request, "icon.svg")

    async def settings(self, request: web.Request) -> web.Response:
        """What the pages have to know: how to sign in here, where listeners are sent to, the languages."""
        login = self._login
        return answers.json(
            {
                "publicUrl": self._public_url,
                "signIn": {
                    "local": requests.may_sign_in_locally(request, self._site),
                    "login": None
                    if login is None
                    else {
                        "authorizeUrl": login.authorize_url,
                        "tokenUrl": login.token_url,
                        "clientId": login.client_id,
                        "scope": login.scope,
                    },
                },
                "languages": await self._languages(),
            }
        )

    async def qr(self, request: web.Request) -> web.Response:
        """A session's address for cameras, black on white with the border that they need."""
        base, host = self._public_url, requests.host(request)
        if not base and not security.is_host(host):
            raise web.HTTPBadRequest
        wait_s = self._pictures.take(requests.sender(request, self._trusted), self._site.clock())
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            return answers.refusal(request, HTTPStatus.TOO_MANY_REQUESTS, headers=headers)
        base = base or f"{requests.scheme(request, self._trusted)}://{host}"
        return answers.picture(request, qr_code(f"{base}/{request.match_info['code']}"))

    async def healthz(self, _: web.Request) -> web.Response:
        """The process runs."""
        return answers.text("alive\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """Whether newcomers are welcome."""
        if self._site.ready():
            return answers.text("ready\n")
        return answers.text("not ready\n", status=HTTPStatus.SERVICE_UNAVAILABLE)

    async def _languages(self) -> object:
        languages = self._site.languages
        try:
            return {"sources": await languages.sources(), "targets": await languages.targets()}
        except ServiceUnavailable:
            return None

    def _file(self, request: web.Request, name: str) -> web.Response:
        found = None if name.endswith(".html") else self._site.assets.find(name)
        if found is None:
            raise web.HTTPNotFound
        return answers.asset(request, found)

    def _page(
        self,
        request: web.Request,
        name: str,
        *,
        plain: str = "",
        token_origin: str = "",
        framed_by: Sequence[str] = (),
    ) -> web.Response:
        """The page; `plain`, if there is such a text, for those who are no browser."""
        page = self._site.assets.find(name)
        if plain and (page is None or not requests.wants_page(request)):
            return answers.text(plain, headers={"Vary": "Accept"})
        if page is None:
            raise web.HTTPNotFound
        public_host = self._public_url.partition("://")[2].partition("/")[0]
        headers = security.page_policy(
            hosts=[requests.host(request), public_host], token_origin=token_origin, framed_by=framed_by
        )
        return answers.asset(request, page, headers={**headers, **({"Vary": "Accept"} if plain else {})})


@functools.lru_cache(maxsize=256)
def qr_code(url: str) -> bytes:
    """An SVG without a size of its own."""
    picture = io.BytesIO()
    segno.make_qr(url, error="m").save(
        picture,
        kind="svg",
        border=4,
        light="#fff",
        xmldecl=False,
        omitsize=True,
        svgclass=None,
        lineclass=None,
        title=url,
    )
    return picture.getvalue()
