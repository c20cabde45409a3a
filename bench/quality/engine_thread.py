"""The embedded engines on a loop and in a thread of their own, for benches whose own loop simulates time."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Self, TypeVar

from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig
from translation_svc.cost import Tally, uncounted
from translation_svc.glossary import Glossary
from translation_svc.segments import Clip, Prosody, Tier
from translation_svc.turns import Urgency

_T = TypeVar("_T")

MAKING_S = 0.02
"""How long translating and speaking a sentence take each on the simulated clock: as measured."""
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Said:
    """A text, its translation, and how long that is said at the usual pace."""

    source: str
    text: str
    clip_s: float


class EngineThread:
    """An interpreter for lanes. Each call holds the caller's loop up until the engine has answered."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engines")
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(self._running())
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        self._thread.start()
        try:
            self._app = self._do(_opened())
            try:
                yield
            finally:
                self._do(self._app.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def said(self, text: str, language: str) -> Said:
        """A text of English in another language."""
        translated = self._do(self._translated(text, language, urgency=Urgency.FINAL))
        clip = self._do(self._app.interpreter.speak(translated, language=language, prosody=Prosody()))
        return Said(text, translated, clip.duration_ms / 1000)

    def sources(self) -> list[str]:
        """What can be spoken."""
        return self._app.interpreter.sources()

    def voices(self, language: str) -> list[str]:
        """Names of its voices."""
        return self._app.interpreter.voices(language)

    def targets(self, source: str) -> list[str]:
        """What it can be heard in."""
        return self._app.interpreter.targets(source)

    def warm(self, source: str, target: str | None) -> None:
        """Nothing: engines start when they are needed."""

    async def translate(
        self,
        text: str,
        *,
        source: str,  # noqa: ARG002 - English
        target: str,
        glossary: Glossary,  # noqa: ARG002 - none
        urgency: Urgency,
        tally: Tally = uncounted,  # noqa: ARG002 - nobody pays
        context: str = "",  # noqa: ARG002 - the engines do not take it
    ) -> str:
        """Text in `target`."""
        await asyncio.sleep(MAKING_S)
        return self._do(self._translated(text, target, urgency=urgency))

    async def speak(
        self,
        text: str,
        *,
        language: str,
        prosody: Prosody,
        tier: Tier = Tier.STANDARD,
        tally: Tally = uncounted,  # noqa: ARG002 - nobody pays
    ) -> Clip:
        """Text as sound."""
        await asyncio.sleep(MAKING_S)
        return self._do(self._app.interpreter.speak(text, language=language, prosody=prosody, tier=tier))

    async def opus(self, clip: Clip) -> bytes:
        """The clip as Ogg Opus."""
        return self._do(self._app.interpreter.opus(clip))

    def _translated(self, text: str, language: str, *, urgency: Urgency) -> Coroutine[object, object, str]:
        return self._app.interpreter.translate(
            text, source="en", target=language, glossary=Glossary(), urgency=urgency
        )

    def _do(self, work: Coroutine[object, object, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_S)


async def _opened() -> TranslationApp:
    app = TranslationApp(TranslationConfig(translation_bind="127.0.0.1:0"))
    await app.start()
    return app
