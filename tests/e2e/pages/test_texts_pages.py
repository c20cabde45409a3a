"""The pages' own texts, in all their languages."""

import json

import pytest
from playwright.async_api import expect

from tests.e2e.pages.chromium import PHONE, Browsing
from tests.e2e.pages.listening import visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

LANGUAGES = ("en", "es", "fr", "de", "pt", "it")
_LOOK = """
() => {
  const shown = [...document.querySelectorAll('[data-i18n]')].filter((one) => one.checkVisibility());
  return {
    lang: document.documentElement.lang,
    title: [...document.querySelectorAll('h1')].find((one) => one.checkVisibility())?.textContent,
    left: shown.map((one) => [one.dataset.i18n, one.textContent])
      .filter(([key, text]) => !text || key === text),
    wide: document.documentElement.scrollWidth > innerWidth,
    cut: [...document.querySelectorAll('button, a, h1, .chip')].filter((one) => one.checkVisibility()
      && one.scrollWidth > one.clientWidth + 1).map((one) => one.outerHTML.slice(0, 90)),
  };
}
"""


@pytest.mark.parametrize("path", ["/", "/speak"])
async def test_a_page_speaks_six_languages(browsing: Browsing, path: str) -> None:
    """Each wholly, and so that it fits a phone."""
    page = (await browsing.open(path, PHONE)).page
    choice = page.locator("#page-language")
    titles = set()
    for language in LANGUAGES:
        await expect(page.locator("h1").locator("visible=true")).not_to_be_empty()
        await choice.select_option(language)
        await expect(page.locator("html")).to_have_attribute("lang", language)
        seen = await page.evaluate(_LOOK)
        assert (seen["left"], seen["wide"], seen["cut"]) == ([], False, []), json.dumps(seen)
        await browsing.shot(page, f"texts-{path.strip('/') or 'listen'}-{language}-phone")
        titles.add(seen["title"])
    assert len(titles) == len(LANGUAGES)


async def test_languages_are_called_what_their_speakers_call_them(browsing: Browsing) -> None:
    """Also those that browsers have no data of; and none is cut on a phone."""
    phone = await visit(browsing, "/")
    await expect(phone.part("language").locator("option[value=gl]")).to_have_text("Galego")
    await expect(phone.part("language").locator("option[value=uk]")).to_have_text("Українська")
