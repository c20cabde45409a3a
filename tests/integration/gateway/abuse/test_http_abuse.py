"""Connections and requests that are slow, many, or not what they seem."""

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from gateway.front import HEAD_WITHIN_S, MAX_WAITING
from tests.integration.gateway.abuse.attackers import TEXT, Wire, frame, refused, upgrade
from tests.integration.gateway.abuse.fortress import Fortress, fortress
from tests.integration.gateway.client import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

FLOOD = 3_000
SLOW = 300
SPARE_FILES = 150
CODE = "golden-eagle-"


async def test_heads_that_trickle(attacked: Fortress) -> None:
    """Requests and upgrades a byte at a time are waited for until 10 s after they came, all told."""
    heads = [b"GET / HTTP/1.1\r\nHost: here\r\nX-Slow: ", upgrade()[:-4] + b"\r\nX-Slow: "]
    async with attacked.undisturbed(f"{SLOW} heads that trickle"), contextlib.AsyncExitStack() as stack:
        began_s = time.monotonic()

        async def trickle(number: int) -> float:
            made = await stack.enter_async_context(attacked.wire())
            reading = asyncio.create_task(made.rest())
            await made.send(heads[number % 2])
            while not reading.done():
                await made.send(b"x")
                await asyncio.wait([reading], timeout=0.5)
            assert reading.result().startswith(b"HTTP/1.1 408 ") or reading.result() == b""
            return time.monotonic() - began_s

        ended_s = await asyncio.gather(*map(trickle, range(SLOW)))
        assert max(ended_s) < HEAD_WITHIN_S + 10
    assert attacked.files < SPARE_FILES


async def test_bodies_that_trickle(attacked: Fortress) -> None:
    """A body is nothing that is waited for: the answer is there before it, and the connection ends."""
    async with attacked.undisturbed("bodies that trickle"):
        for line in (b"Content-Length: 10000000", b"Transfer-Encoding: chunked"):
            for path in (b"/local/token", b"/", b"/nothing"):
                async with attacked.wire() as made:
                    await made.send(b"POST " + path + b" HTTP/1.1\r\nHost: here\r\n" + line + b"\r\n\r\n1")
                    assert (await made.rest()).startswith(b"HTTP/1.1 4")


