"""The speaker's page where the sound is judged, and where speakers log in elsewhere."""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Request, Route, expect

from babelcast import scripted
from babelcast.pcm import SAMPLE_RATE_HZ
from tests.e2e.pages.chromium import Browsing, Chromium
from tests.e2e.pages.looking import Looks
from tests.e2e.pages.speaking import lectern
from tests.e2e.served import Served, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

AUTHORIZE = "https://login.example/authorize"
TOKEN = "https://login.example/token"
CLIENT = "pages"


@pytest.fixture(scope="module")
def attentive(chromium: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that judges the sound."""
    with serving(
        tmp_path_factory.mktemp("attentive") / "data",
        options=("--engines", "scripted"),
        module="tests.e2e.pages.attentive",
        LOGIN_AUTHORIZE_URL=AUTHORIZE,
        LOGIN_TOKEN_URL=TOKEN,
        LOGIN_CLIENT_ID=CLIENT,
    ) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def pages(chromium: Chromium, attentive: Served) -> AsyncIterator[Browsing]:
    """Pages of that server."""
    pages = Browsing(chromium, attentive.url.replace("ws", "http", 1))
    yield pages
    assert await pages.close() == []


def too_loud(seconds: float) -> bytes:
    """A tone that is cut off above and below."""
    wave = np.sin(np.arange(round(seconds * SAMPLE_RATE_HZ)) * 2 * np.pi * 440 / SAMPLE_RATE_HZ)
    pcm: bytes = np.clip(wave * 90_000, -32768, 32767).astype("<i2").tobytes()
    return pcm


async def test_bad_sound_is_told_in_plain_words(pages: Browsing) -> None:
    """Nothing is heard: it says so, and what to do, until there is something; the same when it is too loud,
    and the meter turns red.
    """
    looks = Looks(pages)
    speaker = await lectern(pages)
    await speaker.sign_in()
    await speaker.start()
    warnings = speaker.part("warnings")
    await expect(warnings).to_contain_text("Nothing is heard Check that the microphone is on")
    await looks.at(speaker.page, "speak-warning")
    await speaker.say(scripted.script_speech(5, 1))
    await expect(warnings).not_to_contain_text("Nothing is heard")
    await speaker.say(too_loud(3))
    await expect(warnings).to_contain_text("too loud and distorts Lower the microphone's level")
    await expect(speaker.part("level")).to_have_attribute("data-level", "clipping")
    await expect(warnings).not_to_contain_text("too loud")
    await expect(speaker.part("level")).not_to_have_attribute("data-level", "clipping")
    assert looks.faults == []


async def test_a_speaker_logs_in_elsewhere(pages: Browsing, attentive: Served) -> None:
    """Authorization Code with PKCE: the page leaves, comes back, and its address keeps nothing of that."""
    speaker = await lectern(pages, expected=["login.example"])
    asked = await log_in_at(speaker.page.context, attentive.token)
    await speaker.part("signin-login").click()
    await expect(speaker.part("start")).to_be_enabled()
    await speaker.start()
    assert speaker.page.url == f"{pages.base}/speak"
    authorize, token = asked
    assert f"client_id={CLIENT}" in authorize.url
    assert "code_challenge_method=S256" in authorize.url
    assert "code=once" in (token.post_data or "")
    assert "code_verifier=" in (token.post_data or "")


async def log_in_at(context: BrowserContext, token: str) -> list[Request]:
    """Stand in for the login; returns the list that what it is asked will be in."""
    asked: list[Request] = []

    async def authorize(route: Route) -> None:
        asked.append(route.request)
        query = parse_qs(urlsplit(route.request.url).query)
        back, state = query["redirect_uri"][0], query["state"][0]
        await route.fulfill(status=302, headers={"Location": f"{back}?code=once&state={state}"})

    async def give(route: Route) -> None:
        asked.append(route.request)
        await route.fulfill(json={"id_token": token}, headers={"Access-Control-Allow-Origin": "*"})

    await context.route(f"{AUTHORIZE}*", authorize)
    await context.route(TOKEN, give)
    return asked
