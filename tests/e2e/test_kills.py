"""Every kind of process dies, again and again, while three talk and two hundred listen: `make test-kills`.

KILLS_MINUTES says for how long, KILLS_LISTENERS how many listen.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from babelcast.client import AudioDropped, ClientSettings, Listener, Speaker
from babelcast.errors import BabelcastError
from babelcast.protocol.server_messages import Error
from cli import tables
from tests.dynamodb_local import DynamoDbServer
from tests.e2e.audience import Heard
from tests.e2e.fleet import Fleet, running
from tests.e2e.incidents import Stage
from tests.e2e.talks import Talk
from tests.nats_server import NatsServer
from tests.wire_cut import CuttableWire

MINUTES = float(os.environ.get("KILLS_MINUTES", "5"))
LISTENERS = int(os.environ.get("KILLS_LISTENERS", "200"))
pytestmark = [
    pytest.mark.timeout(60 * MINUTES + 180),
    pytest.mark.skipif(
        "KILLS_MINUTES" not in os.environ, reason="make test-kills runs it: it takes six minutes"
    ),
]

SCRIPTS = (101, 202, 303)
LANGUAGES = ("es", "de", "fr")
GATEWAYS = 2
DOORS = 8
"""So many listeners come in at once."""
AFTERWARDS_S = 10.0
"""The talks go on for so long after the last incident."""
PATIENT = ClientSettings(heartbeat_interval_s=8, silence_timeout_s=8, backoff_cap_s=2, end_timeout_s=90)
LOG_LINES = 25


@dataclass(slots=True)
class Told:
    """What a speaker should not be told."""

    trouble: list[str]

    async def hear(self, speaker: Speaker) -> None:
        """To the end of the session."""
        try:
            async for event in speaker:
                if isinstance(event, AudioDropped | Error):
                    self.trouble.append(f"speaker: {event!r}")
        except BabelcastError as error:
            self.trouble.append(f"speaker: sent away: {error!r}")


@pytest.fixture
async def stage(
    mortal_nats: NatsServer, mortal_dynamodb: DynamoDbServer, tmp_path: Path
) -> AsyncIterator[Stage]:
    """All services twice, with wires that can be cut."""
    async with contextlib.AsyncExitStack() as stack:
        to_nats = [
            await stack.enter_async_context(CuttableWire.to(mortal_nats.port)) for _ in range(GATEWAYS)
        ]
        to_dynamodb = await stack.enter_async_context(CuttableWire.to(mortal_dynamodb.port))
        environ = {
            "SESSION_STORE": "dynamodb",
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{to_dynamodb.port}",
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            while await tables.create(environ, [], Console(quiet=True)):
                pass  # a busy machine may be too slow for it; what is missing is made then
        fleet = await stack.enter_async_context(
            running(
                tmp_path,
                bus_url=mortal_nats.url,
                session_services=2,
                stations=2,
                gateways=[{"BUS_URL": wire.url} for wire in to_nats],
                VOICE_LAG_MAX_SECONDS="120",  # no sentence is left out, however late its voice is,
                AUDIO_BUFFER_MAX_SECONDS="60",  # or its transcription on a machine that is too busy
                MAX_CONCURRENT_STREAMS_PER_SPEAKER="0",
                **environ,
            )
        )
        yield Stage(fleet, mortal_nats, mortal_dynamodb, to_nats, to_dynamodb, speakers=[])


async def test_whatever_dies_everybody_hears_every_sentence_once(stage: Stage) -> None:
    """Each listener gets every sentence once and in order, as text and as voice."""
    talks = [Talk(script) for script in SCRIPTS]
    async with contextlib.AsyncExitStack() as stack:
        stage.speakers = await speakers(stage.fleet, stack)
        audience = await listeners(stage, stack)
        told = [Told([]) for _ in talks]
        wrong: list[str] = []
        try:
            async with asyncio.TaskGroup() as group:
                for speaker, talk, hears in zip(stage.speakers, talks, told, strict=True):
                    group.create_task(hears.hear(speaker))
                    group.create_task(talk.hold(speaker))
                for listener, heard, _ in audience:
                    group.create_task(heard.listen(listener))
                await stage.happen(MINUTES)
                await asyncio.sleep(AFTERWARDS_S)
                for talk in talks:
                    talk.over.set()
        except* BabelcastError as broken:
            wrong += [f"talk: {error!r}" for error in broken.exceptions]
    wrong += [words for _, heard, which in audience for words in heard.wrong(talks[which].said)]
    wrong += [words for hears in told for words in hears.trouble]
    assert not wrong, report(stage, talks, wrong)
    assert all(len(talk.said) > 10 * MINUTES for talk in talks)
    assert any(heard.reconnections for _, heard, _ in audience)


async def speakers(fleet: Fleet, stack: contextlib.AsyncExitStack) -> list[Speaker]:
    """One for each talk, with a session, on both gateways."""
    found = []
    for number in range(len(SCRIPTS)):
        urls = [*fleet.urls[number % GATEWAYS :], *fleet.urls[: number % GATEWAYS]]
        speaker = await stack.enter_async_context(
            await Speaker.connect(urls, token=fleet.token, settings=PATIENT)
        )
        await speaker.create_session("en")
        found.append(speaker)
    return found


async def listeners(stage: Stage, stack: contextlib.AsyncExitStack) -> list[tuple[Listener, Heard, int]]:
    """The audience: each with the number of its talk, in every language of it on each gateway."""
    doors = asyncio.Semaphore(DOORS)

    async def one(number: int) -> tuple[Listener, Heard, int]:
        which, language = number % len(SCRIPTS), LANGUAGES[number // len(SCRIPTS) % len(LANGUAGES)]
        turn = number // (len(SCRIPTS) * len(LANGUAGES)) % GATEWAYS
        session = stage.speakers[which].session
        assert session is not None
        async with doors:
            urls = [*stage.fleet.urls[turn:], *stage.fleet.urls[:turn]]
            listener = await Listener.connect(urls, settings=PATIENT)
            stack.push_async_callback(listener.aclose)
            # most want what costs least to send
            usual = number >= len(SCRIPTS) * len(LANGUAGES)
            while listener.session is None:
                with contextlib.suppress(BabelcastError):  # again: the machine may be too busy for it
                    await listener.join(
                        session.session_id,
                        language,
                        audio="opus" if usual else "pcm",
                        captions="final" if usual else "partial",
                    )
        return listener, Heard(f"listener {number} of talk {which}", language), which

    return list(await asyncio.gather(*(one(number) for number in range(LISTENERS))))


def report(stage: Stage, talks: Sequence[Talk], wrong: Sequence[str]) -> str:
    """Who missed what, when what happened, and the last words of all processes."""
    alike: dict[str, list[str]] = {}
    for words in wrong:
        who, _, what = words.partition(": ")
        alike.setdefault(what, []).append(who)
    return "\n".join(
        [
            "",
            *(f"{', '.join(who)}: {what}" for what, who in alike.items()),
            f"{[len(talk.said) for talk in talks]} sentences were said",
            *stage.history,
            *(member.last_words(LOG_LINES) for member in stage.fleet.members),
        ]
    )
