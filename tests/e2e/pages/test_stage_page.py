"""The stage: captions alone, for a projector or a broadcast."""

import io

import pytest
from playwright.async_api import expect

from tests.e2e.pages.chromium import PROJECTOR, Browsing
from tests.e2e.pages.listening import Listening
from tests.e2e.pages.talks import Talk

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_two_languages_stand_side_by_side(browsing: Browsing, talk: Talk) -> None:
    """Each in a column of its own, without a press on anything."""
    wall = Listening(await browsing.open(f"/{talk.code}/stage?lang=es,fr", PROJECTOR))
    await expect(wall.part("captions")).to_have_count(2)
    await talk.say(2)
    for place, language in enumerate(("es", "fr")):
        column = wall.part("captions").nth(place)
        lines = column.locator('[data-segment][data-final="true"] .text')
        await expect(lines.last).to_have_text(talk.heard_in(language)[-1])
        await expect(lines.last).to_have_attribute("lang", language)


async def test_a_broadcast_sees_through_it(browsing: Browsing, talk: Talk) -> None:
    """With a transparent background there is nothing but the text."""
    wall = Listening(await browsing.open(f"/{talk.code}/stage?lang=es&background=transparent", PROJECTOR))
    await talk.say(1)
    await expect(wall.part("captions")).to_contain_text(talk.heard_in("es")[-1])
    backgrounds: list[str] = await wall.page.evaluate("""
      () => ['html', 'body'].map((name) => getComputedStyle(document.querySelector(name)).backgroundColor)""")
    assert backgrounds == ["rgba(0, 0, 0, 0)"] * 2
    png = await wall.page.screenshot(omit_background=True)
    assert io.BytesIO(png).read(8) == b"\x89PNG\r\n\x1a\n"
