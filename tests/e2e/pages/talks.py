"""A speaker without a page, who says the next sentence of a script when asked to."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from babelcast import scripted
from babelcast.client import Speaker, pace
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.wav import Sound

_scripts = itertools.count(400)


@dataclass(slots=True)
class Talk:
    """What was said so far."""

    speaker: Speaker
    code: str
    script: int
    said: list[str] = field(default_factory=list)

    async def say(self, sentences: int = 1) -> None:
        """Go on by so many sentences, at the pace of speech."""
        for _ in range(sentences):
            number = len(self.said)
            sound = Sound(scripted.speech(self.script, number), SAMPLE_RATE_HZ)
            self.said.append(scripted.sentence(self.script, number))
            async for chunk in pace.paced(pace.chunks(sound)):
                await self.speaker.send_audio(chunk)

    def heard_in(self, language: str) -> list[str]:
        """All that was said, as it is read in a language."""
        return translated(self.said, language)


def translated(said: Sequence[str], language: str) -> list[str]:
    """Sentences in a language; English is what is spoken."""
    return [text if language == "en" else scripted.translated(text, language) for text in said]


@contextlib.asynccontextmanager
async def talking(url: str | Sequence[str], token: str) -> AsyncIterator[Talk]:
    """A session that is ended when the block is left."""
    async with await Speaker.connect(url, token=token) as speaker:
        session = await speaker.create_session("en")
        watching = asyncio.create_task(_follow(speaker), name="speaker")
        try:
            yield Talk(speaker, session.session_id, next(_scripts))
        finally:
            with contextlib.suppress(Exception):  # the test may have ended it
                await speaker.end()
            watching.cancel()
            await asyncio.wait([watching])


async def _follow(speaker: Speaker) -> None:
    async for _ in speaker:
        pass
