"""The voice: on a locked phone, without Opus, caught up with, and in any player."""

import asyncio

import pytest
from playwright.async_api import expect

from tests.e2e.pages import measuring
from tests.e2e.pages.chromium import PHONE, Browsing
from tests.e2e.pages.listening import Listening, visit
from tests.e2e.pages.talks import Talk

pytestmark = pytest.mark.asyncio(loop_scope="session")

_NO_OPUS = "OfflineAudioContext.prototype.decodeAudioData = () => Promise.reject(new Error('no Opus'));"
_SYSTEM_CONTROLS = """
window.__pressed = {};
const handle = MediaSession.prototype.setActionHandler;
MediaSession.prototype.setActionHandler = function (name, act) {
  window.__pressed[name] = act;
  return handle.call(this, name, act);
};
"""
_QUICKER = """
async () => {
  const { rateFor } = await import('/assets/js/player.js');
  const { stretch } = await import('/assets/js/stretch.js');
  const rate = 16000, wave = (_, i) => Math.sin(i * 2 * Math.PI * 400 / rate);
  const tone = Float32Array.from({length: rate * 4}, wave);
  const quicker = stretch(tone, 1.25, rate);
  let crossings = 0;
  for (let i = 1; i < quicker.length; i++) crossings += quicker[i - 1] < 0 && quicker[i] >= 0;
  const rates = [0, 1, 2, 5, 30, 300].map((backlogS) => rateFor({waitedS: 0, backlogS, pace: 1}));
  return [rates, quicker.length / tone.length, crossings * rate / quicker.length];
}
"""
_TAKE = """
(url) => {
  const taken = window.__taken = [];
  window.__stop = new AbortController();
  fetch(url, {signal: window.__stop.signal}).then(async (answer) => {
    for (const reader = answer.body.getReader(); ;) {
      const {value, done} = await reader.read();
      if (done) return;
      taken.push(value);
    }
  }).catch(() => {});
}
"""
_VOICED = """
async () => {
  const bytes = await new Blob(window.__taken).arrayBuffer();
  const sound = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(bytes).catch(() => null);
  return sound ? sound.getChannelData(0).filter((sample) => Math.abs(sample) > 0.01).length / 48000 : 0;
}
"""
_KEPT = """
async () => {
  const { Player } = await import('/assets/js/player.js');
  const player = new Player(document.querySelector('audio'), Date.now);
  player.unlock();
  player.pause();
  for (let n = 1; n <= 40; n++) {
    const segmentId = String(n), format = 'pcm';
    const header = {segmentId, targetLanguage: 'es', sampleRate: 16000, format, duration: 1.5};
    await player.add({header, audio: new ArrayBuffer(16000 * 2 * 1.5)});
  }
  const kept = player.keptS;
  player.stop();
  return [kept, player.dropped];
}
"""


async def test_a_locked_phone_goes_on(browsing: Browsing, talk: Talk) -> None:
    """The voice is a real media element that the system knows, with what it shows and with its buttons."""
    page = await browsing.open(f"/{talk.code}", PHONE, before=_SYSTEM_CONTROLS)
    phone = Listening(page)
    await phone.listen("es")
    title, state = await phone.page.evaluate(
        "[navigator.mediaSession.metadata.title, navigator.mediaSession.playbackState]"
    )
    assert (title, state) == (talk.code, "playing")
    assert await phone.part("audio").evaluate("(audio) => !audio.paused && audio.srcObject.active")
    await phone.page.evaluate("window.__pressed.pause()")
    await expect(phone.part("pause")).to_have_attribute("aria-label", "Go on listening")
    assert await phone.page.evaluate("navigator.mediaSession.playbackState") == "paused"
    await phone.page.evaluate("window.__pressed.play()")
    await expect(phone.part("pause")).to_have_attribute("aria-label", "Pause the voice")


async def test_a_browser_without_opus_hears_plain_samples(browsing: Browsing, talk: Talk) -> None:
    """It asks for PCM."""
    phone = Listening(await browsing.open(f"/{talk.code}", PHONE, before=_NO_OPUS))
    asked: list[str] = []
    phone.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: asked.append(str(frame))))
    await phone.listen("es")
    assert any('"audio":"pcm"' in frame for frame in asked), asked
    await measuring.begin(phone.page)
    await talk.say(1)
    await measuring.heard_out(phone.page, talk.heard_in("es"))


async def test_who_is_behind_catches_up_without_a_higher_voice(browsing: Browsing) -> None:
    """At 1.25 times the speed at most, and the pitch stays."""
    page = await visit(browsing, "/")
    rates, length, pitch_hz = await page.page.evaluate(_QUICKER)
    assert rates == sorted(rates)
    assert (rates[0], rates[-1]) == (1, 1.25)
    assert length == pytest.approx(1 / 1.25, abs=0.01)
    assert pitch_hz == pytest.approx(400, abs=8)


async def test_a_pause_keeps_thirty_seconds(browsing: Browsing) -> None:
    """Of a minute that is spoken meanwhile; the oldest goes."""
    page = await visit(browsing, "/")
    kept_s, dropped = await page.page.evaluate(_KEPT)
    assert (kept_s, dropped) == (30, 20)


async def test_a_language_is_heard_without_the_page(browsing: Browsing, talk: Talk) -> None:
    """A browser decodes what its address streams; the captions so far are at another."""
    tab = await browsing.open("/")
    address = f"/live/{talk.code}/es"
    await tab.page.evaluate(_TAKE, f"{address}.ogg")
    await talk.say(1)
    wanted_s = measuring.expected_s(talk.heard_in("es")) * 0.9
    async with asyncio.timeout(30):
        while await tab.page.evaluate(_VOICED) < wanted_s:
            await tab.page.wait_for_timeout(200)
    captions: str = await tab.page.evaluate("async (url) => (await fetch(url)).text()", f"{address}.vtt")
    assert captions.startswith("WEBVTT")
    assert talk.heard_in("es")[-1] in " ".join(captions.split())
    await tab.page.evaluate("window.__stop.abort()")
