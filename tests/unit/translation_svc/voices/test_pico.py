"""Pico's processes, without Pico."""

import asyncio
import contextlib
import sys

import pytest

from translation_svc.failures import EngineTimedOut
from translation_svc.segments import Prosody
from translation_svc.voices.pico import PicoVoice
from translation_svc.worker import Deadlines

# Makes no sound, and never ends with one text.
WORKER = """
import sys, time
from translation_svc.worker_loop import serve

def handle(payload):
    if b"endless" in payload:
        time.sleep(60)
    return b""

serve(handle, requests=sys.stdin.buffer, replies=sys.stdout.buffer)
"""


async def test_a_sentence_that_never_ends_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else's in any language waits for its deadline."""
    monkeypatch.setattr("translation_svc.voices.pico.python_worker", lambda _: (sys.executable, "-c", WORKER))
    async with contextlib.aclosing(PicoVoice(deadlines=Deadlines(start_s=20, call_s=2))) as voice:
        await voice.warm()
        assert [worker.starts for worker in voice.pool.workers] == [1, 0]
        endless = asyncio.create_task(voice.speak("endless", language="de", prosody=Prosody()))
        await asyncio.sleep(0)
        for language in ("es", "de", "fr"):
            assert (await voice.speak("Hola", language=language, prosody=Prosody())).engine == "pico"
        assert not endless.done()
        with pytest.raises(EngineTimedOut):
            await endless
