"""`babelcast tables` against DynamoDB Local."""

import os

import pytest
from rich.console import Console

from babelcast.config import ConfigError
from cli import tables
from session_svc.store.base import StoreUnavailable
from session_svc.store.dynamodb.tables import TableNames
from tests.unit.cli.page import Page


@pytest.fixture
def environ(dynamodb: TableNames) -> dict[str, str]:
    """The names of the tables, as the session service reads them."""
    return {
        **os.environ,
        "SESSIONS_TABLE_NAME": dynamodb.sessions,
        "CONNECTIONS_TABLE_NAME": dynamodb.connections,
        "RATE_LIMITS_TABLE_NAME": dynamodb.rate_limits,
    }


async def test_tables_are_checked_made_and_checked(
    environ: dict[str, str], console: Console, page: Page, dynamodb: TableNames
) -> None:
    """One line each, and an exit code that says whether all is well."""
    assert await tables.check(environ, [], console) == 1
    assert await tables.create(environ, ["Environment=test"], console) == 0
    assert await tables.create(environ, [], console) == 0
    assert await tables.check(environ, [], console) == 0
    names = (dynamodb.sessions, dynamodb.connections, dynamodb.rate_limits)
    said = ["✗ {}: is missing", "✓ {}: made, rows expire", "✓ {}: already there", "✓ {}: as it should be"]
    assert page.getvalue().splitlines() == [line.format(name) for line in said for name in names]


async def test_the_table_of_translations_is_made_where_it_has_a_name(
    environ: dict[str, str], console: Console, page: Page, dynamodb: TableNames
) -> None:
    """Beside the others, with its own key."""
    name = dynamodb.sessions.replace("Sessions", "TranslationCache")
    named = {**environ, "TRANSLATION_CACHE_TABLE_NAME": name}
    assert await tables.create(named, [], console) == 0
    assert await tables.check(named, [], console) == 0
    lines = page.getvalue().splitlines()
    assert len(lines) == 8
    assert (lines[3], lines[7]) == (f"✓ {name}: made, rows expire", f"✓ {name}: as it should be")


async def test_a_dynamodb_that_does_not_answer(
    environ: dict[str, str], console: Console, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each table's line says what went wrong."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")
    assert await tables.check(environ, [], console) == 1
    assert page.getvalue().count("Could not connect") == 3


async def test_a_table_with_another_key(
    environ: dict[str, str], console: Console, page: Page, dynamodb: TableNames
) -> None:
    """What cannot be mended is said, and the others are made all the same."""
    await tables.create(environ, [], console)
    swapped = {**environ, "RATE_LIMITS_TABLE_NAME": dynamodb.sessions}
    assert await tables.create(swapped, [], console) == 1
    last = page.getvalue().splitlines()[-1]
    assert last == f"✗ {dynamodb.sessions}: has the key sessionId, not rateKey; that cannot be changed."


@pytest.mark.parametrize("tag", ["x", "=y"])
async def test_a_tag_has_a_key_and_a_value(environ: dict[str, str], console: Console, tag: str) -> None:
    """Anything else is refused by name."""
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        await tables.create(environ, [tag], console)


async def test_a_region_is_needed(
    environ: dict[str, str], console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one nothing can be asked."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(StoreUnavailable, match="region"):
        await tables.check({**environ, "AWS_REGION": ""}, [], console)
