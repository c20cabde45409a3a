"""Every state of every page on a phone, a laptop and a projector, light and dark: pictures, and axe."""

import pytest
from playwright.async_api import expect

from babelcast import scripted
from tests.e2e.pages.chromium import Browsing
from tests.e2e.pages.listening import Listening, visit
from tests.e2e.pages.looking import Looks
from tests.e2e.pages.speaking import lectern
from tests.e2e.pages.talks import Talk

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_listeners_page_in_all_its_states(browsing: Browsing, talk: Talk) -> None:
    """Asked for a code, invited, waiting, reading, beside the original, paused, ended."""
    looks = Looks(browsing)
    page = await visit(browsing, "/")
    await looks.at(page.page, "listen-home")
    await page.page.goto(f"{browsing.base}/{talk.code}")
    await expect(page.part("listen")).to_be_enabled()
    await looks.at(page.page, "listen-invited")
    await page.listen("es")
    await looks.at(page.page, "listen-waiting")
    await talk.say(3)
    await page.read(talk.heard_in("es"))
    await looks.at(page.page, "listen-reading")
    await page.part("original").click()
    await looks.at(page.page, "listen-original")
    await page.part("pause").click()
    await page.part("contrast").click()
    await page.part("more").click()
    await looks.at(page.page, "listen-paused-contrast-more")
    await page.page.keyboard.press("Escape")
    await page.part("contrast").click()
    await talk.speaker.end()
    await expect(page.part("ended")).to_be_visible()
    await looks.at(page.page, "listen-ended")
    assert looks.faults == []


async def test_the_stage_in_its_states(browsing: Browsing, talk: Talk) -> None:
    """Before and while something is said, in one language and in two."""
    looks = Looks(browsing)
    wall = Listening(await browsing.open(f"/{talk.code}/stage?lang=es,fr"))
    await looks.at(wall.page, "stage-waiting")
    await talk.say(3)
    await expect(wall.part("captions").first).to_contain_text(talk.heard_in("es")[-1])
    await looks.at(wall.page, "stage-two")
    assert looks.faults == []


async def test_the_speakers_page_before_anything_is_said(browsing: Browsing) -> None:
    """Signed out, signed in, and with a code for an audience that is not there yet."""
    looks = Looks(browsing)
    speaker = await lectern(browsing)
    await looks.at(speaker.page, "speak-signin")
    await speaker.sign_in()
    await looks.at(speaker.page, "speak-ready")
    await speaker.start()
    await looks.at(speaker.page, "speak-started")
    assert looks.faults == []


async def test_the_speakers_page_in_a_talk(browsing: Browsing) -> None:
    """Speaking, correcting, paused, asked whether this is the end, ended."""
    looks = Looks(browsing)
    speaker = await lectern(browsing)
    await speaker.sign_in()
    code = await speaker.start()
    for language in ("es", "de"):
        await (await visit(browsing, f"/{code}")).listen(language)
    await speaker.say(scripted.script_speech(88, 3))
    await speaker.read([scripted.sentence(88, number) for number in range(3)])
    await looks.at(speaker.page, "speak-speaking")
    await speaker.part("edit").first.click()
    await looks.at(speaker.page, "speak-editing")
    await speaker.part("edit-cancel").click()
    await speaker.part("show").click()
    await looks.at(speaker.page, "speak-room")
    await speaker.page.keyboard.press("Escape")
    await speaker.part("pause").click()
    await speaker.open("downloads")
    await looks.at(speaker.page, "speak-paused")
    await speaker.part("end").click()
    await looks.at(speaker.page, "speak-end")
    await speaker.part("confirm-yes").click()
    await expect(speaker.part("again")).to_be_visible()
    await looks.at(speaker.page, "speak-ended")
    assert looks.faults == []
