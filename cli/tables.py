"""`babelcast tables`: the DynamoDB tables of the session service, and that of translations, one line each."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape

from babelcast.config import ConfigError, load
from cli import outcome
from session_svc.config import SessionConfig
from session_svc.store.base import StoreUnavailable
from session_svc.store.dynamodb.client import open_client
from session_svc.store.dynamodb.provisioning import Provisioning
from session_svc.store.dynamodb.tables import Table, TableNames, tables
from translation_svc import cache_table
from translation_svc.config import TranslationConfig

APPLICATION = {"Application": "babelcast"}


async def create(environ: Mapping[str, str], tags: Sequence[str], console: Console) -> int:
    """Make or mend each table.

    Raises: ConfigError, StoreUnavailable.
    """

    async def one(provisioning: Provisioning, table: Table) -> tuple[bool, str]:
        try:
            done = await provisioning.create(table)
        except StoreUnavailable as error:
            return False, error.message.removeprefix(f"{table.name} ")
        return True, ", ".join(done) or "already there"

    return await _each(environ, tags, console, one)


async def check(environ: Mapping[str, str], tags: Sequence[str], console: Console) -> int:
    """Say of each table what is not as it should be.

    Raises: ConfigError, StoreUnavailable.
    """

    async def one(provisioning: Provisioning, table: Table) -> tuple[bool, str]:
        found = await provisioning.check(table)
        return not found, "; ".join(lack.words for lack in found) or "as it should be"

    return await _each(environ, tags, console, one)


async def _each(
    environ: Mapping[str, str],
    tags: Sequence[str],
    console: Console,
    one: Callable[[Provisioning, Table], Awaitable[tuple[bool, str]]],
) -> int:
    config = load(SessionConfig, environ)
    wanted = APPLICATION | _parsed(tags)
    client, close = await open_client(config.aws_region)
    code = outcome.OK
    try:
        provisioning = Provisioning(client, wanted)
        for table in _wanted(config, load(TranslationConfig, environ)):
            good, words = await _told(one(provisioning, table))
            mark = "[green]✓[/]" if good else "[red]✗[/]"
            console.print(f"{mark} {escape(table.name)}: {escape(words)}", soft_wrap=True, highlight=False)
            if not good:
                code = outcome.FAILED
    finally:
        await close()
    return code


def _wanted(session: SessionConfig, translation: TranslationConfig) -> list[Table]:
    """All tables that are configured; that of translations only exists if it has a name."""
    names = TableNames(
        session.sessions_table_name, session.connections_table_name, session.rate_limits_table_name
    )
    cache = translation.translation_cache_table_name
    return [*tables(names), *([Table(cache, cache_table.KEY)] if cache else [])]


async def _told(work: Awaitable[tuple[bool, str]]) -> tuple[bool, str]:
    """What AWS says no to is the line of that table."""
    try:
        return await work
    except (ClientError, BotoCoreError) as error:
        return False, " ".join(str(error).split())


def _parsed(tags: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for tag in tags:
        key, sign, value = tag.partition("=")
        if not key or not sign:
            raise ConfigError(f"a tag is written KEY=VALUE, not {tag!r}")
        pairs[key] = value
    return pairs
