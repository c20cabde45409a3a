"""How many connections a process holds."""

import resource

import pytest

from gateway.capacity import KEPT_FILES, MOST_FILES, most_connections, raise_open_files
from gateway.config import GatewayConfig


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The soft and hard limit of open files, which are not really changed."""
    now = [1024, 4096]

    def change(_: int, wanted: tuple[int, int]) -> None:
        now[:] = wanted

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(now))
    monkeypatch.setattr(resource, "setrlimit", change)
    return now


def test_open_files_are_raised_within_reason(limits: list[int]) -> None:
    """To what the system allows, and never lowered."""
    raise_open_files()
    assert limits == [4096, 4096]
    limits[:] = [1024, resource.RLIM_INFINITY]
    raise_open_files()
    assert limits == [MOST_FILES, resource.RLIM_INFINITY]
    limits[:] = [10 * MOST_FILES, 10 * MOST_FILES]
    raise_open_files()
    assert limits == [10 * MOST_FILES] * 2


def test_some_files_are_kept_from_clients(limits: list[int]) -> None:
    """Whatever the setting says."""
    assert most_connections(GatewayConfig()) == 1024 - KEPT_FILES
    assert most_connections(GatewayConfig(max_connections=10)) == 10
    assert most_connections(GatewayConfig(max_connections=5000)) == 1024 - KEPT_FILES
    limits[:] = [resource.RLIM_INFINITY] * 2
    assert most_connections(GatewayConfig()) == MOST_FILES - KEPT_FILES
