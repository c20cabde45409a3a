"""SVOX Pico, in processes of its own: recorded human voices in five languages, 30 ms a sentence."""

import importlib.util
from collections.abc import Set

import msgspec

from babelcast.pcm import SAMPLE_RATE_HZ
from translation_svc.failures import EngineMissing, EngineRefused
from translation_svc.framing import LengthPrefixed
from translation_svc.poison import Poison
from translation_svc.pool import WorkerPool
from translation_svc.segments import Clip, Prosody, Tier
from translation_svc.ssml import delivery
from translation_svc.voices.pico_worker import VOICES, Request
from translation_svc.worker import Deadlines, WorkerProcess, python_worker
from translation_svc.worker_loop import Reply

_PROCESSES = 2


class PicoVoice:
    """Speaks German, English, Spanish, French and Italian, where the package is installed.

    By two processes, so that a sentence that lets one hang holds up no other; the second is started when
    there is work for both.
    """

    name = "pico"

    def __init__(self, *, deadlines: Deadlines) -> None:
        installed = importlib.util.find_spec("py_nanotts") is not None
        self._languages = frozenset(VOICES) if installed else frozenset()
        command = python_worker("translation_svc.voices.pico_worker")
        poison = Poison()
        self.pool = WorkerPool(
            lambda: WorkerProcess(
                self.name, command, framing=LengthPrefixed(), deadlines=deadlines, poison=poison
            ),
            size=_PROCESSES,
        )

    @property
    def languages(self) -> Set[str]:
        """The languages with a voice."""
        return self._languages

    def names(self, language: str) -> list[str]:
        """The voice of a language."""
        return [f"pico-{VOICES[language]}"] if language in self._languages else []

    async def warm(self) -> None:
        """Start the first process."""
        await self.pool.workers[0].warm()

    async def speak(
        self,
        text: str,
        *,
        language: str,
        prosody: Prosody,
        tier: Tier = Tier.STANDARD,  # noqa: ARG002 - it has one voice for both
    ) -> Clip:
        """Text as sound. It knows rate and pitch; the range of the pitch stays as it is."""
        if language not in self._languages:
            raise EngineMissing(self.name, f"no voice for {language}")
        asked = delivery(prosody)
        request = Request(VOICES[language], text, asked.rate, 1 + asked.pitch_percent / 100, asked.volume_db)
        answer = await self.pool.call(msgspec.msgpack.encode(request))
        reply = msgspec.msgpack.decode(answer, type=Reply)
        if reply.refused:
            raise EngineRefused(self.name, reply.refused)
        return Clip(reply.body, SAMPLE_RATE_HZ, engine=self.name, characters=len(text))

    async def aclose(self) -> None:
        """End the processes."""
        await self.pool.aclose()
