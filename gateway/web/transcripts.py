"""What was said, as a file: of a talk that is on, or for a while after it.

Whoever has the code may read what its listeners read.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web

from babelcast import languages
from babelcast.archive.base import Contents, Talk
from babelcast.archive.formats import CONTENT_TYPES, Transcript, file_name, render
from babelcast.errors import BabelcastError, ErrorCode, InvalidLanguage, ServiceUnavailable
from babelcast.session.v1 import session_pb2 as api
from gateway.address import networks
from gateway.archiving import talk_of
from gateway.desk import Desk
from gateway.limits import KeyedBuckets
from gateway.web import answers, requests
from gateway.web.app import CODE

LANGUAGE: Final = r"{language:[A-Za-z0-9_-]{2,35}}"
FRESH_S: Final = 2.0
"""So long a file is given to others as well: many players ask for the same one again and again."""
MAX_FILES: Final = 64
REQUESTS_PER_S: Final = 5.0
REQUESTS_AT_ONCE: Final = 60
"""Of an address: codes must not be found by trying."""

GONE: Final = frozenset({ErrorCode.SESSION_NOT_FOUND, ErrorCode.SESSION_ENDED})


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file."""

    contents: Contents
    language: str
    form: str


class _Files:
    """Reads texts and makes files of them, each at most once in FRESH_S. Policy: MAX_FILES, oldest out."""

    def __init__(self, desk: Desk, *, clock: Callable[[], float]) -> None:
        self._archive = desk.archive
        self._clock = clock
        self._made: dict[tuple[Talk, str, str], tuple[float, asyncio.Task[bytes]]] = {}

    async def file(self, wanted: _Wanted) -> bytes:
        """Its bytes. Raises: ServiceUnavailable."""
        now_s = self._clock()
        key = wanted.contents.talk, wanted.language, wanted.form
        until_s, making = self._made.get(key, (now_s, None))
        if making is None or until_s <= now_s:
            self._made.pop(key, None)
            while len(self._made) >= MAX_FILES:
                del self._made[next(iter(self._made))]
            making = asyncio.create_task(self._make(wanted), name="transcript")
            making.add_done_callback(_look)
            self._made[key] = now_s + FRESH_S, making
        return await asyncio.shield(making)

    async def _make(self, wanted: _Wanted) -> bytes:
        contents = wanted.contents
        entries = await self._archive.read(contents.talk, wanted.language)
        transcript = Transcript(
            contents.talk, wanted.language, contents.languages, contents.ended_ms, entries
        )
        return await asyncio.to_thread(render, transcript, wanted.form)


class Transcripts:
    """The routes of texts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._files = _Files(desk, clock=desk.clock)
        self._requests = KeyedBuckets(rate=REQUESTS_PER_S, burst=REQUESTS_AT_ONCE)
        self._trusted = networks(desk.config.trusted_proxies)

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """For the application."""
        forms = "|".join(CONTENT_TYPES)
        return [
            web.get(f"/sessions/{CODE}/transcript.{{form:{forms}}}", self.download),
            web.get(f"/live/{CODE}/{LANGUAGE}.vtt", self.live),
        ]

    async def download(self, request: web.Request) -> web.StreamResponse:
        """A file to be kept, in the language that is asked for, or that was spoken."""
        form = request.match_info["form"]
        return await self._answer(request, form, request.query.get("lang", ""), attached=True)

    async def live(self, request: web.Request) -> web.StreamResponse:
        """The talk so far as WebVTT, for players that ask for it again."""
        return await self._answer(request, "vtt", request.match_info["language"], attached=False)

    async def _answer(
        self, request: web.Request, form: str, language: str, *, attached: bool
    ) -> web.StreamResponse:
        address, now_s = requests.sender(request, self._trusted), self._desk.clock()
        wait_s = self._requests.take(address, now_s) or self._desk.page_guesses.wait_s(address, now_s)
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            return answers.refusal(request, HTTPStatus.TOO_MANY_REQUESTS, headers=headers)
        contents = await self._contents(request.match_info["code"])
        if contents is None:
            self._desk.page_guesses.wrong(address, now_s)
            return answers.refusal(request, HTTPStatus.NOT_FOUND, reason="There is no such talk.")
        known = _known(language or contents.talk.source, contents.languages)
        if known is None:
            return no_language(language, contents.languages)
        body = await self._files.file(_Wanted(contents, known, form))
        headers = {"Content-Type": CONTENT_TYPES[form], "Cache-Control": answers.NEVER_KEEP}
        if attached:
            name = file_name(Transcript(contents.talk, known, (), None, ()), form)
            headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return web.Response(body=body, headers=headers)

    async def _contents(self, code: str) -> Contents | None:
        """The talk that is on under a code, or the last one, while that is kept."""
        session = await session_that_is_on(self._desk, code)
        found = await self._desk.archive.find(code)
        if session is not None:
            talk = talk_of(session)
            there = found.languages if found is not None and found.talk == talk else ()
            listened = session.audience.languages
            return Contents(talk, sorted({talk.source, *there, *listened}), None, talk.created_ms)
        if found is None:
            return None
        late_ms = self._desk.clock_ms() - found.over_ms
        if late_ms >= 1000 * self._desk.archive.retention_s:
            return None
        return Contents(found.talk, found.languages, found.over_ms, found.last_ms)


async def session_that_is_on(desk: Desk, code: str) -> api.Session | None:
    """The session under a code. Raises: ServiceUnavailable."""
    known = desk.rooms.known(code)
    if known is not None:
        return known
    try:
        return await desk.sessions.get(code)
    except BabelcastError as error:
        if error.code in GONE:
            return None
        raise ServiceUnavailable("Sessions cannot be looked up right now.") from error


def no_language(language: str, available: Sequence[str]) -> web.Response:
    """The refusal of a language that is not there, with those that are."""
    response = answers.json(
        {
            "code": ErrorCode.UNSUPPORTED_LANGUAGE.value,
            "message": f"There is nothing in {language[:35]!r} here.",
            "languages": list(available),
        }
    )
    response.set_status(HTTPStatus.NOT_FOUND)
    return response


def _known(tag: str, available: Sequence[str]) -> str | None:
    try:
        code = languages.normalise(tag, parameter="lang")
    except InvalidLanguage:
        return None
    return code if code in available else None


def _look(task: "asyncio.Task[bytes]") -> None:
    """Whoever asked may be gone when it fails."""
    if not task.cancelled():
        task.exception()
