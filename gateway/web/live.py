"""`/live/<code>/<language>.ogg`: what a language's listeners hear, for any player."""

import contextlib
import math
import socket
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web

from babelcast.bus.base import Topic
from babelcast.errors import BabelcastError, ErrorCode, InvalidLanguage, UnsupportedLanguage
from gateway.address import networks
from gateway.desk import Desk
from gateway.limits import KeyedBuckets
from gateway.live import LiveStreams
from gateway.web import answers, requests
from gateway.web.app import CODE
from gateway.web.transcripts import (
    GONE,
    LANGUAGE,
    REQUESTS_AT_ONCE,
    REQUESTS_PER_S,
    no_language,
    session_that_is_on,
)

HEADERS: Final = {
    "Content-Type": "audio/ogg; codecs=opus",
    "Cache-Control": answers.NEVER_KEEP,
    "Accept-Ranges": "none",
    "X-Accel-Buffering": "no",  # asks proxies to pass on what comes
}
SEND_BUFFER_BYTES: Final = 64 * 1024
"""At the socket: else the kernel alone takes minutes of what a player does not."""


class LivePages:
    """The route of continuous streams."""

    def __init__(self, desk: Desk, streams: LiveStreams) -> None:
        self._desk = desk
        self._streams = streams
        self._requests = KeyedBuckets(rate=REQUESTS_PER_S, burst=REQUESTS_AT_ONCE)
        self._trusted = networks(desk.config.trusted_proxies)

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """For the application."""
        return [web.get(f"/live/{CODE}/{LANGUAGE}.ogg", self.play)]

    async def play(self, request: web.Request) -> web.StreamResponse:
        """Send the stream until it ends or the player goes."""
        address = requests.sender(request, self._trusted)
        now_s = self._desk.clock()
        wait_s = self._requests.take(address, now_s) or self._desk.page_guesses.wait_s(address, now_s)
        if wait_s:
            return _later(request, HTTPStatus.TOO_MANY_REQUESTS, wait_s)
        session = await session_that_is_on(self._desk, request.match_info["code"])
        if session is None:
            self._desk.page_guesses.wrong(address, now_s)
            return answers.refusal(request, HTTPStatus.NOT_FOUND, reason="There is no such talk.")
        source = session.settings.source_language
        tag = request.match_info["language"]
        try:
            language = await self._desk.languages.target(tag, source=source)
        except (InvalidLanguage, UnsupportedLanguage):
            targets = (await self._desk.languages.targets()).get(source, ())
            return no_language(tag, sorted(targets))
        if language == source:  # it is read, not heard
            reason = "The language that is spoken has no voice here, only text."
            return answers.refusal(request, HTTPStatus.NOT_FOUND, reason=reason)
        if request.method == "HEAD":
            return web.Response(headers=HEADERS)
        topic = Topic(session.session_id, language)
        try:
            return await self._send(request, topic, address)
        except BabelcastError as error:
            if error.code in GONE:
                return answers.refusal(request, HTTPStatus.NOT_FOUND, reason="There is no such talk.")
            full = error.code == ErrorCode.RATE_LIMIT_EXCEEDED
            status = HTTPStatus.TOO_MANY_REQUESTS if full else HTTPStatus.SERVICE_UNAVAILABLE
            return _later(request, status, 5.0)

    async def _send(self, request: web.Request, topic: Topic, address: str) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS)
        response.force_close()

        def cut() -> None:
            if request.transport is not None:
                request.transport.abort()

        async with self._streams.playing(topic, address=address, on_cut=cut) as player:
            _keep_little(request)
            with contextlib.suppress(ConnectionError):  # the player has gone
                await response.prepare(request)
                async for pages in player.pages:
                    await response.write(pages)
        return response


def _later(request: web.Request, status: HTTPStatus, wait_s: float) -> web.Response:
    return answers.refusal(request, status, headers={"Retry-After": str(math.ceil(wait_s))})


def _keep_little(request: web.Request) -> None:
    plain = None if request.transport is None else request.transport.get_extra_info("socket")
    if plain is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
