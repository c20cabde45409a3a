"""Each service of the last release beside today's others, and back again, while somebody talks."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from babelcast.client import AudioDropped, Event, Listener, Speaker
from tests.e2e.audience import Heard
from tests.e2e.fleet import Fleet, Member, running
from tests.e2e.releases import PACKAGES, environ_of, last_release, unpacked
from tests.e2e.talks import Talk
from tests.nats_server import NatsServer

pytestmark = pytest.mark.timeout(240)

SCRIPT = 91
SERVICES = ("session_svc", "transcription_svc", "translation_svc", "gateway")
"""In the order of a rollout."""


@pytest.fixture(scope="module")
def previous() -> Iterator[Path]:
    """The last release's code."""
    with tempfile.TemporaryDirectory(prefix="babelcast-previous-") as folder:
        yield unpacked(Path(folder))


@pytest.fixture
async def fleet(mortal_nats: NatsServer, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Today's services, one each, and two gateways that drain quickly."""
    async with running(
        tmp_path,
        bus_url=mortal_nats.url,
        stations=1,
        # There is one of each, so everything waits for as long as a service takes to start.
        VOICE_LAG_MAX_SECONDS="120",
        # Listeners who know one gateway alone have nowhere to move: each drain takes all of its time.
        DRAIN_SECONDS="6",
        DRAIN_LINGER_SECONDS="0.2",
        DRAIN_WINDOW_SECONDS="0.5",
    ) as started:
        yield started


async def replace(member: Member, environ: dict[str, str]) -> None:
    """Another version in its place."""
    await member.stop()
    member.environ = environ
    await member.start()


async def exchange_each(fleet: Fleet, previous: Path, talk: Talk) -> None:
    """Service by service: the last release's for some of the talk, then today's again, beside today's others.

    Of gateways it is one after the other, so that for a while one of each version share the talk.
    """
    await talk.more(1)
    for service in SERVICES:
        members = fleet.of(service)
        todays = {id(member): member.environ for member in members}
        for environ in (environ_of(previous), {}):
            for member in members:
                await replace(member, todays[id(member)] | environ)
                await talk.more(1)
    await talk.more(1)
    talk.over.set()


async def told(speaker: Speaker) -> list[Event]:
    """All that the speaker hears of."""
    return [event async for event in speaker]


async def test_a_talk_goes_through_services_of_two_versions(fleet: Fleet, previous: Path) -> None:
    """Every listener has every sentence once and in order, whichever service was of the last release, also
    when listener and speaker are at gateways of different versions, and when one takes over from the other.
    """
    one, other = fleet.urls
    talk = Talk(SCRIPT)
    heard = [Heard("at the one", "es"), Heard("at the other", "de"), Heard("at either", "es")]
    async with await Speaker.connect(fleet.urls, token=fleet.token) as speaker:
        session = await speaker.create_session("en")
        listeners = [await Listener.connect(urls) for urls in ([one], [other], [other, one])]
        for listener, whose in zip(listeners, heard, strict=True):
            await listener.join(session.session_id, whose.language)
        async with asyncio.TaskGroup() as group:
            events = group.create_task(told(speaker))
            for listener, whose in zip(listeners, heard, strict=True):
                group.create_task(whose.listen(listener))
            group.create_task(talk.hold(speaker))
            group.create_task(exchange_each(fleet, previous, talk))
        for listener in listeners:
            await listener.aclose()
    assert [line for whose in heard for line in whose.wrong(talk.said)] == []
    assert [event for event in events.result() if isinstance(event, AudioDropped)] == []
    assert len(talk.said) > 2 * len(SERVICES)


async def test_the_other_version_is_what_runs(previous: Path) -> None:
    """In that environment a service is the last release's, all of its code, and otherwise it is today's."""
    ask = "; ".join(f"import {name}; print({name}.__path__[0])" for name in PACKAGES)
    found = []
    for environ in (environ_of(previous), {}):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ask), env=environ, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        found.append({Path(line).parent for line in out.decode().split()})
    assert found == [{previous}, {Path(__file__).parents[2]}], last_release()