async def test_a_flood_of_connections_that_say_nothing(attacked: Fortress) -> None:
    """Only so many wait at once, the newest; those who speak up are served all the while."""
    most_files = 0
    async with (
        attacked.undisturbed(f"{FLOOD} connections that say nothing"),
        contextlib.AsyncExitStack() as stack,
    ):
        for count in range(FLOOD):
            made = await stack.enter_async_context(attacked.wire())
            if count % 100 == 0:
                most_files = max(most_files, attacked.files)
                await made.send(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
                assert (await made.head()).startswith(b"HTTP/1.1 200 ")
        assert most_files < MAX_WAITING + SPARE_FILES
    async with asyncio.timeout(20):
        while attacked.files > SPARE_FILES:  # noqa: ASYNC110 - it can only be looked at
            await asyncio.sleep(0.05)


async def test_a_flood_of_upgrades(attacked: Fortress) -> None:
    """An address may open so many a minute; a listener of another address joins meanwhile."""
    opened, refused = 0, 0
    async with attacked.undisturbed("1,500 upgrades of one address"), contextlib.AsyncExitStack() as stack:
        for _ in range(1_500):
            made = await stack.enter_async_context(attacked.wire())
            await made.send(upgrade())
            head = await made.head()
            opened += head.startswith(b"HTTP/1.1 101 ")
            refused += head.startswith(b"HTTP/1.1 429 ")
        other = await attacked.client()
        await other.fence()
        other.drop()
    assert opened + refused == 1_500
    assert 1_200 <= opened < 1_400  # 1,200 at once, 20 a second from then on
    assert refused > 100


async def test_no_more_connections_than_there_is_room_for(tmp_path: Path) -> None:
    """Above that newcomers are told so at once; who is inside stays, and a place that is left is taken. Who
    asks whether the gateway is alive is told that it is.
    """
    async with contextlib.AsyncExitStack() as stack:
        attacked = await stack.enter_async_context(fortress(tmp_path, MAX_CONNECTIONS="50"))
        async with attacked.undisturbed("a gateway that is full"):
            inside: list[Wire] = []
            while True:
                made = await stack.enter_async_context(attacked.wire())
                await made.send(b"GET /favicon.ico HTTP/1.1\r\nHost: here\r\n\r\n")
                head = await made.head()
                if not head.startswith(b"HTTP/1.1 200 "):
                    assert head.startswith(b"HTTP/1.1 503 ")
                    break
                inside.append(made)
            assert 40 < len(inside) <= 50
            async with attacked.wire() as probe:
                await probe.send(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n")
                assert (await probe.head()).startswith(b"HTTP/1.1 200 ")
            for held in inside:
                held.writer.transport.abort()
            async with asyncio.timeout(10):
                while True:
                    async with attacked.wire() as made:
                        await made.send(b"GET /favicon.ico HTTP/1.1\r\nHost: here\r\n\r\n")
                        if (await made.head()).startswith(b"HTTP/1.1 200 "):
                            break


GET = b"GET /nothing HTTP/1.1\r\nHost: here\r\n"
POST = b"POST /nothing HTTP/1.1\r\nHost: here\r\n"
HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"
SMUGGLED = [
    POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + HIDDEN,
    POST + b"Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + HIDDEN,
    POST + b"Content-Length: 0, 40\r\n\r\n" + HIDDEN,
    POST + b"Content-Length: +0\r\n\r\n" + HIDDEN,
    POST + b"Content-Length: -1\r\n\r\n" + HIDDEN,
    POST + b"Content-Length: 0x0\r\n\r\n" + HIDDEN,
    POST + b"Content-Length : 0\r\n\r\n" + HIDDEN,
    POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN,
    POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + HIDDEN,
    POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff0\r\n" + HIDDEN,
    POST + b"Transfer-Encoding: chunked\r\n\r\n0_1\r\n" + HIDDEN,
    POST + b"Transfer-Encoding: chunked\r\n\r\n1\n;x\r\n" + HIDDEN,
    GET + b"X-A: b\0c\r\n\r\n" + HIDDEN,
    GET + b"X A: b\r\n\r\n" + HIDDEN,
    GET + b"X-A: b\rContent-Length: 40\r\n\r\n" + HIDDEN,
    GET + b": b\r\n\r\n" + HIDDEN,
    b"GET /nothing HTTP/9.9\r\nHost: here\r\n\r\n" + HIDDEN,
    b"GET /nothing\r\n\r\n" + HIDDEN,
    b"GET /nothing HTTP/1.1 x\r\nHost: here\r\n\r\n" + HIDDEN,
    b"\0\0\0\0\r\n\r\n" + HIDDEN,
    upgrade("/", "Content-Length: 38") + HIDDEN,
    upgrade("/", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + HIDDEN,
    upgrade("/").replace(b"Upgrade: websocket", b"Upgrade : websocket") + HIDDEN,
    upgrade("/").replace(b"\r\nHost", b"\r\n Host") + HIDDEN,
]


async def test_requests_within_requests(attacked: Fortress) -> None:
    """What two servers could read in two ways is refused, and nothing after it is answered."""
    async with attacked.undisturbed(f"{len(SMUGGLED)} ways to hide a request in another"):
        for request in SMUGGLED:
            async with attacked.wire() as made:
                await made.send(request)
                made.writer.write_eof()
                answer = await made.rest()
                assert b"alive" not in answer, request
                assert refused(answer), (request, answer[:200])


async def test_a_websocket_after_a_page(attacked: Fortress) -> None:
    """On one connection, as proxies do it: what follows the upgrade are frames, and nothing else."""
    async with attacked.undisturbed("requests behind an upgrade"):
        for behind in (b"", HIDDEN):
            async with attacked.wire() as made:
                await made.send(HIDDEN)
                assert await made.page() == b"alive\n"
                await made.send(upgrade() + behind)
                assert (await made.head()).startswith(b"HTTP/1.1 101 ")
                await made.send(frame(TEXT, b'{"action": "heartbeat"}') + HIDDEN)
                assert b"alive" not in await made.rest()


TRAVERSALS = [
    "/assets/../security.py",
    "/assets/../../config.py",
    "/assets/..%2f..%2fconfig.py",
    "/assets/%2e%2e/%2e%2e/config.py",
    "/assets/%252e%252e/config.py",
    "/assets/..\\..\\config.py",
    "/assets/....//....//config.py",
    "/assets//etc/passwd",
    "/assets/%2fetc%2fpasswd",
    "/assets/js/../../../config.py",
    "/assets/ui.css%00.py",
    "/assets/" + "../" * 30 + "etc/passwd",
    "/assets/..;/config.py",
    "/assets/\u2025/config.py",
    "//etc/passwd",
    "/../../../../etc/passwd",
    "/sessions/../config.py",
    "/live/../../etc/passwd/es.ogg",
    "/" + "a" * 15_000,
    "http://elsewhere/assets/../config.py",
]


async def test_paths_that_lead_out(attacked: Fortress) -> None:
    """Nothing but the pages' own files is ever sent."""
    async with attacked.undisturbed(f"{len(TRAVERSALS)} paths that lead out"):
        for path in TRAVERSALS:
            async with attacked.wire() as made:
                await made.send(f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())
                answer = await made.rest()
                assert refused(answer), path
                assert b"root:" not in answer
                assert b"dataclass" not in answer


async def test_too_many_header_lines(attacked: Fortress) -> None:
    """Also where all of them are short."""
    many = "".join(f"X-{number}: y\r\n" for number in range(400))
    async with attacked.undisturbed("400 header lines"):
        for request in (upgrade("/", many.rstrip()), f"GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n".encode()):
            async with attacked.wire() as made:
                await made.send(request)
                assert refused(await made.rest())


async def test_codes_are_not_found_by_trying(attacked: Fortress) -> None:
    """After 100 wrong ones from an address nothing is looked up for it, right ones neither; others join."""
    outcomes: list[str] = []
    began_s = time.monotonic()
    async with attacked.undisturbed("3,000 codes tried"):
        talk, listener = await attacked.talk()
        guessers = [await attacked.client(address=attacked.attacker) for _ in range(30)]

        async def guess(client: Client, seat: int) -> None:
            for number in range(100):
                code = f"{CODE}{100 + (seat * 100 + number) % 900}"
                if code != talk.session_id:
                    error = await client.refused(action="joinSession", sessionId=code, targetLanguage="en")
                    outcomes.append(error["code"])

        await asyncio.gather(*(guess(client, seat) for seat, client in enumerate(guessers)))
        right = {"action": "joinSession", "sessionId": talk.session_id, "targetLanguage": "en"}
        assert (await guessers[0].refused(**right))["code"] == "RATE_LIMIT_EXCEEDED"
        other = await attacked.client()
        await other.ask("sessionJoined", **right)
        for client in (*guessers, other, listener, talk.speaker):
            client.drop()
    looked_up = outcomes.count("SESSION_NOT_FOUND")
    came_back = (time.monotonic() - began_s) * 100 / 60
    assert 100 <= looked_up <= 100 + len(guessers) + came_back
    assert set(outcomes) == {"SESSION_NOT_FOUND", "RATE_LIMIT_EXCEEDED"}


async def test_codes_are_not_found_by_asking_for_pages(attacked: Fortress) -> None:
    """Transcripts and streams tell whether a talk is on, so they are limited as well."""
    statuses = []
    for path in ("/sessions/golden-eagle-{}/transcript.txt", "/live/golden-eagle-{}/es.ogg"):
        for number in range(100, 250):
            async with attacked.wire() as made:
                request = f"GET {path.format(number)} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
                await made.send(request.encode())
                statuses.append((await made.head())[9:12])
    assert statuses[:60] == [b"404"] * 60
    assert 100 <= statuses.count(b"404") < 150
    assert set(statuses) == {b"404", b"429"}


async def test_pages_elsewhere_may_not_connect(attacked: Fortress) -> None:
    """A browser on another site is refused before anything is read of its messages."""
    for origin in ("https://evil.example", "null", "http://here.evil.example", "http://evil.example@here"):
        async with attacked.wire() as made:
            await made.send(upgrade("/", f"Origin: {origin}") + frame(TEXT, b"x"))
            assert (await made.head()).startswith(b"HTTP/1.1 403 "), origin
