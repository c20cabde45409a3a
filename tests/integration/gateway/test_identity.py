"""Who a connection is: tokens, where they may stand, and joining by URL."""

import time
from pathlib import Path

import aiohttp
import pytest
from websockets.exceptions import InvalidStatus

from babelcast.auth.jwks import Jwks
from babelcast.auth.local_issuer import LocalIssuer
from gateway.config import GatewayConfig
from tests.integration.gateway.client import Client, Message
from tests.integration.gateway.stage import Stage, staged

CREATE = {"action": "createSession", "sourceLanguage": "en"}


def expired(issuer: LocalIssuer) -> str:
    """A token that was good an hour ago."""
    return issuer.mint("ana", lifetime_s=-3600)


async def test_a_token_may_stand_in_three_places(stage: Stage) -> None:
    """In the header, in the message, in the URL."""
    token = stage.token()
    for client, fields in (
        (await stage.client(token=token), CREATE),
        (await stage.client(), {**CREATE, "token": token}),
        (await stage.client(f"/ws?token={token}"), CREATE),
    ):
        assert (await client.ask("sessionCreated", **fields))["sessionId"]


async def test_without_a_token_nobody_speaks(stage: Stage) -> None:
    """The connection stays open, and the token may follow."""
    client = await stage.client()
    refused = await client.refused(**CREATE)
    assert (refused["code"], refused["action"]) == ("UNAUTHORIZED", "createSession")
    await client.ask("sessionCreated", **CREATE, token=stage.token())


@pytest.mark.parametrize("path", ["/", "/?token={token}", "/?action=createSession&token={token}"])
async def test_a_bad_token_is_refused_at_the_upgrade(stage: Stage, path: str) -> None:
    """With HTTP 401 and a code that tells a bad token from an old one, and never the token itself."""
    good = stage.token()
    bad = {"UNAUTHORIZED": good[:-6] + "AAAAAA", "TOKEN_EXPIRED": expired(stage.issuer)}
    for code, token in bad.items():
        with pytest.raises(InvalidStatus) as refused:
            await stage.client(path.format(token=token), token="" if "{token}" in path else token)
        assert refused.value.response.status_code == 401
        body = (refused.value.response.body or b"").decode()
        assert body.startswith(code)
        assert token[:40] not in body


@pytest.mark.parametrize("token", ["x", "a.b.c", "ü" * 20, "." * 9000])
async def test_a_bad_token_is_refused_in_a_message(stage: Stage, token: str) -> None:
    """Whatever it looks like; an expired one is told apart."""
    client = await stage.client()
    assert (await client.refused(**CREATE, token=token))["code"] == "UNAUTHORIZED"
    assert (await client.refused(**CREATE, token=expired(stage.issuer)))["code"] == "TOKEN_EXPIRED"
    await client.fence()


async def test_a_message_token_goes_before_the_one_in_the_url(stage: Stage) -> None:
    """In the order of preference: a bad token in the message is not saved by a good one in the URL."""
    client = await stage.client(f"/?token={stage.token()}")
    assert (await client.refused(**CREATE, token="bad"))["code"] == "UNAUTHORIZED"
    await client.ask("sessionCreated", **CREATE)


async def test_a_header_goes_before_all(stage: Stage) -> None:
    """Its token is the one that counts."""
    client = await stage.client(token=stage.token())
    await client.ask("sessionCreated", **CREATE, token="not looked at")


