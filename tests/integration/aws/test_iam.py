"""The policies of deploy/aws/iam allow what the services really ask AWS for, and nothing else."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from cli import tables as tables_command
from session_svc.model import Controls, Role
from session_svc.quotas import Quota
from session_svc.store.base import Charge, Refused, SessionStore
from session_svc.store.dynamodb import DynamoDbStore
from session_svc.store.dynamodb.calls import Calls
from session_svc.store.dynamodb.client import open_client
from session_svc.store.dynamodb.provisioning import Provisioning
from session_svc.store.dynamodb.tables import ON_DEMAND, Table, TableNames, tables
from tests.amazon.driving import amazon, everything, feed
from tests.amazon.reciting import Reciter
from tests.aws_gate import Gate, gate
from tests.aws_permitted import Permitted
from tests.aws_policies import FOLDER, REGION, Asked, Policy, policy, read, rendered
from tests.contract.session_places import CODE, HOUR, NOW, handover, listener, session, speaker
from transcription_svc.engines.base import StreamOptions
from translation_svc.aws import AwsSettings
from translation_svc.cache import Shelved
from translation_svc.cache_table import KEY, TableShelf
from translation_svc.segments import Prosody
from translation_svc.translators.amazon import AmazonTranslator
from translation_svc.translators.base import Pair
from translation_svc.turns import Urgency
from translation_svc.voices.polly import PollyVoice

if TYPE_CHECKING:
    from tests.amazon.server import TranscribeServer
    from tests.aws_local import AwsLocal

EMPTY_SYSTEM_ONLY = {"leave_all", "aclose"}
"""Methods of a store that a service on tables never calls: `leave_all` reads a whole table."""


class Noted:
    """A store, and which of its methods were called."""

    def __init__(self, store: SessionStore) -> None:
        self.called: set[str] = set()
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., object]:
        self.called.add(name)
        method: Callable[..., object] = getattr(self._store, name)
        return method


def cache_name(names: TableNames) -> str:
    """The table of translations, of this test alone."""
    return names.sessions.replace("Sessions", "TranslationCache")


@pytest.fixture
def documents(dynamodb: TableNames, tmp_path: Path) -> Path:
    """All documents, with this test's tables in them."""
    return rendered(
        tmp_path / "iam",
        SESSIONS_TABLE_NAME=dynamodb.sessions,
        CONNECTIONS_TABLE_NAME=dynamodb.connections,
        RATE_LIMITS_TABLE_NAME=dynamodb.rate_limits,
        TRANSLATION_CACHE_TABLE_NAME=cache_name(dynamodb),
    )


@asynccontextmanager
async def allowed(rights: Policy, dynamodb_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gate]:
    """DynamoDB, for somebody with these rights."""
    async with gate(dynamodb_url, rights.allows) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", made.url)
        yield made


async def make(names: TableNames, *more: Table) -> None:
    """Make tables, past any gate."""
    client, close = await open_client(REGION)
    try:
        provisioning = Provisioning(client, {})
        await asyncio.gather(*(provisioning.create(table) for table in (*tables(names), *more)))
    finally:
        await close()


async def everything_of_a_store(store: SessionStore) -> None:
    """Each operation of a store, on the paths that ask for different rights."""
    charge = Charge("join/192.0.2.1", "joins", Quota(5, 60_000))
    await store.create(session(), speaker(), charge=charge, at_most=1, now_ms=NOW)
    assert await store.find(CODE) is not None
    assert await store.renew_lease("g1", until_ms=NOW + HOUR)
    for name in ("c1", "c2"):
        seat = replace(listener(name), gateway_id="g1")
        await store.join(seat, capacity=5, now_ms=NOW)
    with pytest.raises(Refused):
        await store.join(listener("c1"), capacity=5, now_ms=NOW)
    await store.rotate("c1", b"other", now_ms=NOW)
    await store.change_language("c1", "fr", now_ms=NOW)
    await store.update_broadcast(CODE, "speaker", Controls(is_muted=True), now_ms=NOW)
    await store.hand_over(handover(speaker(), "speaker-2"), now_ms=NOW)
    assert await store.successor("speaker") is not None
    assert await store.seat("speaker-2") is not None
    assert set(await store.connections_of("g1")) == {"c1", "c2"}
    assert len((await store.live_page("", limit=10, now_ms=NOW)).snapshots) == 1
    for name, role in (("c1", Role.LISTENER), ("speaker-2", Role.SPEAKER)):
        left = await store.leave(name, grace_until_ms=NOW, resumable_until_ms=NOW, now_ms=NOW)
        assert left is not None
        assert left[0] is role
    await store.sweep(now_ms=NOW + 1, forget_before_ms=NOW)
    await store.lapse(due_ms=NOW + 2 * HOUR, settled_ms=NOW)
    await store.lapse(due_ms=NOW + 2 * HOUR, settled_ms=NOW + 3 * HOUR)
    again = "silver-otter-100"
    await store.create(session(again, "s2"), speaker(again, "s2"), now_ms=NOW)
    await store.end(again, "s2", "over", now_ms=NOW)
    await store.sweep(now_ms=NOW + 2 * HOUR, forget_before_ms=NOW + HOUR)


