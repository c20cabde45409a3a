"""Replicas that share the table of translations."""

import asyncio
import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from session_svc.store.dynamodb.client import open_client
from session_svc.store.dynamodb.provisioning import Provisioning
from session_svc.store.dynamodb.tables import Table, TableNames
from translation_svc import composition
from translation_svc.cache_table import KEY, TableShelf
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig
from translation_svc.glossary import Glossary
from translation_svc.turns import Urgency

if TYPE_CHECKING:
    from tests.aws_local import AwsLocal

PATIENCE_S = 20.0


@pytest.fixture
async def config(dynamodb: TableNames, aws: "AwsLocal", monkeypatch: pytest.MonkeyPatch) -> TranslationConfig:
    """Amazon's engines, and a table on DynamoDB Local, which a busy machine may keep waiting."""
    monkeypatch.setattr("translation_svc.cache_table.CALL_TIMEOUT_S", PATIENCE_S)
    name = f"TranslationCache-{uuid.uuid4().hex[:12]}"
    client, close = await open_client("eu-west-1")
    try:
        await Provisioning(client, {}).create(Table(name, KEY))
    finally:
        await close()
    return TranslationConfig(
        translation_bind="127.0.0.1:0",
        drain_seconds=5,
        translation_engine="amazon",
        voice_engine="polly",
        translation_call_timeout_seconds=PATIENCE_S,
        translation_cache_table_name=name,
    )


@contextlib.asynccontextmanager
async def _replica(config: TranslationConfig) -> AsyncIterator[TranslationApp]:
    app = TranslationApp(config)
    assert isinstance(app._shelf, TableShelf)
    app._shelf._read_deadline_s = PATIENCE_S
    await app.start()
    try:
        yield app
    finally:
        await app.aclose()


async def _say(app: TranslationApp, text: str) -> str:
    return await app.interpreter.translate(
        text, source="en", target="es", glossary=Glossary(), urgency=Urgency.FINAL
    )


async def test_what_one_replica_translated_another_need_not(
    config: TranslationConfig, aws: "AwsLocal"
) -> None:
    """What was still to be written goes out when the first one stops; other terms are another question."""
    async with _replica(config) as first:
        assert await _say(first, "Good morning.") == "Es: Good morning."
    assert aws.count("translate:TranslateText") == 1
    async with _replica(config) as second:
        answers = await asyncio.gather(*(_say(second, "Good  morning.") for _ in range(5)))
        assert answers == ["Es: Good morning."] * 5
    assert aws.count("translate:TranslateText") == 1
    aws.terminologies["ours"] = {}
    async with _replica(dataclasses.replace(config, translate_terminology="ours")) as other:
        await _say(other, "Good morning.")
    assert aws.count("translate:TranslateText") == 2


def test_without_a_name_there_is_no_table() -> None:
    """Memory alone."""
    assert composition._shelf(TranslationConfig()) is None
