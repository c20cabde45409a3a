"""`babelcast serve --workers`: one address, several gateway processes."""

import asyncio
from pathlib import Path

from babelcast import scripted
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.wav import Sound
from bench.talk import hold
from tests.e2e.served import environment, run, serving
from tests.nats_server import NatsServer

SENTENCES = 3


async def test_a_talk_through_several_processes(mortal_nats: NatsServer, tmp_path: Path) -> None:
    """Speaker and listeners are on whichever process the kernel chose; all is heard, and all ends well."""
    options = ("--engines", "scripted", "--workers", "2")
    with serving(tmp_path / "data", options=options, BUS_URL=mortal_nats.url) as served:
        talk = await hold(
            served.url,
            token=served.token,
            speech=Sound(scripted.script_speech(9, SENTENCES), SAMPLE_RATE_HZ),
            source_language="en",
            target_languages=["es", "de", "fr", "pt"],
        )
        code = await asyncio.to_thread(served.stop)
    said = [scripted.sentence(9, number) for number in range(SENTENCES)]
    assert talk.problems == []
    for heard in talk.listeners:
        captions = [caption.text for _, caption in heard.captions if caption.is_final]
        assert captions == [scripted.translated(text, heard.language) for text in said]
    assert code == 0


def test_several_processes_need_a_bus(tmp_path: Path) -> None:
    """It says so before anything is served."""
    assert "BUS_URL" not in environment()
    done = run("serve", "--engines", "scripted", "--workers", "2", "--port", "0", "--data-dir", str(tmp_path))
    assert done.returncode != 0
    assert "BUS_URL" in done.stderr + done.stdout
