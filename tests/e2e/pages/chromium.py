"""Debian's Chromium with a microphone that plays a file, and pages of which everything is noted."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Response,
    WebSocket,
    async_playwright,
    expect,
)

from babelcast.pcm import SAMPLE_RATE_HZ, silence
from babelcast.wav import Sound, write

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "deploy" / "dev" / "browser"
SHOTS_SETTING = "SCREENSHOTS_DIR"
ARGS = (
    "--no-sandbox",  # CI is root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
PATIENCE_MS = 30_000
"""Much: the machine may be busy with other tests."""
Scheme: TypeAlias = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Screen:
    """What a page is looked at on."""

    name: str
    width: int
    height: int
    is_phone: bool = False


PHONE = Screen("phone", 360, 800, is_phone=True)
LAPTOP = Screen("laptop", 1366, 768)
PROJECTOR = Screen("projector", 1920, 1080)
SCREENS = (PHONE, LAPTOP, PROJECTOR)

_WATCH = """
window.__violations = [];
document.addEventListener('securitypolicyviolation', (event) => {
  const where = `${event.sourceFile}:${event.lineNumber}`;
  window.__violations.push(`${event.violatedDirective}: ${event.blockedURI} ${where}`);
});
window.__shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    if (!entry.hadRecentInput) window.__shifts.push([entry.value, entry.sources.map(
      (source) => source.node?.dataset?.testid ?? source.node?.outerHTML?.slice(0, 80) ?? '').join(' | ')]);
}).observe({type: 'layout-shift', buffered: true});
window.__audios = new Set();
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function (...words) {
  window.__audios.add(this);
  return play.apply(this, words);
};
"""


@dataclass
class Watched:
    """A page, and what went wrong on it. (No slots: the browser's library marks whom it calls.)"""

    page: Page
    host: str
    expected: list[str] = field(default_factory=list)
    """Patterns of troubles that the test brings about itself."""
    troubles: list[str] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """All addresses."""
    frames: list[bytes] = field(default_factory=list)
    """What came over sockets and was no text: voices."""

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error.message}"))
        self.page.on("response", self._response)
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", self._socket)

    async def found(self) -> list[str]:
        """All troubles that the test did not bring about."""
        with contextlib.suppress(Exception):  # a page may be closed
            violations: list[str] = await self.page.evaluate("window.__violations")
            self.troubles += [f"CSP: {violation}" for violation in violations]
        known = re.compile("|".join(self.expected) or "(?!)")
        return [trouble for trouble in self.troubles if not known.search(trouble)]

    async def transferred_bytes(self) -> int:
        """The sum of all bodies, as they went over the wire."""
        sizes = [await response.request.sizes() for response in self.responses]
        return sum(size["responseBodySize"] for size in sizes)

    async def shifted(self) -> list[tuple[float, str]]:
        """What moved by itself, by how much (layout shift score) and where."""
        shifts: list[list[str]] = await self.page.evaluate("window.__shifts")
        return [(float(score), where) for score, where in shifts]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _response(self, response: Response) -> None:
        if 200 <= response.status < 300:
            self.responses.append(response)

    def _socket(self, socket: WebSocket) -> None:
        self._asked(socket.url)
        socket.on("framereceived", self._received)

    def _received(self, frame: bytes | str) -> None:
        if isinstance(frame, bytes):
            self.frames.append(frame)

    def _asked(self, url: str) -> None:
        self.asked.append(url)
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != self.host:
            self.troubles.append(f"request to another host: {url}")


@dataclass(slots=True)
class Chromium:
    """A browser whose microphone is a file."""

    browser: Browser
    microphone: Path
    shots: Path

    def hears(self, speech: bytes, *, lead_s: float = 0.0, tail_s: float = 3.0) -> None:
        """What the microphone will play, once, to the next page that opens it."""
        pcm = silence(round(lead_s * 1000)) + speech + silence(round(tail_s * 1000))
        write(self.microphone, Sound(pcm, SAMPLE_RATE_HZ))

    async def context(
        self, screen: Screen = LAPTOP, *, locale: str = "en-GB", scheme: Scheme = "light", calm: bool = False
    ) -> BrowserContext:
        """Somebody's browser."""
        context = await self.browser.new_context(
            viewport={"width": screen.width, "height": screen.height},
            is_mobile=screen.is_phone,
            has_touch=screen.is_phone,
            device_scale_factor=2 if screen.is_phone else 1,
            locale=locale,
            color_scheme=scheme,
            reduced_motion="reduce" if calm else "no-preference",
            accept_downloads=True,
        )
        context.set_default_timeout(PATIENCE_MS)
        await context.add_init_script(_WATCH)
        return context


@dataclass(slots=True)
class Browsing:
    """The pages of one test."""

    chromium: Chromium
    base: str
    """http://host:port"""
    pages: list[Watched] = field(default_factory=list)

    async def open(
        self,
        path: str,
        screen: Screen = LAPTOP,
        *,
        locale: str = "en-GB",
        scheme: Scheme = "light",
        calm: bool = False,
        base: str = "",
        expected: Sequence[str] = (),
        before: str = "",
    ) -> Watched:
        """A page in a browser of its own, in which the script `before` runs first."""
        context = await self.chromium.context(screen, locale=locale, scheme=scheme, calm=calm)
        if before:
            await context.add_init_script(before)
        page = await context.new_page()
        base = base or self.base
        watched = Watched(page, urlsplit(base).netloc, list(expected))
        self.pages.append(watched)
        await page.goto(base + path)
        return watched

    async def shot(self, page: Page, name: str) -> None:
        """Keep what a page looks like."""
        await page.screenshot(path=self.chromium.shots / f"{name}.png")

    async def close(self) -> list[str]:
        """Close all; returns what went wrong on them."""
        troubles: list[str] = []
        for watched in self.pages:
            troubles += [f"{watched.page.url}: {trouble}" for trouble in await watched.found()]
            await watched.page.context.close()
        return troubles


def require() -> str:
    """The browser's program. Skips where there is none; in CI there must be one."""
    found = shutil.which("chromium")
    if found is None and os.environ.get("CI"):
        done = subprocess.run([SCRIPT, "prepare"], check=False, capture_output=True, text=True)
        found = shutil.which("chromium")
        if found is None:
            pytest.fail(f"Chromium cannot be had: {done.stderr.strip()}")
    if found is None:
        pytest.skip("There is no Chromium: deploy/dev/browser install")
    return found


def shots_folder() -> Path:
    """Where the pictures go."""
    folder = Path(os.environ.get(SHOTS_SETTING) or ROOT / "var" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Chromium]:
    """A browser for as long as the block lasts."""
    program = require()
    microphone = directory / "microphone.wav"
    shots = shots_folder()
    args = [*ARGS, f"--use-file-for-fake-audio-capture={microphone}%noloop"]
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=args)
        chromium = Chromium(browser, microphone, shots)
        chromium.hears(b"")
        try:
            yield chromium
        finally:
            await browser.close()
