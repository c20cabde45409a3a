"""Everything in one process, with its own client commands against it."""

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from babelcast.config import ConfigError
from babelcast.errors import ServiceUnavailable
from babelcast.wav import Sound, read
from bench.own_server import own_server
from cli import bench, places, token
from cli.compose import Place
from cli.outcome import FAILED, OK
from cli.serve import serve
from cli.smoke import SmokeOptions, smoke
from tests.unit.cli.page import Page

READY_S = 60


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A composition root configures logging; a test must not leave that behind."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def sentence() -> Sound:
    """The first four seconds of the recorded speech, and a pause."""
    speech = read(places.SPEECH)
    size = 4 * 2 * speech.sample_rate_hz
    return Sound(speech.pcm[:size] + bytes(size // 4), speech.sample_rate_hz)


@pytest.mark.engines
async def test_serve_smoke_and_bench_work_together(tmp_path: Path, sentence: Sound) -> None:
    """What serve offers passes the smoke tests and can be measured; SIGTERM ends it well."""
    page, tested, measured = Page(), Page(), Page()
    place = Place("127.0.0.1", 0, tmp_path)
    serving = asyncio.create_task(serve(place, {}, Console(file=page, width=2_000), as_json=False))
    await page.until("Ctrl-C stops.", timeout_s=READY_S)
    text = page.getvalue()
    url = next(word for word in text.split() if word.startswith("ws://"))
    assert f"smoke {url} --data-dir {tmp_path}" in text
    good_token = token.given_or_minted("", tmp_path)
    options = SmokeOptions(
        url=url, token=good_token, speech=sentence, source_language="en", target_language="pt"
    )
    assert await smoke(options, Console(file=tested, width=200)) == OK, tested.getvalue()
    assert tested.getvalue().count("PASS") == 7
    code = await bench.latency(
        url=url,
        token=good_token,
        speech=sentence,
        source_language="en",
        target_languages=["pt"],
        sessions=2,
        console=Console(file=measured, width=200),
    )
    assert code in {OK, FAILED}  # the limits are for a quiet machine
    assert "voice after the end of the sentence" in measured.getvalue()
    assert "one session more: accepted" in measured.getvalue()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await serving == OK
    assert page.getvalue().endswith("Stopped.\n")


@pytest.mark.engines
async def test_sigterm_while_starting_ends_well(tmp_path: Path) -> None:
    """Whoever changes their mind need not wait until everything is ready."""
    page = Page()
    starting = asyncio.create_task(
        serve(Place("127.0.0.1", 0, tmp_path), {}, Console(file=page), as_json=False)
    )
    await page.until("speech recognition", timeout_s=READY_S)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await starting == OK
    assert "Ready" not in page.getvalue()


async def test_a_bad_variable_is_named(tmp_path: Path) -> None:
    """A configuration that does not fit ends the start before anything is loaded."""
    with pytest.raises(ConfigError, match="TRANSCRIPTION_WORKERS"):
        await serve(
            Place("127.0.0.1", 0, tmp_path),
            {"TRANSCRIPTION_WORKERS": "many"},
            Console(quiet=True),
            as_json=True,
        )


async def test_a_server_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    """The benchmark's own server ends at once when it cannot serve, and says so."""
    with pytest.raises(ServiceUnavailable, match="before it was ready"):
        async with own_server(tmp_path / "data", environ={"TRANSCRIPTION_WORKERS": "many"}):
            pass
