"""espeak-ng, in processes of its own: 5 ms a sentence, the same voice every time."""

import importlib.util
from collections.abc import Mapping, Set

import msgspec

from babelcast.config import ConfigError
from babelcast.pcm import SAMPLE_RATE_HZ
from translation_svc.failures import EngineMissing, EngineRefused
from translation_svc.framing import LengthPrefixed
from translation_svc.poison import Poison
from translation_svc.pool import WorkerPool
from translation_svc.segments import Clip, Prosody, Tier
from translation_svc.ssml import delivery, espeak_ssml
from translation_svc.voices.espeak_worker import VOICES, Request, respell
from translation_svc.worker import Deadlines, WorkerProcess, python_worker
from translation_svc.worker_loop import Reply


class EspeakVoice:
    """Speaks all target languages."""

    name = "espeak-ng"

    def __init__(
        self, *, deadlines: Deadlines, processes: int = 1, wanted: Mapping[str, str] | None = None
    ) -> None:
        """`wanted` is language to one of VOICES, where it is not to be the usual one."""
        installed = importlib.util.find_spec("espeakng_loader") is not None
        self._languages = frozenset(VOICES) if installed else frozenset()
        self._wanted = wanted or {}
        poison = Poison()
        command = python_worker("translation_svc.voices.espeak_worker")
        self.pool = WorkerPool(
            lambda: WorkerProcess(
                self.name, command, framing=LengthPrefixed(), deadlines=deadlines, poison=poison
            ),
            size=processes,
        )

    @property
    def languages(self) -> Set[str]:
        """The languages with a voice."""
        return self._languages

    def names(self, language: str) -> list[str]:
        """The voices of a language, the one that speaks first."""
        offered = VOICES.get(language, ())
        chosen = self._wanted.get(language, "")
        return sorted(offered, key=lambda name: name != chosen)

    async def warm(self) -> None:
        """Start the processes."""
        await self.pool.warm()

    async def speak(
        self,
        text: str,
        *,
        language: str,
        prosody: Prosody,
        tier: Tier = Tier.STANDARD,  # noqa: ARG002 - its voices are all alike
    ) -> Clip:
        """Text as sound."""
        if language not in self._languages:
            raise EngineMissing(self.name, f"no voice for {language}")
        ssml = espeak_ssml(respell(text, language), prosody)
        request = Request(self.names(language)[0], ssml, delivery(prosody).volume_db)
        answer = await self.pool.call(msgspec.msgpack.encode(request))
        reply = msgspec.msgpack.decode(answer, type=Reply)
        if reply.refused:
            raise EngineRefused(self.name, reply.refused)
        return Clip(reply.body, SAMPLE_RATE_HZ, engine=self.name, characters=len(text))

    async def aclose(self) -> None:
        """End the processes."""
        await self.pool.aclose()


def read_wanted(text: str) -> dict[str, str]:
    """The setting `es=es+m3,pt=pt+f2` as language to voice. Raises: ConfigError for any other voice."""
    wanted: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        language, _, voice = part.partition("=")
        offered = VOICES.get(language, ())
        if voice not in offered:
            there = ", ".join(offered) or f"no language {language}; there are {', '.join(VOICES)}"
            raise ConfigError(f"ESPEAK_VOICES: {part!r} is none of {there}")
        wanted[language] = voice
    return wanted