async def test_the_session_service_may_do_its_work_and_no_more(
    dynamodb: TableNames, dynamodb_url: str, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every operation of its store passes with the policy alone, and every right in it is used by one."""
    await make(dynamodb)
    rights = policy(documents, "session")
    async with allowed(rights, dynamodb_url, monkeypatch) as made:
        store = await DynamoDbStore.open(dynamodb, region=REGION)
        noted = Noted(store)
        await everything_of_a_store(noted)  # type: ignore[arg-type]  # stands in for all of its methods
        await store.aclose()
    assert made.refused == set()
    assert rights.surplus(made.passed) == set()
    methods = {name for name in vars(SessionStore) if not name.startswith("_")}
    assert methods - noted.called == EMPTY_SYSTEM_ONLY


async def test_a_missing_right_is_noticed(
    dynamodb: TableNames, dynamodb_url: str, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any one of its rights the same work is refused: the gate decides, and so does the policy."""
    await make(dynamodb)
    rights = policy(documents, "session")
    lacking = Asked(
        "dynamodb:Query", next(arn for _, arn in rights.pairs() if arn.endswith("phase-endsAt-index"))
    )
    async with gate(dynamodb_url, lambda asked: rights.allows(asked) and asked != lacking) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", made.url)
        client, close = await open_client(REGION)
        store = DynamoDbStore(Calls(client), dynamodb, clock=lambda: NOW)
        with pytest.raises(Exception, match="record of sessions"):
            await everything_of_a_store(store)
        await close()
    assert made.refused == {lacking}


async def test_translation_may_do_its_work_and_no_more(
    dynamodb: TableNames,
    dynamodb_url: str,
    documents: Path,
    aws: "AwsLocal",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Translate, Polly and the cache's table are asked for what the policy lists, and for all of it."""
    await make(dynamodb, Table(cache_name(dynamodb), KEY))
    rights = policy(documents, "translation")
    settings = AwsSettings(region=REGION, call_timeout_s=20)
    async with allowed(rights, dynamodb_url, monkeypatch) as made:
        shelf = TableShelf(cache_name(dynamodb), settings=settings, read_deadline_s=20)
        shelf.start()
        shelf.put("k", Shelved("Hola.", 60))
        await shelf.flush()
        found = await shelf.get("k")
        await shelf.aclose()
    assert found is not None
    translator, voice = AmazonTranslator(settings=settings), PollyVoice(settings=settings)
    await translator.warm_all()
    await translator.translate("Hello.", Pair("en", "es"), urgency=Urgency.FINAL)
    await voice.speak("Hola.", language="es", prosody=Prosody(rate=1.2))
    await translator.aclose()
    await voice.aclose()
    used = made.passed | {Asked(operation) for operation, _ in aws.asked}
    assert made.refused == set()
    assert [one for one in used if not rights.allows(one)] == []
    assert rights.surplus(used) == set()


async def test_transcription_may_do_its_work_and_no_more(
    transcribe_server: "TranscribeServer", documents: Path
) -> None:
    """A talk opens streams over HTTP/2, which is one action; the WebSocket's is another, and not allowed."""
    rights = policy(documents, "transcription")
    transcribe_server.scripts = [Reciter()]
    transcriber = amazon(transcribe_server)
    recognition = transcriber.open(StreamOptions(language="en"))
    reading = asyncio.create_task(everything(recognition))
    async with asyncio.timeout(30):
        await feed(recognition, np.full(16_000, 0.1, np.float32))
        await recognition.finish()
        await reading
    await recognition.aclose()
    assert transcribe_server.calls
    assert all("authorization" in call.headers for call in transcribe_server.calls)
    assert all("sec-websocket-key" not in call.headers for call in transcribe_server.calls)
    used = {Asked("transcribe:StartStreamTranscription")}
    assert rights.surplus(used) == set()
    assert all(rights.allows(one) for one in used)
    assert not rights.allows(Asked("transcribe:StartStreamTranscriptionWebSocket"))


async def test_tables_are_made_with_no_more_than_that_needs(
    dynamodb: TableNames, dynamodb_url: str, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator with that policy alone makes, mends and checks all tables, and reads no row."""
    rights = policy(documents, "tables")
    environ = {
        "AWS_REGION": REGION,
        "SESSIONS_TABLE_NAME": dynamodb.sessions,
        "CONNECTIONS_TABLE_NAME": dynamodb.connections,
        "RATE_LIMITS_TABLE_NAME": dynamodb.rate_limits,
        "TRANSLATION_CACHE_TABLE_NAME": cache_name(dynamodb),
    }
    async with allowed(rights, dynamodb_url, monkeypatch) as made:
        assert await tables_command.create(environ, [], Console(quiet=True)) == 0
        assert await tables_command.check(environ, [], Console(quiet=True)) == 0
        client, close = await open_client(REGION)
        # what DynamoDB Local never lacks: tags, which it does not keep, and another way of billing
        for name in (*(table.name for table in tables(dynamodb)), cache_name(dynamodb)):
            arn = f"arn:aws:dynamodb:{REGION}:000000000000:table/{name}"
            for call in (
                client.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}]),
                client.update_table(TableName=name, BillingMode=ON_DEMAND),
            ):
                await asyncio.gather(call, return_exceptions=True)
        await close()
    assert made.refused == set()
    assert rights.surplus(made.passed) == set()
    assert {asked.action for asked in made.passed}.isdisjoint({"dynamodb:GetItem", "dynamodb:Scan"})


def test_a_gateway_may_do_nothing(documents: Path) -> None:
    """Its role denies everything, so that a process in its place has not even what a node may do."""
    rights = policy(documents, "gateway")
    assert list(rights.pairs()) == []
    assert not rights.allows(Asked("dynamodb:GetItem"))


@pytest.mark.parametrize("name", ["session", "transcription", "translation", "tables"])
def test_stars_stand_only_where_aws_has_nothing_narrower(documents: Path, name: str) -> None:
    """Actions have no star; a resource is one only for services without resources, bound to the region."""
    rights = policy(documents, name)
    assert [action for action, _ in rights.pairs() if "*" in action or "?" in action] == []
    for statement in rights.statements:
        if any("*" in resource for resource in statement.resources):
            assert {action.split(":")[0] for action in statement.actions} <= {
                "transcribe",
                "translate",
                "polly",
            }
            elsewhere = Asked(statement.actions[0], region="us-east-1")
            assert not rights.allows(elsewhere)
        assert not any("123456789012:*" in resource for resource in statement.resources)


def test_services_share_no_right(documents: Path) -> None:
    """What one service may, no other may."""
    pairs = {
        name: set(policy(documents, name).pairs()) for name in ("session", "transcription", "translation")
    }
    for one, other in itertools.combinations(pairs.values(), 2):
        assert one & other == set()


@pytest.mark.parametrize("service", ["gateway", "session", "transcription", "translation"])
def test_a_role_is_for_one_service_account(documents: Path, service: str) -> None:
    """The cluster's issuer, this namespace, this service account and no other."""
    (statement,) = json.loads((documents / f"trust-{service}.json").read_text())["Statement"]
    issuer = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{issuer}"}
    assert statement["Condition"] == {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:sub": f"system:serviceaccount:babelcast-test:babelcast-{service}",
        }
    }


def test_a_rendered_document_has_no_blanks_left(documents: Path) -> None:
    """Everything that stands for a name was replaced, in every document there is."""
    assert len(list(documents.iterdir())) == 2 * len(list(FOLDER.glob("*.json"))) - 3
    for path in documents.iterdir():
        for blank in ("REGION", "ACCOUNT", "_TABLE", "OIDC", "NAMESPACE"):
            assert blank not in path.read_text(), path.name


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "NotAction": "*", "Resource": "*"},
        {"Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"StringLike": {}}},
        {"Effect": "Maybe", "Action": "a:B", "Resource": "*"},
        {"Effect": "Allow", "Action": 1, "Resource": "*"},
    ],
)
def test_what_the_evaluator_does_not_know_it_does_not_read(statement: dict[str, object]) -> None:
    """A document with more than it understands is an error, not an answer."""
    with pytest.raises(ValueError, match=r"unknown|neither|effect"):
        read({"Version": "2012-10-17", "Statement": [statement]})


