"""What a page looks like, on every screen, light and dark; and what axe says about it."""

from dataclasses import dataclass, field

from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]
from playwright.async_api import Page

from tests.e2e.pages.chromium import LAPTOP, PHONE, PROJECTOR, Browsing, Scheme, Screen

LOOKED_AT: tuple[tuple[Screen, Scheme], ...] = ((PHONE, "light"), (LAPTOP, "dark"), (PROJECTOR, "light"))
ASKED_ABOUT = (PHONE, LAPTOP)
"""What axe is asked about: both layouts, both schemes."""
_RULES = {
    "resultTypes": ["violations"],
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
}
_VIOLATIONS = """
async (rules) => (await axe.run(document, rules)).violations.flatMap(({id, nodes}) =>
  nodes.map(({target, html}) => [id, target.join(' '), html.slice(0, 120)]))
"""
_PAINTED = """
() => new Promise((done) => {
  const settled = () => document.getAnimations().every((one) => one.playState !== 'running')
    ? requestAnimationFrame(() => requestAnimationFrame(done)) : setTimeout(settled, 10);
  requestAnimationFrame(settled);
})
"""
_OVERFLOW = """
() => {
  const parts = [...document.querySelectorAll('main, section, footer, button')]
    .filter((one) => one.checkVisibility());
  const right = Math.max(document.documentElement.scrollWidth,
    ...parts.map((one) => one.getBoundingClientRect().right));
  return right > innerWidth + 1 ? Math.round(right) : 0;
}
"""


@dataclass(slots=True)
class Looks:
    """Pictures taken, and faults found in them."""

    browsing: Browsing
    faults: list[str] = field(default_factory=list)

    async def at(self, page: Page, state: str) -> None:
        """Look at a page as it is now."""
        for screen, scheme in LOOKED_AT:
            await page.set_viewport_size({"width": screen.width, "height": screen.height})
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await page.evaluate(_PAINTED)
            name = f"{state}-{screen.name}-{scheme}"
            await self.browsing.shot(page, name)
            if screen in ASKED_ABOUT:
                await self._ask_axe(page, name)
            too_wide: int = await page.evaluate(_OVERFLOW)
            if too_wide:
                self.faults.append(f"{name}: {too_wide} pixels wide")

    async def _ask_axe(self, page: Page, name: str) -> None:
        if not await page.evaluate("Boolean(window.axe)"):
            await page.evaluate(AXE_SCRIPT)
        found: list[tuple[str, str, str]] = await page.evaluate(_VIOLATIONS, _RULES)
        self.faults += [f"{name}: {rule}: {where} {seen}" for rule, where, seen in found]
