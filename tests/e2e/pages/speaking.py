"""The speaker's page in the hands of somebody."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from playwright.async_api import Locator, Page, expect

from tests.e2e.pages import capturing
from tests.e2e.pages.capturing import Captured
from tests.e2e.pages.chromium import LAPTOP, Browsing, Chromium, Screen, Watched
from tests.e2e.pages.reading import words

CODE = r"^[a-z]{2,16}-[a-z]{2,16}-[1-9][0-9]{2}$"

DELIVERED = 0.9
"""So much of a script comes out of the false microphone as it went in, even on a busy machine."""
SILENT_S = 3.0
"""After so much silence nothing more of a script comes."""
_POLL_MS = 250

_UNTOUCHED = """localStorage.setItem('babelcast.sound', '{"echo":false,"noise":false,"gain":false}');"""


@dataclass(frozen=True, slots=True)
class Speaking:
    """A speaker's page."""

    watched: Watched
    chromium: Chromium
    captured: Captured = field(default_factory=Captured)

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
        """One click: the server is on this machine."""
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

    async def say(self, speech: bytes) -> None:
        """Another microphone is chosen, which plays `speech` once, and silence after it."""
        self.chromium.hears(speech, lead_s=0.3)
        await self.open("sound")
        microphones = self.part("microphone")
        ids: list[str] = await microphones.locator("option").evaluate_all(
            "(all) => all.map((one) => one.value)"
        )
        now = await microphones.input_value()
        await microphones.select_option(next(other for other in ids if other not in ("default", now)))

    async def open(self, part: str) -> None:
        """Unfold what is folded: "sound", "downloads" or "keys"."""
        summary = self.page.locator(f"#live-{part}-fold > summary")
        if not await summary.evaluate("(summary) => summary.parentElement.open"):
            await summary.click()

    async def read(
        self, script: Sequence[str], *, within_s: float = 90, share: float = DELIVERED
    ) -> list[str]:
        """Wait until the microphone has delivered so much of a script, and until the words that it
        delivered, in this order and no others, stand in the transcript; returns its lines.
        """
        deadline = time.monotonic() + within_s
        await self._deliver(words(script), share, deadline)
        said = self.captured.words()
        lines: list[str] = []
        while time.monotonic() < deadline:
            lines = await self.lines()
            if capturing.matches(words(lines), said):
                return lines
            await self.page.wait_for_timeout(_POLL_MS)
        raise AssertionError(f"{' '.join(words(lines))}\n instead of\n{self._spoken}")

    async def read_some(self, count: int, *, within_s: float = 90) -> None:
        """Wait until so many words stand in the finished sentences of the transcript."""
        deadline = time.monotonic() + within_s
        while len(words(await self.lines())) < count:
            if time.monotonic() >= deadline:
                await self.captured.fetch(self.page)
                raise AssertionError(f"{await self.lines()}\n of\n{self._spoken}")
            await self.page.wait_for_timeout(_POLL_MS)

    async def _deliver(self, script: Sequence[str], share: float, deadline: float) -> None:
        while True:
            await self.captured.fetch(self.page)
            silent = self.captured.silent_s >= SILENT_S
            if silent and capturing.share(script, self.captured.words()) >= share:
                return
            if time.monotonic() >= deadline:
                break
            await self.page.wait_for_timeout(_POLL_MS)
        raise AssertionError(f"The microphone delivered\n{self._spoken}\n instead of\n{' '.join(script)}")

    @property
    def _spoken(self) -> str:
        return " ".join(capturing.first_reading(self.captured.words()))

    async def lines(self) -> list[str]:
        """The finished sentences, as they were divided."""
        return await self.finals.all_text_contents()

    async def edit(self, place: int, text: str) -> None:
        """Correct a sentence."""
        line = self.part("transcript").locator("[data-segment]").nth(place)
        await line.get_by_test_id("edit").click()
        field = line.get_by_test_id("edit-text")
        await field.fill(text)
        await field.press("Enter")

    async def downloaded(self, kind: str, language: str = "en") -> str:
        """The transcript as a file."""
        links = self.part("download")
        await self.open("downloads")
        async with self.page.expect_download() as started:
            await links.locator(f'[href$="transcript.{kind}?lang={language}"]').click()
        return (await (await started.value).path()).read_text()

    async def end(self) -> None:
        """No more is said."""
        await self.part("end").click()
        await self.part("confirm-yes").click()
        await expect(self.part("again")).to_be_visible()


async def lectern(
    browsing: Browsing,
    screen: Screen = LAPTOP,
    *,
    locale: str = "en-GB",
    base: str = "",
    expected: Sequence[str] = (),
) -> Speaking:
    """Open the speaker's page, with nothing done to the sound. The microphone is silent until `say`."""
    browsing.chromium.hears(b"")
    watched = await browsing.open(
        "/speak", screen, locale=locale, base=base, expected=expected, before=_UNTOUCHED + capturing.CAPTURE
    )
    return Speaking(watched, browsing.chromium)
