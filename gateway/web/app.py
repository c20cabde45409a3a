"""The plain HTTP of a gateway: its routes, and what holds for every answer."""

import asyncio
import functools
import logging
import math
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from babelcast.auth.local_issuer import JWKS_PATH, LocalIssuer
from babelcast.errors import ServiceUnavailable
from gateway import measuring
from gateway.web import answers, requests, security
from gateway.web.local_tokens import LocalTokens
from gateway.web.pages import Pages
from gateway.web.serving import NAME, PageConnection
from gateway.web.site import Site

CODE = r"{code:[a-z]{2,16}-[a-z]{2,16}-[1-9][0-9]{2}}"
MAX_BODY_BYTES = 16 * 1024
# How long a client may take to read what it asked for, streams aside.
ANSWER_WITHIN_S = 60.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)


def application(site: Site) -> web.Application:
    """All routes. Raises: ConfigError when a setting of the pages is wrong."""

    @web.middleware
    async def answering(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await _answer(request, handler, site=site)

    app = web.Application(middlewares=[answering], client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(_secure)
    pages = Pages(site)
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
        app.router.add_get(JWKS_PATH, functools.partial(_jwks, issuer=site.issuer))
        app.router.add_post("/local/token", LocalTokens(site, site.issuer).issue)
    return app


async def _answer(request: web.Request, handler: Handler, *, site: Site) -> web.StreamResponse:
    """Have a request answered, whatever happens, and the answer taken in time."""
    if isinstance(request.protocol, PageConnection) and requests.wants_websocket(request):
        request.protocol.become_websocket(request)
        return web.Response()  # goes nowhere
    try:
        response = await handler(request)
    except web.HTTPException as refused:
        kept = {"Allow": refused.headers["Allow"]} if "Allow" in refused.headers else {}
        own = refused.text != f"{refused.status}: {refused.reason}"  # rather than aiohttp's
        response = answers.refusal(
            request, refused.status, headers=kept, reason=(refused.text or "").strip() if own else ""
        )
    except ServiceUnavailable as error:
        headers = {"Retry-After": str(math.ceil(error.retry_after_s or 1))}
        response = answers.refusal(request, HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)
    except ConnectionError:
        raise
    except Exception:
        log.exception("a page failed", extra={"route": _route(request)})
        if request.writer.output_size > 0:  # half an answer is out: that it breaks off must be seen
            _abort(request)
        response = answers.refusal(request, HTTPStatus.INTERNAL_SERVER_ERROR)
    if not site.ready():
        response.force_close()  # its next request goes to another gateway
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        _abort(request)
    if request.path not in measuring.PROBES:
        measuring.answered(response.status)
    return response


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    framed = security.may_be_framed(response.headers.get("Content-Security-Policy", ""))
    for name, value in security.EVERYWHERE.items():
        if name != "X-Frame-Options" or not framed:
            response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", answers.NEVER_KEEP)
    response.headers.update(security.transport_headers(request.transport))
    response.headers["Server"] = NAME


async def _jwks(_: web.Request, *, issuer: LocalIssuer) -> web.Response:
    return answers.json(issuer.jwks())


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical
