"""Session stores of each kind."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from session_svc.store.base import SessionStore
from tests.contract.session_places import PLACES, Place, Published, place_of


@pytest.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Each kind of place, empty."""
    kind, _, published = request.param.partition(", ")
    async with place_of(kind, tmp_path, request) as made:
        yield Published(made) if published else made


@pytest.fixture
async def store(place: Place) -> AsyncIterator[SessionStore]:
    """A store on each kind of place."""
    made = await place.open()
    yield made
    await made.aclose()


@pytest.fixture
async def replicas(place: Place) -> AsyncIterator[Sequence[SessionStore]]:
    """Four stores on each kind of place, as four processes would have."""
    made = [await place.open() for _ in range(4)]
    yield made
    for one in made:
        await one.aclose()
