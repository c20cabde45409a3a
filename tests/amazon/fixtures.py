"""A server in Amazon's place."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.amazon.server import TranscribeServer


@pytest.fixture(scope="session")
def transcribe_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, made for this run."""
    from tests.amazon.server import make_certificate

    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
async def transcribe_server(
    transcribe_certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator["TranscribeServer"]:
    """A server that the network library trusts."""
    from tests.amazon.server import serving

    monkeypatch.setenv("SSL_CERT_FILE", str(transcribe_certificate))
    async with serving(transcribe_certificate) as server:
        yield server
        assert not server.failures
