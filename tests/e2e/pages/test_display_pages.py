"""How captions look, and who has them read out."""

import pytest
from playwright.async_api import expect

from tests.e2e.pages.chromium import PHONE, Browsing
from tests.e2e.pages.listening import visit
from tests.e2e.pages.talks import Talk

pytestmark = pytest.mark.asyncio(loop_scope="session")

_SIZE = "(line) => parseFloat(getComputedStyle(line).fontSize)"


async def test_captions_look_as_one_likes(browsing: Browsing, talk: Talk) -> None:
    """Larger and smaller, in high contrast, beside what was said; and so again after a reload."""
    phone = await visit(browsing, f"/{talk.code}")
    await phone.listen("es")
    await talk.say(1)
    await phone.read(talk.heard_in("es"))
    usual: float = await phone.finals.last.evaluate(_SIZE)
    await phone.part("size-down").click()
    assert await phone.finals.last.evaluate(_SIZE) < usual
    for _ in range(2):
        await phone.part("size-up").click()
    large: float = await phone.finals.last.evaluate(_SIZE)
    assert large > usual
    await phone.part("contrast").click()
    original = phone.part("captions").locator(".source")
    await expect(original.last).to_be_hidden()
    await phone.part("original").click()
    await expect(original.last).to_be_visible()
    await expect(original.last).to_have_text(talk.said[-1])
    await phone.page.reload()
    await phone.listen("es")
    await phone.read(talk.heard_in("es"))
    assert await phone.finals.last.evaluate(_SIZE) == large
    assert await phone.finals.last.evaluate("(line) => getComputedStyle(line).color") == "rgb(255, 255, 255)"
    await expect(original.last).to_be_visible()


async def test_captions_alone_are_read_out_and_survive_an_outage(browsing: Browsing, talk: Talk) -> None:
    """Who wants no voice has finished sentences told to a screen reader, once each, whatever the network
    does.
    """
    phone = await visit(
        browsing, f"/{talk.code}", expected=["ERR_INTERNET_DISCONNECTED", "WebSocket connection"]
    )
    await phone.part("captions-only").check()
    await phone.part("language").select_option("es")
    await phone.part("listen").click()
    await expect(phone.part("captions")).to_be_visible()
    await expect(phone.part("pause")).to_be_hidden()
    await phone.page.wait_for_timeout(1600)  # what came before is not read out
    await talk.say(1)
    await phone.read(talk.heard_in("es"))
    await phone.page.context.set_offline(True)
    await expect(phone.part("connection")).to_be_visible()
    await talk.say(1)
    await phone.page.context.set_offline(False)
    await talk.say(1)
    await phone.read(talk.heard_in("es"))
    await expect(phone.part("reader")).to_have_attribute("aria-live", "polite")
    await expect(phone.part("reader").locator("p")).to_have_text(talk.heard_in("es"))


async def test_who_wants_no_motion_gets_none(browsing: Browsing, talk: Talk) -> None:
    """Captions stand in their new place at once."""
    watched = await browsing.open(f"/{talk.code}", PHONE, calm=True)
    moved = await watched.page.evaluate("""
      async () => {
        const { Captions } = await import('/assets/js/captions.js');
        const place = document.body.appendChild(document.createElement('div'));
        place.className = 'captions';
        place.style.blockSize = '200px';
        const captions = new Captions(place);
        for (let n = 1; n < 30; n++)
          captions.take({segmentId: String(n), revision: 0, text: 'Words', isFinal: true});
        return place.scrollTop;
      }""")
    assert moved > 0
