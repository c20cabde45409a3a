"""HTTP answers of one kind or another."""

import hashlib
from collections.abc import Mapping
from html import escape
from http import HTTPStatus

import msgspec
from aiohttp import web

from gateway.web import requests, security
from gateway.web.assets import Asset

REVALIDATE = "no-cache"
NEVER_KEEP = "no-store"


def text(
    body: str, *, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Plain text that is true now only."""
    return web.Response(status=status, text=body, headers={"Cache-Control": NEVER_KEEP, **(headers or {})})


def json(value: object) -> web.Response:
    """JSON that is true now only."""
    return web.Response(
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers={"Cache-Control": NEVER_KEEP},
    )


def asset(request: web.Request, found: Asset, *, headers: Mapping[str, str] | None = None) -> web.Response:
    """A file, packed if the client can unpack it; 304 when it has it already."""
    packed = found.packed if _takes_gzip(request) else None
    etag = found.etag if packed is None else f"{found.etag}-gzip"
    kept = {"Cache-Control": REVALIDATE, "ETag": f'"{etag}"', **(headers or {})}
    if found.packed is not None:
        kept["Vary"] = ", ".join(filter(None, ("Accept-Encoding", kept.get("Vary"))))
    if _has(request, etag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=kept)
    if packed is not None:
        kept["Content-Encoding"] = "gzip"
    return web.Response(
        body=found.body if packed is None else packed,
        headers={"Content-Type": found.content_type, **kept},
    )


def picture(request: web.Request, svg: bytes) -> web.Response:
    """An SVG that was drawn for this request."""
    etag = hashlib.sha256(svg).hexdigest()[:32]
    headers = {"Cache-Control": REVALIDATE, "ETag": f'"{etag}"'}
    if _has(request, etag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=svg, headers={"Content-Type": "image/svg+xml", **headers})


def refusal(
    request: web.Request, status: int, *, headers: Mapping[str, str] | None = None, reason: str = ""
) -> web.Response:
    """What is said when there is no answer: a small page for browsers, a line for others."""
    line = reason or _SAID.get(status, HTTPStatus(status).phrase)
    kept = {"Cache-Control": NEVER_KEEP, "Vary": "Accept", **(headers or {})}
    if not requests.wants_page(request):
        return web.Response(status=status, text=f"{line}\n", headers=kept)
    page = _PAGE.format(line=escape(line))
    policy = security.page_policy()  # it has a style
    return web.Response(status=status, text=page, content_type="text/html", headers={**policy, **kept})


_SAID: dict[int, str] = {
    HTTPStatus.NOT_FOUND: "There is nothing here.",
    HTTPStatus.METHOD_NOT_ALLOWED: "That cannot be done here.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong here.",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{line} – Babelcast</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/ui.css">
<link rel="stylesheet" href="/assets/refusal.css">
</head>
<body>
<main>
<h1>{line}</h1>
<p><a href="/">Listen to a talk</a> or <a href="/speak">give one</a>.</p>
</main>
</body>
</html>
"""


def _takes_gzip(request: web.Request) -> bool:
    for part in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in {"gzip", "*"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _has(request: web.Request, etag: str) -> bool:
    return any(known.value in {etag, "*"} for known in request.if_none_match or ())
