"""espeak-ng, in one dedicated process: 5 ms a sentence, the same voice every time."""

import importlib.util
from collections.abc import Set

import msgspec

from babelcast.pcm import SAMPLE_RATE_HZ
from translation_svc.failures import EngineMissing, EngineRefused
from translation_svc.framing import LengthPrefixed
from translation_svc.segments import Clip, Prosody, Tier
from translation_svc.ssml import delivery, espeak_ssml
from translation_svc.voices.espeak_worker import VOICES, Request, respell
from translation_svc.worker import Deadlines, WorkerProcess, python_worker
from translation_svc.worker_loop import Reply


class EspeakVoice:
    """Speaks all target languages."""

    name = "espeak-ng"

    def __init__(self, *, deadlines: Deadlines) -> None:
        installed = importlib.util.find_spec("espeakng_loader") is not None
        self._languages = frozenset(VOICES) if installed else frozenset()
        command = python_worker("translation_svc.voices.espeak_worker")
        self.worker = WorkerProcess(self.name, command, framing=LengthPrefixed(), deadlines=deadlines)

    @property
    def languages(self) -> Set[str]:
        """The languages with a voice."""
        return self._languages

    async def warm(self) -> None:
        """Start the process."""
        await self.worker.warm()

    async def speak(
        self,
        text: str,
        *,
        language: str,
        prosody: Prosody,
        tier: Tier = Tier.STANDARD,  # noqa: ARG002 - it has one voice for both
    ) -> Clip:
        """Text as sound."""
        if language not in self._languages:
            raise EngineMissing(self.name, f"no voice for {language}")
        ssml = espeak_ssml(respell(text, language), prosody)
        request = Request(language, ssml, delivery(prosody).volume_db)
        answer = await self.worker.call(msgspec.msgpack.encode(request))
        reply = msgspec.msgpack.decode(answer, type=Reply)
        if reply.refused:
            raise EngineRefused(self.name, reply.refused)
        return Clip(reply.body, SAMPLE_RATE_HZ, engine=self.name, characters=len(text))

    async def aclose(self) -> None:
        """End the process."""
        await self.worker.aclose()
