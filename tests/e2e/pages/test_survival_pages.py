"""A gateway that is restarted, and one that is killed, while pages speak and listen through it."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from babelcast import scripted
from babelcast.auth.local_issuer import LocalIssuer
from tests.e2e import fleet as fleets
from tests.e2e.fleet import Fleet, Member
from tests.e2e.pages import measuring
from tests.e2e.pages.chromium import Browsing, Chromium
from tests.e2e.pages.listening import Listening, visit
from tests.e2e.pages.speaking import Speaking, lectern
from tests.e2e.pages.talks import translated
from tests.nats_server import NatsServer, require_nats

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

SCRIPT = 77
SENTENCES = 9
LEAD_S = 5.0
LANGUAGES = ("es", "de")
_speakers = itertools.count()
CUT = ["WebSocket connection", "ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "net::ERR_"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fleet(chromium: Chromium, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """All services as processes of their own, two gateways."""
    require_nats()
    directory = tmp_path_factory.mktemp("fleet")
    server = NatsServer(directory / "store")
    server.start()
    async with fleets.running(
        directory,
        bus_url=server.url,
        DRAIN_SECONDS="20",
        DRAIN_LINGER_SECONDS="0.5",
        DRAIN_WINDOW_SECONDS="1",
    ) as started:
        yield started
    server.stop()


async def hold(
    browsing: Browsing, gateway: Member, directory: Path
) -> tuple[Speaking, list[Listening], list[str]]:
    """A talk through the pages of one gateway; its sentences."""
    base = f"http://127.0.0.1:{gateway.port}"
    speech = scripted.script_speech(SCRIPT, SENTENCES)
    speaker = await lectern(browsing, speech, lead_s=LEAD_S, base=base, expected=CUT)
    await speaker.sign_in_with(LocalIssuer.open(directory).mint(f"speaker-{next(_speakers)}"))
    code = await speaker.start()
    phones = [await visit(browsing, f"/{code}", base=base, expected=CUT) for _ in LANGUAGES]
    for phone, language in zip(phones, LANGUAGES, strict=True):
        await phone.listen(language)
        await measuring.begin(phone.page)
    return speaker, phones, [scripted.sentence(SCRIPT, number) for number in range(SENTENCES)]


async def test_pages_live_through_a_restart_of_their_gateway(browsing: Browsing, fleet: Fleet) -> None:
    """An orderly one in mid-talk: every sentence is read once and in order, and heard, on every page."""
    gateway = fleet.of("gateway")[0]
    speaker, phones, said = await hold(browsing, gateway, fleet.data_dir)
    await phones[0].read_last(translated(said, "es")[1])
    await gateway.restart()
    await all_arrived(speaker, phones, said)


async def test_pages_live_through_the_death_of_their_gateway(browsing: Browsing, fleet: Fleet) -> None:
    """Killed as by a power cut, and started again: the same."""
    gateway = fleet.of("gateway")[0]
    speaker, phones, said = await hold(browsing, gateway, fleet.data_dir)
    await phones[0].read_last(translated(said, "es")[1])
    await gateway.kill()
    await gateway.start()
    await all_arrived(speaker, phones, said)


async def all_arrived(speaker: Speaking, phones: list[Listening], said: list[str]) -> None:
    """Everything is on every page."""
    await speaker.read(said, within_ms=45_000)
    async with asyncio.TaskGroup() as group:
        for phone, language in zip(phones, LANGUAGES, strict=True):
            group.create_task(phone.read(translated(said, language)))
    for phone, language in zip(phones, LANGUAGES, strict=True):
        await measuring.heard_out(phone.page, translated(said, language), share=0.75)
    await speaker.end()
