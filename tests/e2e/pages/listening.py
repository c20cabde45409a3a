"""The listener's page in the hands of somebody."""

from collections.abc import Sequence
from dataclasses import dataclass

from playwright.async_api import Locator, Page, expect

from tests.e2e.pages.chromium import PHONE, Browsing, Scheme, Screen, Watched
from tests.e2e.pages.reading import read_words

CAPTION_WITHIN_S = 45.0
"""Much: the machine may be busy with other tests."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A listener's page."""

    watched: Watched

    @property
    def page(self) -> Page:
        """The browser's page."""
        return self.watched.page

    def part(self, test_id: str) -> Locator:
        """An element by its data-testid."""
        return self.page.get_by_test_id(test_id)

    @property
    def finals(self) -> Locator:
        """The texts of all finished captions."""
        return self.part("captions").locator('[data-segment][data-final="true"] .text')

    async def listen(self, language: str) -> None:
        """Choose a language and press the button."""
        await self.part("language").select_option(language)
        await self.part("listen").click()
        await expect(self.part("pause")).to_be_visible()

    async def read(self, texts: Sequence[str]) -> None:
        """Wait until exactly these captions stand there, the last in sight."""
        await expect(self.finals).to_have_text(list(texts), timeout=CAPTION_WITHIN_S * 1000)
        await expect(self.finals.last).to_be_in_viewport(ratio=0.9)

    async def read_words(self, texts: Sequence[str]) -> None:
        """Wait until these words, in this order and no others, stand there, the last in sight."""
        await read_words(self.finals, texts, within_s=CAPTION_WITHIN_S)
        await expect(self.finals.last).to_be_in_viewport(ratio=0.9)

    async def read_last(self, text: str) -> None:
        """Wait until the last finished caption is this."""
        await expect(self.finals.last).to_have_text(text, timeout=CAPTION_WITHIN_S * 1000)


async def visit(
    browsing: Browsing,
    path: str,
    screen: Screen = PHONE,
    *,
    locale: str = "en-GB",
    scheme: Scheme = "light",
    base: str = "",
    expected: Sequence[str] = (),
) -> Listening:
    """Open a listener's page."""
    return Listening(
        await browsing.open(path, screen, locale=locale, scheme=scheme, base=base, expected=expected)
    )
