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
_NOTE_WISHES = """
window.__wishes = [];
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = ({audio: {deviceId, ...wish}}) => {
  window.__wishes.push(wish);
  return ask({audio: {...wish, deviceId}});
};
"""
TEXTS = [scripted.sentence(SCRIPT, number) for number in range(2)]


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
    await speaking.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await speaking.part("copy-code").click()
    await expect(speaking.part("copy-code")).to_have_text("Copied")
    assert await speaking.page.evaluate("navigator.clipboard.readText()") == code
    size: float = await speaking.part("code").evaluate(
        "(line) => parseFloat(getComputedStyle(line).fontSize)"
    )
    assert size > 40
    width: int = await speaking.part("qr").evaluate("(image) => image.naturalWidth")
    assert width > 0
    phones = [await visit(browsing, f"/{code}") for _ in range(2)]
    for phone, language in zip(phones, ("es", "de"), strict=True):
        await phone.listen(language)
    await expect(speaking.part("listeners").locator("li")).to_have_text(
        [re.compile(r"^German.*1$"), re.compile(r"^Spanish.*1$")]
    )
    await speaking.say(SPEECH)
    tentative = speaking.part("transcript").locator(".sp-said i:not(:empty)")
    await expect(tentative).not_to_have_count(0)
    grey, ink = await speaking.page.evaluate(
        "['.sp-said i', '.sp-said'].map((words) => getComputedStyle(document.querySelector(words)).color)"
    )
    assert grey != ink
    await speaking.read(TEXTS)
    await expect(tentative).to_have_count(0)
    for lag in range(2):
        await expect(speaking.part("lag").nth(lag)).to_have_text(re.compile(r"\d s behind$"))


async def test_a_correction_is_seen_everywhere(browsing: Browsing, speaking: Speaking) -> None:
    """A past sentence is edited: the speaker's transcript and each listener's caption change in place."""
    phone = await visit(browsing, f"/{await speaking.code()}")
    await phone.listen("es")
    await speaking.say(SPEECH)
    said = await speaking.read(TEXTS)
    await phone.read_words(translated(said, "es"))
    corrected = ["Nothing of the kind was said.", *(await speaking.lines())[1:]]
    await speaking.edit(0, corrected[0])
    await expect(speaking.finals).to_have_text(corrected)
    await phone.read(translated(corrected, "es"))


async def test_the_transcript_can_be_had(browsing: Browsing, speaking: Speaking) -> None:
    """As text and as subtitles, in each language that somebody listens in, from the page."""
    phone = await visit(browsing, f"/{await speaking.code()}")
    await phone.listen("es")
    await speaking.say(SPEECH)
    said = await speaking.read(TEXTS)
    await phone.read_words(translated(said, "es"))
    assert words([await speaking.downloaded("txt", "es")]) == words(translated(said, "es"))
    assert words([await speaking.downloaded("txt")]) == words(said)
    assert "-->" in await speaking.downloaded("srt")
    assert (await speaking.downloaded("vtt")).startswith("WEBVTT")


async def test_keys_do_what_buttons_do(speaking: Speaking) -> None:
    """P, M, + and - and E; not while somebody writes, and not when they are switched off."""
    page = speaking.page
    await page.keyboard.press("p")
    await expect(speaking.part("pause")).to_have_text(re.compile("Go on"))
    await page.keyboard.press("p")
    await expect(speaking.part("pause")).to_have_text(re.compile("Pause"))
    await page.keyboard.press("m")
    await expect(speaking.part("mute")).to_have_text(re.compile("Unmute"))
    await page.keyboard.press("-")
    await expect(speaking.part("volume")).to_have_value("95")
    await page.keyboard.press("+")
    await expect(speaking.part("volume")).to_have_value("100")
    await page.keyboard.press("e")
    await speaking.part("confirm-no").click()
    await speaking.open("keys")
    await speaking.part("keys").uncheck()
    await page.keyboard.press("m")
    await page.keyboard.press("e")
    await expect(speaking.part("confirm")).to_be_hidden()
    await expect(speaking.part("mute")).to_have_text(re.compile("Unmute"))


async def test_what_the_browser_does_to_the_sound_is_the_speakers_choice(browsing: Browsing) -> None:
    """Three switches, on at first, of which each opens the microphone anew and is remembered."""
    watched = await browsing.open("/speak", before=_NOTE_WISHES)
    speaker = Speaking(watched, browsing.chromium)
    await speaker.sign_in()
    wish: dict[str, object] = {
        "echoCancellation": True,
        "noiseSuppression": True,
        "autoGainControl": True,
        "channelCount": 1,
    }
    assert await speaker.page.evaluate("window.__wishes") == [wish]
    switches = {"echo": "echoCancellation", "noise": "noiseSuppression", "gain": "autoGainControl"}
    for number, (switch, name) in enumerate(switches.items(), start=1):
        await speaker.part(switch).uncheck()
        wish[name] = False
        assert await speaker.page.evaluate("window.__wishes[window.__wishes.length - 1]") == wish
        assert await speaker.page.evaluate("window.__wishes.length") == number + 1
    await speaker.page.reload()
    await expect(speaker.part("start")).to_be_enabled()
    assert await speaker.page.evaluate("window.__wishes") == [wish]


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
    assert not any(stage.token in url for url in speaker.watched.asked)
    kept: str = await speaker.page.evaluate("JSON.stringify(localStorage)")
    assert stage.token not in kept
