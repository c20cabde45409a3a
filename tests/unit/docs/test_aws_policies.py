"""The policies of docs/aws.md allow what is called, and nothing else."""

import inspect
import json
import re
import typing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore import xform_name

from session_svc.store.dynamodb import calls, provisioning
from session_svc.store.dynamodb.tables import TableNames, tables
from tests.aws_local import REGION
from translation_svc import cache_table
from translation_svc.aws import AwsSettings
from translation_svc.segments import Prosody
from translation_svc.translators.amazon import AmazonTranslator, TranslateClient
from translation_svc.translators.base import Pair
from translation_svc.turns import Urgency
from translation_svc.voices.polly import PollyClient, PollyVoice

if TYPE_CHECKING:
    from tests.aws_local import AwsLocal

PAGE = Path(__file__).parents[3] / "docs" / "aws.md"


def _policy(name: str) -> list[dict[str, list[str]]]:
    found = re.search(rf"<!-- policy {name} -->\n```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    policy = json.loads(found[1])
    assert policy["Version"] == "2012-10-17"
    statements: list[dict[str, list[str]]] = policy["Statement"]
    return statements


def _actions(name: str) -> list[str]:
    return sorted(action for statement in _policy(name) for action in statement["Action"])


def _calls(client: type, service: str) -> set[str]:
    """What a client's protocol can be asked for, as boto's methods."""
    return {
        f"{service}:{name}"
        for name, _ in inspect.getmembers(client, inspect.isfunction)
        if not name.startswith("_")
    }


def _methods(actions: list[str]) -> set[str]:
    return {f"{service}:{xform_name(name)}" for service, name in (action.split(":") for action in actions)}


def test_translation_may_do_what_it_can_ask_for() -> None:
    """Every operation of both clients is listed, and no other."""
    assert _methods(_actions("translation")) == _calls(TranslateClient, "translate") | _calls(
        PollyClient, "polly"
    )


async def test_translation_asks_for_no_more(aws: "AwsLocal") -> None:
    """What really reaches the services is what the policy lists."""
    settings = AwsSettings(region=REGION, call_timeout_s=20)
    translator, voice = AmazonTranslator(settings=settings), PollyVoice(settings=settings)
    await translator.warm_all()
    await translator.translate("Hello.", Pair("en", "es"), urgency=Urgency.FINAL)
    await voice.speak("Hola.", language="es", prosody=Prosody(rate=1.2))
    await translator.aclose()
    await voice.aclose()
    assert sorted({operation for operation, _ in aws.asked}) == _actions("translation")


def test_transcription_may_open_streams() -> None:
    """Streaming over HTTP/2 is one action."""
    assert _actions("transcription") == ["transcribe:StartStreamTranscription"]


def test_the_record_may_do_what_it_can_ask_for() -> None:
    """A transaction needs the rights of its parts; reading whole tables is for an empty system alone."""
    parts = {f"dynamodb:{xform_name(kind)}_item" for kind in typing.get_args(calls.Kind)}
    asked = _calls(calls.Client, "dynamodb") - {"dynamodb:transact_write_items", "dynamodb:scan"}
    assert _methods(_actions("session")) == asked | parts


def test_the_cache_may_do_what_it_can_ask_for() -> None:
    """Every operation on the table of translations is listed, and no other; the table is named."""
    assert _methods(_actions("translation-cache")) == _calls(cache_table.TableClient, "dynamodb")
    resources = {arn.split(":")[-1] for part in _policy("translation-cache") for arn in part["Resource"]}
    assert resources == {"table/TranslationCache"}


def test_tables_are_made_with_no_more_than_that_needs() -> None:
    """Every operation of the administration is listed, and no other."""
    assert _methods(_actions("tables")) == _calls(provisioning.Admin, "dynamodb")


@pytest.mark.parametrize("name", ["session", "tables"])
def test_tables_and_indexes_are_named(name: str) -> None:
    """No right is given on more than the tables and indexes there are."""
    resources = {arn.split(":")[-1] for part in _policy(name) for arn in part["Resource"]}
    known = tables(TableNames())
    names = {f"table/{table.name}" for table in known}
    indexes = {f"table/{table.name}/index/{index.name}" for table in known for index in table.indexes}
    assert resources == (names | indexes if name == "session" else {*names, "table/TranslationCache"})
