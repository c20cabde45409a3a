"""Speakers who go on until they are told to end, and what they said."""

import asyncio
from dataclasses import dataclass, field

from babelcast import scripted
from babelcast.client import Speaker, pace
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.wav import Sound


@dataclass(slots=True)
class Talk:
    """A scripted talk."""

    script: int
    said: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    spoken: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def hold(self, speaker: Speaker) -> None:
        """Say sentence after sentence at the pace of speech."""
        while not self.over.is_set():
            number = len(self.said)
            sound = Sound(scripted.speech(self.script, number), SAMPLE_RATE_HZ)
            async for chunk in pace.paced(pace.chunks(sound)):
                await speaker.send_audio(chunk)
            async with self.spoken:
                self.said.append(scripted.sentence(self.script, number))
                self.spoken.notify_all()
        await speaker.end()

    async def more(self, sentences: int) -> None:
        """Wait until so many more sentences were said."""
        until = len(self.said) + sentences
        async with self.spoken:
            await self.spoken.wait_for(lambda: len(self.said) >= until)
