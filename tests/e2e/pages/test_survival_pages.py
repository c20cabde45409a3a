"""A gateway that is restarted, and killed, while pages speak and listen through it."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from babelcast import scripted
from babelcast.auth.local_issuer import LocalIssuer
from tests.e2e import fleet as fleets
from tests.e2e.fleet import Fleet
from tests.e2e.pages import measuring
from tests.e2e.pages.chromium import Browsing, Chromium
from tests.e2e.pages.listening import visit
from tests.e2e.pages.speaking import lectern
from tests.e2e.pages.talks import translated
from tests.nats_server import NatsServer, require_nats

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(420)]

SCRIPT = 77
SENTENCES = 10
LANGUAGES = ("es", "de")
PATIENCE_S = 150.0
"""Much: a machine that is busy takes its time to start a gateway and to catch up."""
DELIVERED = 0.7
"""Less than elsewhere: while a gateway starts, the false microphone stutters on a machine of two cores."""
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


async def test_pages_live_through_a_restart_and_a_death_of_their_gateway(
    browsing: Browsing, fleet: Fleet
) -> None:
    """In mid-talk it is restarted in order, then killed as by a power cut and started again: every word that
    the microphone delivered is read once and in order, and heard, on every page.
    """
    gateway = fleet.of("gateway")[0]
    base = f"http://127.0.0.1:{gateway.port}"
    speaker = await lectern(browsing, base=base, expected=CUT)
    await speaker.sign_in_with(LocalIssuer.open(fleet.data_dir).mint("speaker-on-a-page"))
    code = await speaker.start()
    phones = [await visit(browsing, f"/{code}", base=base, expected=CUT) for _ in LANGUAGES]
    for phone, language in zip(phones, LANGUAGES, strict=True):
        await phone.listen(language)
        await measuring.begin(phone.page)
    script = [scripted.sentence(SCRIPT, number) for number in range(SENTENCES)]
    await speaker.say(scripted.script_speech(SCRIPT, SENTENCES))
    await expect(phones[0].finals).not_to_have_count(0)
    await gateway.restart()
    await speaker.read_some(4 * scripted.WORDS_PER_SENTENCE, within_s=PATIENCE_S)
    await gateway.kill()
    await expect(phones[0].part("connection")).to_have_text(re.compile(r"Trying again in \d+ s\. You will"))
    await expect(speaker.part("status")).to_have_text(re.compile(r"\d+ s"))
    await gateway.start()
    said = await speaker.read(script, within_s=PATIENCE_S, share=DELIVERED)
    for phone, language in zip(phones, LANGUAGES, strict=True):
        await phone.read_words(translated(said, language), within_s=PATIENCE_S)
        await phone.hear_words(translated(said, language), language, within_s=PATIENCE_S)
    await speaker.end()
