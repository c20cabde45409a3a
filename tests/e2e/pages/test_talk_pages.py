"""A talk from a microphone on the speaker's page to three phones in three languages."""

import asyncio

import pytest
from playwright.async_api import expect

from babelcast import scripted
from tests.e2e.pages import measuring
from tests.e2e.pages.chromium import PHONE, Browsing
from tests.e2e.pages.listening import visit
from tests.e2e.pages.speaking import lectern
from tests.e2e.pages.talks import translated

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = 321
SENTENCES = 4
LANGUAGES = ("es", "de", "uk")


async def test_what_is_said_into_a_microphone_is_read_and_heard_on_three_phones(browsing: Browsing) -> None:
    """The words that the microphone delivered on every screen, and each phone plays a voice for as long as
    its sentences take.
    """
    speaker = await lectern(browsing)
    await speaker.sign_in()
    code = await speaker.start()
    phones = await asyncio.gather(*(visit(browsing, f"/{code}", PHONE) for _ in LANGUAGES))
    await asyncio.gather(*(phone.listen(to) for phone, to in zip(phones, LANGUAGES, strict=True)))
    await asyncio.gather(*(measuring.begin(phone.page) for phone in phones))
    await speaker.say(scripted.script_speech(SCRIPT, SENTENCES))
    said = await speaker.read([scripted.sentence(SCRIPT, number) for number in range(SENTENCES)])
    for phone, language in zip(phones, LANGUAGES, strict=True):
        texts = translated(said, language)
        await phone.read_words(texts)
        await measuring.heard_out(phone.page, texts)
    await speaker.end()
    for phone in phones:
        await expect(phone.part("ended")).to_be_visible()
