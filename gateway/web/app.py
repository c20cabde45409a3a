"""The pages and other plain HTTP of a gateway: routes, and what holds for every answer."""

import asyncio
import functools
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import segno
from aiohttp import web

from babelcast.auth.local_issuer import JWKS_PATH, LocalIssuer
from babelcast.errors import ServiceUnavailable
from gateway.config import GatewayConfig
from gateway.desk import Languages
from gateway.limits import TokenBucket
from gateway.web import answers, security
from gateway.web.assets import Assets
from gateway.web.origins import origins, split
from gateway.web.signin import LOCAL_SUBJECT, Login, from_own_page, is_local

CODE = r"{code:[a-z]{2,16}-[a-z]{2,16}-[1-9][0-9]{2}}"
MAX_BODY_BYTES = 16 * 1024
# How long a client may take to read a page.
ANSWER_WITHIN_S = 60.0
LOCAL_TOKENS_AT_ONCE = 30
LOCAL_TOKENS_PER_MIN = 30

WELCOME = """Babelcast: live speech translation.

Listen:  babelcast listen CODE --to es
Speak:   babelcast speak talk.wav --from en
Or open a WebSocket here and send JSON.
"""
INVITATION = """You are invited to listen to {code}.

    babelcast listen {code} --to es
"""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages need to know of their gateway.

    `ready` says whether it takes new connections; `more` are routes that others bring.
    """

    config: GatewayConfig
    issuer: LocalIssuer | None
    languages: Languages
    ready: Callable[[], bool]
    clock: Callable[[], float]
    assets: Assets = field(default_factory=Assets)
    more: Sequence[web.AbstractRouteDef] = ()


def application(site: Site) -> web.Application:
    """All routes. Raises: ConfigError when a setting of the pages is wrong."""
    pages = _Pages(site)

    @web.middleware
    async def answering(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await _answer(request, handler, site=site)

    app = web.Application(middlewares=[answering], client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(_secure)
    app.router.add_routes(
        [
            web.get("/", pages.home),
            web.get(f"/{CODE}", pages.session),
            web.get(f"/{CODE}/stage", pages.stage),
            web.get("/speak", pages.speak),
            web.get("/assets/{name:.+}", pages.asset),
            web.get("/favicon.ico", pages.icon),
            web.get("/config.json", pages.settings),
            web.get(f"/sessions/{CODE}/qr.svg", pages.qr),
            web.get("/healthz", pages.healthz),
            web.get("/readyz", pages.readyz),
            *site.more,
        ]
    )
    if site.issuer is not None:
        app.router.add_post("/local/token", _LocalTokens(site, site.issuer).issue)
        app.router.add_get(JWKS_PATH, functools.partial(_jwks, issuer=site.issuer))
    return app


class _Pages:
    """Answers that need no session."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._login = Login.of(site.config)
        self._stage_framed_by = [
            str(origin)
            for origin in origins(split(site.config.stage_frame_origins), variable="STAGE_FRAME_ORIGINS")
        ]

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
        name = request.match_info["name"]
        found = None if name.endswith(".html") else self._site.assets.find(name)
        if found is None:
            raise web.HTTPNotFound
        return answers.asset(request, found)

    async def icon(self, request: web.Request) -> web.Response:
        """What browsers ask for by themselves."""
        found = self._site.assets.find("icon.svg")
        if found is None:
            raise web.HTTPNotFound
        return answers.asset(request, found)

    async def settings(self, request: web.Request) -> web.Response:
        """What the pages have to know: how to sign in here, where listeners are sent to, the languages."""
        login = self._login
        return answers.json(
            {
                "publicUrl": self._site.config.public_url.rstrip("/"),
                "signIn": {
                    "local": _may_sign_in_locally(self._site, request),
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
        base = self._site.config.public_url.rstrip("/")
        if not base:
            if not security.is_host(request.host):
                raise web.HTTPBadRequest
            base = f"http://{request.host}"
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

    def _page(
        self,
        request: web.Request,
        name: str,
        *,
        plain: str = "",
        token_origin: str = "",
        framed_by: Sequence[str] = (),
    ) -> web.Response:
        page = self._site.assets.find(name)
        if plain and (page is None or not answers.wants_page(request)):
            return answers.text(plain, headers={"Vary": "Accept"})
        if page is None:
            raise web.HTTPNotFound
        headers = security.page_policy(
            hosts=_hosts(request, self._site.config.public_url),
            token_origin=token_origin,
            framed_by=framed_by,
        )
        return answers.asset(request, page, headers={**headers, **({"Vary": "Accept"} if plain else {})})


class _LocalTokens:
    """Signs in who sits at the machine of a gateway that is its own issuer."""

    def __init__(self, site: Site, issuer: LocalIssuer) -> None:
        self._site = site
        self._issuer = issuer
        self._bucket = TokenBucket.full(
            rate=LOCAL_TOKENS_PER_MIN / 60, burst=LOCAL_TOKENS_AT_ONCE, now_s=site.clock()
        )

    async def issue(self, request: web.Request) -> web.Response:
        """A token for a page of this very machine."""
        own = from_own_page(
            host=request.host,
            origin_headers=request.headers.getall("Origin", []),
            fetch_site=request.headers.get("Sec-Fetch-Site", ""),
        )
        if not (own and _may_sign_in_locally(self._site, request)):
            return answers.refusal(
                request, HTTPStatus.FORBIDDEN, reason="Only pages on this machine are signed in."
            )
        wait_s = self._bucket.take(self._site.clock())
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            return answers.refusal(request, HTTPStatus.TOO_MANY_REQUESTS, headers=headers)
        return answers.json({"token": self._issuer.mint(LOCAL_SUBJECT)})


@functools.lru_cache(maxsize=256)
def qr_code(url: str) -> bytes:
    """An SVG without a size of its own."""
    picture = segno.make(url, error="m", micro=False).svg_inline(
        border=4, light="#fff", omitsize=True, svgns=True, svgclass=None, lineclass=None, title=url
    )
    return picture.encode()


async def _jwks(_: web.Request, *, issuer: LocalIssuer) -> web.Response:
    return answers.json(issuer.jwks())


def _may_sign_in_locally(site: Site, request: web.Request) -> bool:
    config = site.config
    return (
        site.issuer is not None
        and config.local_sign_in
        and not config.trusted_proxies
        and is_local(peer=_peer(request), host=request.host, headers=request.headers)
    )


def _peer(request: web.Request) -> str:
    name = None if request.transport is None else request.transport.get_extra_info("peername")
    return str(name[0]) if name else ""


def _hosts(request: web.Request, public_url: str) -> Sequence[str]:
    """Where the gateway's WebSockets are, as seen by the page."""
    return [request.host, public_url.partition("://")[2].partition("/")[0]]


async def _secure(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in security.EVERYWHERE.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", answers.NEVER_KEEP)
    response.headers.pop("Server", None)


async def _answer(request: web.Request, handler: Handler, *, site: Site) -> web.StreamResponse:
    """Have a request answered, whatever happens, and the answer taken in time."""
    try:
        response = await handler(request)
    except web.HTTPException as refused:
        kept = {"Allow": refused.headers["Allow"]} if "Allow" in refused.headers else {}
        response = answers.refusal(request, refused.status, headers=kept)
    except ServiceUnavailable as error:
        headers = {"Retry-After": str(math.ceil(error.retry_after_s or 1))}
        response = answers.refusal(request, HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)
    except ConnectionError:
        raise
    except Exception:
        log.exception("a page failed", extra={"route": _route(request)})
        response = answers.refusal(request, HTTPStatus.INTERNAL_SERVER_ERROR)
    if not site.ready():
        response.force_close()  # its next request goes to another gateway
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    return response


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical
