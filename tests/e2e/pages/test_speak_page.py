"""The speaker's page."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from babelcast import scripted
from tests.e2e.pages.chromium import Browsing
from tests.e2e.pages.listening import visit
from tests.e2e.pages.reading import words
from tests.e2e.pages.speaking import CODE, Speaking, lectern
from tests.e2e.pages.talks import translated
from tests.e2e.served import Served

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = 654
SPEECH = scripted.script_speech(SCRIPT, 2)
SAID = [scripted.sentence(SCRIPT, number) for number in range(2)]


@pytest_asyncio.fixture(loop_scope="session")
async def speaking(browsing: Browsing) -> AsyncIterator[Speaking]:
    """A speaker who has said nothing so far."""
    speaker = await lectern(browsing)
    await speaker.sign_in()
    await speaker.start()
    yield speaker
    if await speaker.part("end").is_visible():
        await speaker.end()


async def test_what_is_shown_of_a_talk(browsing: Browsing, speaking: Speaking) -> None:
    """The code, the way in as link and as picture, and who listens in what."""
    code = await speaking.code()
    assert re.fullmatch(CODE, code)
    await expect(speaking.page.locator(f'[href$="/{code}"]').first).to_be_visible()
    width: int = await speaking.part("qr").evaluate("(image) => image.naturalWidth")
    assert width > 0
    phones = [await visit(browsing, f"/{code}") for _ in range(2)]
    for phone, language in zip(phones, ("es", "de"), strict=True):
        await phone.listen(language)
    await expect(speaking.part("listeners").locator("li")).to_have_text(
        [re.compile(r"^German.*1$"), re.compile(r"^Spanish.*1$")]
    )
    await speaking.say(SPEECH)
    await speaking.read(SAID)
    for lag in range(2):
        await expect(speaking.part("lag").nth(lag)).to_have_text(re.compile(r"\d s behind$"))


async def test_a_correction_is_seen_everywhere(browsing: Browsing, speaking: Speaking) -> None:
    """A past sentence is edited: the speaker's transcript and each listener's caption change in place."""
    phone = await visit(browsing, f"/{await speaking.code()}")
    await phone.listen("es")
    await speaking.say(SPEECH)
    await speaking.read(SAID)
    await phone.read_words(translated(SAID, "es"))
    corrected = ["Nothing of the kind was said.", *(await speaking.lines())[1:]]
    await speaking.edit(0, corrected[0])
    await expect(speaking.finals).to_have_text(corrected)
    await phone.read(translated(corrected, "es"))


async def test_the_transcript_can_be_had(speaking: Speaking) -> None:
    """As text and as subtitles, from the page."""
    await speaking.say(SPEECH)
    await speaking.read(SAID)
    assert words([await speaking.downloaded("txt")]) == words(SAID)
    assert "-->" in await speaking.downloaded("srt")
    assert (await speaking.downloaded("vtt")).startswith("WEBVTT")


async def test_a_talk_is_paused_and_muted(browsing: Browsing, speaking: Speaking) -> None:
    """By buttons and by keys; listeners are told, and told that it goes on."""
    phone = await visit(browsing, f"/{await speaking.code()}")
    await phone.listen("es")
    told = await phone.part("status").text_content()
    await speaking.part("pause").click()
    await expect(phone.part("status")).not_to_have_text(told or "")
    await speaking.part("pause").click()
    await expect(phone.part("status")).to_have_text(told or "")
    await speaking.part("mute").click()
    await expect(speaking.part("mute")).to_have_text(re.compile("Unmute"))


async def test_the_meter_moves_thirty_times_a_second(speaking: Speaking) -> None:
    """And not much more often, while something is said."""
    await speaking.say(SPEECH)
    await expect(speaking.part("transcript").locator("[data-segment]")).not_to_have_count(0)
    moves: float = await speaking.part("level").evaluate("""
      (level) => new Promise((done) => {
        let frames = new Set();
        const watch = new MutationObserver(() => frames.add(document.timeline.currentTime));
        watch.observe(level, {attributes: true, subtree: true, attributeFilter: ['style', 'value']});
        setTimeout(() => { watch.disconnect(); done(frames.size / 1.5); }, 1500);
      })""")
    assert 15 < moves < 40


async def test_a_pasted_token_signs_in(browsing: Browsing, stage: Served) -> None:
    """And is nowhere afterwards but in this tab."""
    speaker = await lectern(browsing)
    await speaker.sign_in_with(stage.token)
    assert stage.token not in speaker.page.url
    kept: str = await speaker.page.evaluate("JSON.stringify(localStorage)")
    assert stage.token not in kept
