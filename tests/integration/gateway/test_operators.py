"""What operators see and end, and that nobody else does."""

import dataclasses
import json
from pathlib import Path

import pytest
from rich.console import Console

from babelcast.auth.config import OPERATOR_GROUP
from babelcast.auth.local_issuer import LocalIssuer
from babelcast.errors import RemoteError
from cli import sessions
from gateway.config import GatewayConfig
from tests.integration.gateway.client import Client
from tests.integration.gateway.stage import Stage, staged

CODE = "golden-eagle-427"
ASKED = (
    {"action": "listSessions"},
    {"action": "showSession", "sessionId": CODE},
    {"action": "closeSession", "sessionId": CODE},
)


@pytest.fixture
async def operator(stage: Stage) -> Client:
    """A connection with an operator's token."""
    return await stage.client(token=stage.issuer.mint("olga", groups=["others", OPERATOR_GROUP]))


@pytest.mark.parametrize("fields", ASKED, ids=lambda fields: fields["action"])
async def test_who_is_no_operator(stage: Stage, fields: dict[str, str]) -> None:
    """Neither without a token, nor with a speaker's, in any role, and whether or not there is a session."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    in_another_group = await stage.client(token=stage.issuer.mint("mia", groups=["operators"]))
    for client in (await stage.client(), in_another_group, talk.speaker, listener):
        for code in (CODE, talk.session_id):
            asked = {**fields, "sessionId": code}
            assert (await client.refused(**asked))["code"] == "UNAUTHORIZED_ACTION"
    refused = await listener.refused(**fields, token=stage.token())
    assert refused["code"] == "UNAUTHORIZED_ACTION"
    refused = await listener.refused(**fields, token="bad")
    assert refused["code"] == "UNAUTHORIZED"
    assert (await stage.desk.sessions.get(talk.session_id)).audience.listener_count == 1


async def test_without_a_group_there_are_no_operators(tmp_path: Path, issuer: LocalIssuer) -> None:
    """An empty OPERATOR_GROUP lets nobody in."""
    config = dataclasses.replace(GatewayConfig(), operator_group="")
    async with staged(tmp_path, issuer, gateway=config) as stage:
        client = await stage.client(token=issuer.mint("olga", groups=["", OPERATOR_GROUP]))
        for fields in ASKED:
            assert (await client.refused(**fields))["code"] == "UNAUTHORIZED_ACTION"


async def test_listing(stage: Stage, operator: Client) -> None:
    """All sessions that are on, page by page, with exact counts, and no secrets."""
    talks = [await stage.talk(subject) for subject in ("ana@test", "ben@test", "ana@test")]
    await stage.listener(talks[0], "es")
    await stage.listener(talks[0], "fr")
    await talks[1].speaker.ask("broadcastControlled", action="controlBroadcast", controlAction="pause")
    pages = [await operator.ask("sessionList", action="listSessions", pageSize=2)]
    while "nextPageToken" in pages[-1]:
        token = pages[-1]["nextPageToken"]
        pages.append(await operator.ask("sessionList", action="listSessions", pageSize=2, pageToken=token))
    assert len(pages) == 2
    seen = {session["sessionId"]: session for page in pages for session in page["sessions"]}
    assert set(seen) == {talk.session_id for talk in talks}
    first, second, third = (seen[talk.session_id] for talk in talks)
    assert (first["listenerCount"], first["languageDistribution"]) == (2, {"es": 1, "fr": 1})
    assert (second["listenerCount"], second["broadcastState"]["isPaused"]) == (0, True)
    assert first["speakerHash"] == third["speakerHash"] != second["speakerHash"]
    said = json.dumps(operator.seen)
    for secret in ("@test", "127.0.0.1", "esumeToken", *(talk.created["resumeToken"] for talk in talks)):
        assert secret not in said


async def test_showing(stage: Stage, operator: Client) -> None:
    """How one stands, also while its speaker is away; what there is not is said."""
    talk = await stage.talk(glossary={"Babelcast": {"es": "Babelcast"}}, minStability=0.9)
    shown = await operator.ask("sessionShown", action="showSession", sessionId=talk.session_id, requestId="r")
    assert (shown["requestId"], shown["glossaryTerms"], shown["minStabilityThreshold"]) == ("r", 1, 0.9)
    assert shown["session"]["speakerPresent"] is True
    talk.speaker.drop()
    while shown["session"]["speakerPresent"]:
        shown = await operator.ask("sessionShown", action="showSession", sessionId=talk.session_id)
    refused = await operator.refused(action="showSession", sessionId=CODE)
    assert (refused["code"], refused["action"]) == ("SESSION_NOT_FOUND", "showSession")


async def test_ending(stage: Stage, operator: Client) -> None:
    """Everybody hears why; the speaker may go on with another session; there is nothing to end twice."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    other = await stage.talk("ben")
    closed = await operator.ask("sessionClosed", action="closeSession", sessionId=talk.session_id)
    assert (closed["sessionId"], closed["reason"]) == (talk.session_id, "endedByOperator")
    assert closed["listenerCount"] == 1
    for client in (talk.speaker, listener):
        assert (await client.until("sessionEnded"))["reason"] == "endedByOperator"
    await listener.closed()
    again = await operator.refused(action="closeSession", sessionId=talk.session_id)
    assert again["code"] == "SESSION_ENDED"
    listed = await operator.ask("sessionList", action="listSessions")
    assert [session["sessionId"] for session in listed["sessions"]] == [other.session_id]
    await talk.speaker.ask("sessionCreated", action="createSession", sourceLanguage="en")


async def test_ending_while_nobody_speaks(stage: Stage, operator: Client) -> None:
    """A session that waits for its speaker can be ended too."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    talk.speaker.drop()
    await operator.ask("sessionClosed", action="closeSession", sessionId=talk.session_id, reason="fire drill")
    assert (await listener.until("sessionEnded"))["reason"] == "fire drill"


async def test_the_command_line(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """`babelcast sessions` lists, shows and ends what is really there."""
    talk = await stage.talk()
    listener = await stage.listener(talk, "es")
    token = stage.issuer.mint("olga", groups=[OPERATOR_GROUP])
    console = Console(quiet=True)
    assert await sessions.show_all(stage.url, token, console, as_json=True) == 0
    assert await sessions.show(stage.url, token, talk.session_id, console, as_json=True) == 0
    assert await sessions.end(stage.url, token, talk.session_id, console, as_json=True) == 0
    listed, shown, closed = map(json.loads, capsys.readouterr().out.splitlines())
    assert listed == [shown["session"]]
    assert shown["session"]["languageDistribution"] == {"es": 1}
    assert closed["listenerCount"] == 1
    assert (await listener.until("sessionEnded"))["reason"] == "endedByOperator"
    with pytest.raises(RemoteError, match="may not"):
        await sessions.show_all(stage.url, stage.token(), console, as_json=True)


async def test_a_token_in_the_message(stage: Stage) -> None:
    """For clients that cannot set a header."""
    client = await stage.client()
    token = stage.issuer.mint("olga", groups=[OPERATOR_GROUP])
    await client.ask("sessionList", action="listSessions", token=token)
    await client.refused(action="listSessions")
