"""Whose messages are traced because they ask for it."""

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from tests.integration.gateway.stage import Stage
from tests.traced import recording

ASKED = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
CREATE = {"action": "createSession", "sourceLanguage": "en", **ASKED}


async def test_a_speaker_who_is_known_may_have_a_message_traced(stage: Stage) -> None:
    """By the token of the upgrade, and by the role that it has had since."""
    speaker = await stage.client(token=stage.token())
    with recording(ParentBased(ALWAYS_OFF)) as recorded:
        await speaker.ask("sessionCreated", **CREATE)
        await speaker.fence()
    assert "client.createSession" in recorded.names


@pytest.mark.parametrize("token", ["", "none"])
async def test_a_stranger_may_not(stage: Stage, token: str) -> None:
    """Anybody can ask for a session; nobody without a token makes the collector work."""
    stranger = await stage.client()
    with recording(ParentBased(ALWAYS_OFF)) as recorded:
        assert (await stranger.refused(**CREATE, token=token))["code"] == "UNAUTHORIZED"
        await stranger.fence()
    assert recorded.names == []
