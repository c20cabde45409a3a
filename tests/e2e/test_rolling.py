"""A rolling restart of every process while somebody talks and others listen."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from babelcast import scripted
from babelcast.client import AudioDropped, Event, Listener, Reconnected, Speaker, Voice
from babelcast.protocol.server_messages import Caption, ServiceDegraded, SessionEnded
from tests.e2e.fleet import Fleet, running
from tests.e2e.talks import Talk
from tests.nats_server import NatsServer

pytestmark = pytest.mark.timeout(240)

SCRIPT = 77
LANGUAGES = ("es", "de")
BETWEEN_SENTENCES = 2
"""So many sentences are said between two restarts, and after the last."""


@pytest.fixture
async def fleet(mortal_nats: NatsServer, tmp_path: Path) -> AsyncIterator[Fleet]:
    """All services, most of them twice; gateways that drain quickly."""
    async with running(
        tmp_path,
        bus_url=mortal_nats.url,
        DRAIN_SECONDS="30",
        DRAIN_LINGER_SECONDS="0.5",
        DRAIN_WINDOW_SECONDS="2",
    ) as started:
        yield started


async def heard_by(client: Listener | Speaker) -> list[Event]:
    """All that comes, to the end of the session."""
    heard: list[Event] = []
    async for event in client:
        heard.append(event)
        if isinstance(event, SessionEnded):
            break
    return heard


async def restart_each(fleet: Fleet, talk: Talk) -> None:
    """Restart every process in turn, then let the talk come to its end."""
    await talk.more(BETWEEN_SENTENCES)
    for member in fleet.members:
        await member.restart()
        await talk.more(BETWEEN_SENTENCES)
    talk.over.set()


async def test_a_rolling_restart_loses_nothing(fleet: Fleet) -> None:
    """Every listener gets every sentence once and in order, as text and as voice, and hears of no trouble."""
    talk = Talk(SCRIPT)
    async with await Speaker.connect(fleet.urls, token=fleet.token) as speaker:
        session = await speaker.create_session("en")
        listeners = [await Listener.connect(fleet.urls[::-1]), await Listener.connect(fleet.urls)]
        for listener, language in zip(listeners, LANGUAGES, strict=True):
            await listener.join(session.session_id, language)
        async with asyncio.TaskGroup() as group:
            told = group.create_task(heard_by(speaker))
            hearing = [group.create_task(heard_by(listener)) for listener in listeners]
            group.create_task(talk.hold(speaker))
            group.create_task(restart_each(fleet, talk))
        for listener in listeners:
            await listener.aclose()
    for task in (told, *hearing):
        assert any(isinstance(event, Reconnected) for event in task.result())
    assert [event for event in told.result() if isinstance(event, AudioDropped | ServiceDegraded)] == []
    for language, heard in zip(LANGUAGES, hearing, strict=True):
        events = heard.result()
        said = [scripted.translated(text, language) for text in talk.said]
        captions = [event.text for event in events if isinstance(event, Caption) and event.is_final]
        assert captions == said
        voices = [event.message for event in events if isinstance(event, Voice)]
        assert [voice.transcript for voice in voices] == said
        assert [voice.sequence_number for voice in voices] == list(range(1, len(said) + 1))
        assert [event for event in events if isinstance(event, ServiceDegraded)] == []