def test_a_denial_wins() -> None:
    """As in IAM: a right that one statement gives and another denies is none."""
    allow = {"Effect": "Allow", "Action": "dynamodb:Get*", "Resource": "arn:x"}
    deny = {"Effect": "Deny", "Action": "*", "Resource": "arn:x"}
    asked = Asked("dynamodb:GetItem", "arn:x")
    assert read({"Version": "2012-10-17", "Statement": [allow]}).allows(asked)
    assert not read({"Version": "2012-10-17", "Statement": [allow, deny]}).allows(asked)
    assert not read({"Version": "2012-10-17", "Statement": [allow]}).allows(replace(asked, resource="arn:y"))


async def test_stores_in_other_tests_have_the_same_rights(dynamodb: TableNames) -> None:
    """What the contract tests do asks the policy first: another table and another operation are refused."""
    permitted = Permitted(None, dynamodb)
    with pytest.raises(AttributeError):
        await permitted.get_item(TableName=dynamodb.sessions)
    client, close = await open_client(REGION)
    permitted = Permitted(client, dynamodb)
    with pytest.raises(AssertionError, match="dynamodb:GetItem"):
        await permitted.get_item(TableName="Others", Key={})
    with pytest.raises(AssertionError, match="dynamodb:DeleteItem"):
        await permitted.delete_item(TableName=dynamodb.rate_limits, Key={})
    await close()
