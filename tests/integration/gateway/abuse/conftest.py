"""One gateway for all attacks of a file, and an attacker's address for each."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.gateway.abuse.attackers import addresses
from tests.integration.gateway.abuse.fortress import Fortress, fortress


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fortress]:
    """A gateway with its usual limits, which is as well after all attacks as before."""
    async with fortress(tmp_path_factory.mktemp("fortress")) as running:
        yield running


@pytest.fixture
def attacked(standing: Fortress) -> Fortress:
    """The same, for an attacker of whom it knows nothing yet."""
    standing.attacker = f"127.0.0.{next(addresses)}"
    return standing
