"""Fetching and keeping an issuer's keys."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest

from babelcast.auth.jwks import MAX_DOCUMENT_BYTES, Freshness, Jwks, KeySetInvalid, parse
from babelcast.errors import ServiceUnavailable
from tests.unit.babelcast.auth.issuer import FakeClock, Issuer


@pytest.fixture
async def jwks(issuer: Issuer, clock: FakeClock) -> AsyncIterator[Jwks]:
    """Keys that live 100 s, asked for every 10 s at most."""
    async with aiohttp.ClientSession() as http:
        yield Jwks(issuer.url, http, freshness=Freshness(ttl_s=100, floor_s=10, timeout_s=5), monotonic=clock)


async def test_keys_are_fetched_once_while_fresh(jwks: Jwks, issuer: Issuer) -> None:
    """Many questions within the time to live cost one request."""
    found = [await jwks.key("k1") for _ in range(5)]
    assert {key.public_numbers() for key in found if key} == {issuer.keys["k1"].public_key().public_numbers()}
    assert issuer.hits == 1


async def test_concurrent_questions_share_one_fetch(jwks: Jwks, issuer: Issuer) -> None:
    """Fifty at once cost one request, and all get the key."""
    found = await asyncio.gather(*(jwks.key("k1") for _ in range(50)))
    assert all(found)
    assert issuer.hits == 1


async def test_old_keys_are_fetched_again(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
    """After the time to live a withdrawn key is no longer good."""
    assert await jwks.key("k1")
    issuer.published = ["k2"]
    clock.now += 101
    assert await jwks.key("k1") is None
    assert await jwks.key("k2")
    assert issuer.hits == 2


async def test_an_unknown_key_is_looked_for_once(jwks: Jwks, issuer: Issuer, clock: FakeClock) -> None:
    """A rotated key is found at once after the floor, and made-up ids do not flood the issuer."""
    assert await jwks.key("k1")
    issuer.published = ["k1", "k2"]
    clock.now += 11
    assert await jwks.key("k2")
    assert issuer.hits == 2
    for number in range(20):
        assert await jwks.key(f"made-up-{number}") is None
    assert issuer.hits == 2
    clock.now += 11
    assert await jwks.key("made-up") is None
    assert issuer.hits == 3


@pytest.mark.parametrize(
    ("status", "body"), [(503, None), (200, b"not json"), (302, None), (200, b"x" * (MAX_DOCUMENT_BYTES + 1))]
)
async def test_stale_keys_are_good_while_the_issuer_is_down(
    jwks: Jwks, issuer: Issuer, clock: FakeClock, status: int, body: bytes | None
) -> None:
    """A key once seen stays good however the issuer fails; an unseen one cannot be judged."""
    assert await jwks.key("k1")
    issuer.status, issuer.body = status, body
    clock.now += 1_000
    assert await jwks.key("k1")
    with pytest.raises(ServiceUnavailable):
        await jwks.key("k2")
    assert issuer.hits == 2, "the floor holds while the issuer is down"
    issuer.status, issuer.body, issuer.published = 200, None, ["k2"]
    clock.now += 11
    assert await jwks.key("k2")
    assert await jwks.key("k1") is None


async def test_nothing_cached_and_no_issuer(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Without keys and without an issuer the answer is that it cannot be checked, with a time to retry."""
    async with aiohttp.ClientSession() as http:
        jwks = Jwks("http://127.0.0.1:1/jwks.json", http, monotonic=clock)
        with caplog.at_level(logging.WARNING), pytest.raises(ServiceUnavailable) as raised:
            await jwks.key("k1")
        clock.now += 4
        with pytest.raises(ServiceUnavailable) as later:
            await jwks.key("k1")
    assert raised.value.details["retryAfter"] == Freshness().floor_s
    assert later.value.details["retryAfter"] == Freshness().floor_s - 4
    assert "cannot be fetched" in caplog.text


async def test_a_hanging_issuer_is_given_up(clock: FakeClock) -> None:
    """An issuer that accepts and never answers costs the timeout, not forever."""
    gone = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    async with server, aiohttp.ClientSession() as http:
        jwks = Jwks(url, http, freshness=Freshness(timeout_s=0.05), monotonic=clock)
        with pytest.raises(ServiceUnavailable):
            await jwks.key("k1")
        await gone.wait()


async def test_a_cancelled_asker_does_not_hold_up_others(
    jwks: Jwks, issuer: Issuer, clock: FakeClock
) -> None:
    """Whoever fetches may go away; the next one finds out for itself."""
    first = asyncio.create_task(jwks.key("k1"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    clock.now += 11
    assert await jwks.key("k1")


def test_only_sound_rs256_signing_keys_are_taken(issuer: Issuer) -> None:
    """Encryption keys, other algorithms, short, broken and nameless keys are passed over."""
    good = issuer.jwks()["keys"][0]
    short_n = base64.urlsafe_b64encode(b"\xff" * 128).rstrip(b"=").decode()
    document = {
        "keys": [
            good,
            {**good, "kid": "plain", "use": None, "alg": None},
            {**good, "kid": "enc", "use": "enc"},
            {**good, "kid": "other", "alg": "RS512"},
            {**good, "kid": "broken", "n": "!!"},
            {**good, "kid": "even", "e": "Ag"},
            {**good, "kid": "short", "n": short_n},
            {**good, "kid": ""},
            {"kty": "EC", "kid": "ec", "crv": "P-256", "x": "AA", "y": "AA"},
        ]
    }
    assert set(parse(msgspec.json.encode(document))) == {"k1", "plain"}


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": 3}', b'{"keys": [{"kid": 3}]}', b"\xff"])
def test_what_is_no_key_set(document: bytes) -> None:
    """Anything else than a key set has a name of its own."""
    with pytest.raises(KeySetInvalid):
        parse(document)
