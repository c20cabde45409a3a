"""The speaker's page in the hands of somebody."""

from collections.abc import Sequence
from dataclasses import dataclass

from playwright.async_api import Locator, Page, expect

from tests.e2e.pages.chromium import LAPTOP, Browsing, Screen, Watched

CODE = r"^[a-z]{2,16}-[a-z]{2,16}-[1-9][0-9]{2}$"

_UNTOUCHED = """localStorage.setItem('babelcast.sound', '{"echo":false,"noise":false,"gain":false}')"""


@dataclass(frozen=True, slots=True)
class Speaking:
    """A speaker's page."""

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
        """The finished sentences of the transcript."""
        return self.part("transcript").locator('[data-segment][data-final="true"] .sp-said')

    async def sign_in(self) -> None:
        """One click: the server is on this machine. The microphone's file begins to play."""
        await self.part("signin-local").click()
        await expect(self.part("start")).to_be_enabled()

    async def sign_in_with(self, token: str) -> None:
        """With a token that is pasted."""
        await self.page.get_by_role("button", name="I have a token").click()
        await self.part("token").fill(token)
        await self.part("token").press("Enter")
        await expect(self.part("start")).to_be_enabled()

    async def start(self, source: str = "en") -> str:
        """Begin to speak; returns the session's code."""
        await self.part("source").select_option(source)
        await self.part("start").click()
        return await self.code()

    async def code(self) -> str:
        """The session's code, once it is there."""
        await expect(self.part("code")).to_be_visible()
        text = await self.part("code").text_content()
        return (text or "").strip()

    async def read(self, texts: Sequence[str], *, within_ms: float = 45_000) -> None:
        """Wait until exactly these sentences stand in the transcript."""
        await expect(self.finals).to_have_text(list(texts), timeout=within_ms)

    async def edit(self, place: int, text: str) -> None:
        """Correct a sentence."""
        line = self.part("transcript").locator("[data-segment]").nth(place)
        await line.get_by_test_id("edit").click()
        field = line.get_by_test_id("edit-text")
        await field.fill(text)
        await field.press("Enter")

    async def downloaded(self, kind: str) -> str:
        """The transcript as a file."""
        links = self.part("download")
        if not await links.is_visible():
            await self.page.locator("#live-downloads > summary").click()
        async with self.page.expect_download() as started:
            await links.locator(f'[href*="transcript.{kind}"]').first.click()
        return (await (await started.value).path()).read_text()

    async def end(self) -> None:
        """No more is said."""
        await self.part("end").click()
        await self.part("confirm-yes").click()
        await expect(self.part("again")).to_be_visible()


async def lectern(
    browsing: Browsing,
    speech: bytes = b"",
    screen: Screen = LAPTOP,
    *,
    lead_s: float = 3.0,
    base: str = "",
    expected: Sequence[str] = (),
) -> Speaking:
    """Open the speaker's page, with nothing done to the sound. The microphone will play `speech` once,
    `lead_s` after it was opened.
    """
    browsing.chromium.hears(speech, lead_s=lead_s)
    watched = await browsing.open("/speak", screen, base=base, expected=expected, before=_UNTOUCHED)
    return Speaking(watched)