async def test_a_token_expires_while_the_connection_lasts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good at the upgrade, it is not good an hour later."""
    client = await stage.client(token=stage.issuer.mint("ana", lifetime_s=3600))
    later_ns = time.time_ns() + 3601 * 10**9
    with monkeypatch.context() as patched:
        patched.setattr("gateway.server.time.time_ns", lambda: later_ns)
        assert (await client.refused(**CREATE))["code"] == "TOKEN_EXPIRED"


async def test_a_refresh_with_a_bad_token_is_refused(stage: Stage) -> None:
    """It needs none, but one that is there has to be good, and the resume token is not used up."""
    talk = await stage.talk()
    talk.speaker.drop()
    client = await stage.client()
    refresh: Message = {
        "action": "refreshConnection",
        "sessionId": talk.session_id,
        "resumeToken": talk.created["resumeToken"],
    }
    assert (await client.refused(**refresh, token="bad"))["code"] == "UNAUTHORIZED"
    await client.ask("stateRestored", **refresh)


async def test_joining_by_url(stage: Stage) -> None:
    """Session and language in the URL act as joinSession."""
    talk = await stage.talk()
    client = await stage.client(f"/?sessionId={talk.session_id}&targetLanguage=es&audio=opus")
    joined = await client.until("sessionJoined")
    assert (joined["sessionId"], joined["targetLanguage"]) == (talk.session_id, "es")


async def test_creating_by_url(stage: Stage) -> None:
    """So does createSession with its token."""
    client = await stage.client(f"/prod?action=createSession&sourceLanguage=en&token={stage.token()}")
    assert (await client.until("sessionCreated"))["sourceLanguage"] == "en"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("sessionId=golden-eagle-427&targetLanguage=es", "SESSION_NOT_FOUND"),
        ("sessionId=nonsense&targetLanguage=es", "INVALID_SESSION_ID"),
        ("sessionId=golden-eagle-427", "MISSING_PARAMETER"),
        ("action=joinSession&targetLanguage=es", "MISSING_PARAMETER"),
        ("action=createSession&sourceLanguage=en", "UNAUTHORIZED"),
    ],
)
async def test_a_url_that_does_not_work(stage: Stage, query: str, code: str) -> None:
    """The error comes as a message, and the connection may go on."""
    client = await stage.client(f"/?{query}")
    assert (await client.until("error"))["code"] == code
    await client.fence()


async def test_a_url_that_asks_for_nothing(stage: Stage) -> None:
    """Other queries, also of other actions, are not acted upon."""
    for query in ("", "?", "?x=1", "?action=endSession", "?action=heartbeat"):
        client = await stage.client(f"/ws{query}")
        await client.fence()
        assert [message["type"] for message in client.seen] == ["heartbeatAck"]


async def test_one_connection_has_one_role(stage: Stage) -> None:
    """What would give it a second one is a conflict, whoever it is."""
    talk = await stage.talk()
    listener = await stage.listener(talk)
    join: Message = {"action": "joinSession", "sessionId": talk.session_id, "targetLanguage": "es"}
    refresh: Message = {"action": "refreshConnection", "sessionId": talk.session_id, "resumeToken": "x"}
    for client in (talk.speaker, listener):
        for fields in (CREATE, join, refresh):
            assert (await client.refused(**fields))["code"] == "CONFLICT"


async def test_only_ones_own_session(stage: Stage) -> None:
    """A session named in a message has to be the connection's own."""
    talk, other = await stage.talk(), await stage.talk("bob")
    for action in ({"action": "endSession"}, {"action": "pauseBroadcast"}, {"action": "getSessionStatus"}):
        refused = await talk.speaker.refused(**action, sessionId=other.session_id)
        assert refused["code"] == "FORBIDDEN"
    await other.speaker.ask("broadcastControlled", action="muteBroadcast", sessionId=other.session_id)


async def test_listeners_join_while_the_issuer_is_down(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose token cannot be checked is told to come again; talks, listeners and their returns go on."""
    talk = await stage.talk()
    async with aiohttp.ClientSession() as http:
        down = Jwks("http://127.0.0.1:1/jwks.json", http)  # nobody listens, and nothing is cached
        monkeypatch.setattr(stage.desk.verifier, "_jwks", down)
        with pytest.raises(InvalidStatus) as refused:
            await stage.client(token=stage.token())
        assert refused.value.response.status_code == 503
        assert 1 <= int(refused.value.response.headers["Retry-After"]) <= 10
        visitor = await stage.client()
        error = await visitor.refused(**CREATE, token=stage.token())
        assert error["code"] == "SERVICE_UNAVAILABLE"
        assert 0 < error["details"]["retryAfter"] <= 10
        listener = await stage.listener(talk)
        talk.hearing.final(0, "Hello.")
        await listener.until("translatedAudio")
        talk.speaker.drop()
        await visitor.ask(
            "stateRestored",
            action="refreshConnection",
            sessionId=talk.session_id,
            resumeToken=talk.created["resumeToken"],
        )


async def test_a_gateway_at_another_address_checks_its_own_tokens(
    tmp_path: Path, issuer: LocalIssuer
) -> None:
    """The local issuer's keys are fetched from where the gateway listens, which need not be 127.0.0.1."""
    config = GatewayConfig(host="127.0.0.2", drain_seconds=5)
    async with staged(tmp_path, issuer, gateway=config) as stage:
        client = await Client.open(f"ws://127.0.0.2:{stage.gateway.port}/", token=stage.token())
        await client.ask("sessionCreated", **CREATE)
        await client.close()
