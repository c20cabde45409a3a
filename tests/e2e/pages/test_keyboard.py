"""Both pages by keyboard alone."""

from collections.abc import Sequence

import pytest
from playwright.async_api import Page, expect

from tests.e2e.pages.chromium import LAPTOP, Browsing
from tests.e2e.pages.listening import visit
from tests.e2e.pages.speaking import lectern
from tests.e2e.pages.talks import Talk

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOST_STOPS = 60
_FOCUSED = """
() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const style = getComputedStyle(at);
  const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
  const ring = outlined || style.boxShadow !== 'none';
  const box = at.getBoundingClientRect();
  return [at.dataset.testid ?? at.id ?? at.tagName, ring,
          box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth];
}
"""


async def stops(page: Page) -> list[str]:
    """Everything that Tab leads to, once around. Each stop must be seen."""
    found: list[str] = []
    for _ in range(MOST_STOPS):
        await page.keyboard.press("Tab")
        at: tuple[str, bool, bool] | None = await page.evaluate(_FOCUSED)
        if at is None:
            if found:
                return found
            continue
        name, ring, in_view = at
        if found and name == found[0]:
            return found
        assert ring, f"{name} has no focus ring"
        assert in_view, f"{name} is focused out of view"
        found.append(name)
    return found


async def reach(page: Page, name: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(MOST_STOPS):
        await page.keyboard.press("Tab")
        at: tuple[str, bool, bool] | None = await page.evaluate(_FOCUSED)
        if at is not None and at[0] == name:
            return
    pytest.fail(f"Tab never leads to {name}")


def missing(found: Sequence[str], *wanted: str) -> set[str]:
    """What of `wanted` is no stop."""
    return set(wanted) - set(found)


async def test_listening_without_a_mouse(browsing: Browsing, talk: Talk) -> None:
    """From the address to a voice, to a pause, to larger text."""
    page = await visit(browsing, f"/{talk.code}", LAPTOP)
    await reach(page.page, "language")
    await page.page.keyboard.type("Esp")
    await expect(page.part("language")).to_have_value("es")
    await reach(page.page, "listen")
    await page.page.keyboard.press("Enter")
    await expect(page.part("pause")).to_be_visible()
    await talk.say(1)
    await page.read(talk.heard_in("es"))
    found = await stops(page.page)
    wanted = ("pause", "volume", "language", "original", "size-up", "size-down", "contrast", "fullscreen")
    assert missing(found, *wanted) == set(), found


async def test_speaking_without_a_mouse(browsing: Browsing) -> None:
    """From signing in to the end of a talk."""
    speaker = await lectern(browsing)
    await reach(speaker.page, "signin-local")
    await speaker.page.keyboard.press("Enter")
    await expect(speaker.part("start")).to_be_enabled()
    await reach(speaker.page, "start")
    await speaker.page.keyboard.press("Enter")
    await speaker.code()
    found = await stops(speaker.page)
    assert missing(found, "pause", "mute", "volume", "end") == set(), found
