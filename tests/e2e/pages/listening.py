"""The listener's page in the hands of somebody."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from playwright.async_api import Locator, Page, expect

from babelcast.protocol.codec import unpack_binary
from babelcast.protocol.server_messages import TranslatedAudio
from tests.e2e.pages import measuring
from tests.e2e.pages.chromium import PHONE, Browsing, Scheme, Screen, Watched
from tests.e2e.pages.reading import read_words, words

PLAYED = 0.75
"""So much of a voice's time is heard at least: the page plays up to 1.25 times as quickly to catch up."""
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

    async def read_words(self, texts: Sequence[str], *, within_s: float = CAPTION_WITHIN_S) -> None:
        """Wait until these words, in this order and no others, stand there, the last in sight."""
        await read_words(self.finals, texts, within_s=within_s)
        await expect(self.finals.last).to_be_in_viewport(ratio=0.9)

    def voices(self, language: str) -> list[TranslatedAudio]:
        """What was sent to be heard in a language, in order; what comes again is left out, as by the page."""
        messages = [unpack_binary(frame)[0] for frame in self.watched.frames]
        numbered = {
            message.sequence_number: message
            for message in messages
            if isinstance(message, TranslatedAudio) and message.target_language == language
        }
        return [numbered[number] for number in sorted(numbered)]

    async def hear_words(self, texts: Sequence[str], language: str, *, within_s: float) -> None:
        """Wait until these words, in this order and no others, were sent as voices, and until the page has
        played all of it, if need be a quarter more quickly. (`measuring.begin` goes before.)
        """
        wanted = words(texts)
        deadline = time.monotonic() + within_s
        while (spoken := words([voice.transcript for voice in self.voices(language)])) != wanted:
            assert time.monotonic() < deadline, f"{' '.join(spoken)}\n instead of\n{' '.join(wanted)}"
            await self.page.wait_for_timeout(200)
        seconds = sum(voice.duration for voice in self.voices(language))
        await measuring.heard_for(self.page, seconds * PLAYED, within_s=within_s)

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
