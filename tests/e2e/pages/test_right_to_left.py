"""Languages that are written from right to left."""

import pytest
from playwright.async_api import expect

from tests.e2e.pages.chromium import Browsing
from tests.e2e.pages.listening import Listening
from tests.e2e.pages.looking import Looks
from tests.e2e.pages.pretending import Pretence
from tests.e2e.pages.talks import Talk

pytestmark = pytest.mark.asyncio(loop_scope="session")

ARABIC = Pretence("ar", "es", "أهلا وسهلا بكم في هذا المساء، لنبدأ (أخيرا) عام 2026.")


async def test_arabic_stands_on_the_right(browsing: Browsing, talk: Talk) -> None:
    """Its captions say their language and direction and begin at the right edge."""
    looks = Looks(browsing)
    watched = await browsing.open("/healthz")
    await ARABIC.begin(watched.page.context)
    page = Listening(watched)
    await watched.page.goto(f"{browsing.base}/{talk.code}")
    await page.listen("ar")
    await talk.say(2)
    await page.read([ARABIC.text] * 2)
    placed: tuple[str, str, bool] = await page.finals.first.evaluate("""
      (line) => {
        const range = document.createRange();
        range.selectNodeContents(line);
        const words = range.getBoundingClientRect(), room = line.parentElement.getBoundingClientRect();
        return [line.closest('[lang]').lang, getComputedStyle(line).direction,
                room.right - words.right <= words.left - room.left];
      }""")
    assert tuple(placed) == ("ar", "rtl", True)
    await expect(page.part("pause")).to_be_visible()
    await looks.at(watched.page, "listen-arabic")
    assert looks.faults == []
