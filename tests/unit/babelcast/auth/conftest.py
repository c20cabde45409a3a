"""An issuer that serves its keys on any free port, and a clock."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.unit.babelcast.auth.issuer import FakeClock, Issuer


@pytest.fixture(scope="session")
def rsa_keys() -> dict[str, rsa.RSAPrivateKey]:
    """Two keys, made once: they are slow to make."""
    return {kid: rsa.generate_private_key(public_exponent=65537, key_size=2048) for kid in ("k1", "k2")}


@pytest.fixture
async def issuer(rsa_keys: dict[str, rsa.RSAPrivateKey]) -> AsyncIterator[Issuer]:
    """An issuer that is up and publishes its first key."""
    made = Issuer(dict(rsa_keys), published=["k1"])
    app = web.Application()
    app.router.add_get("/jwks.json", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    yield made
    await runner.cleanup()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that goes when told."""
    return FakeClock()
