"""Speakers in real time, each with a script of its own, and who listens to them."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

from babelcast import scripted
from babelcast.client import Listener, Speaker
from babelcast.pcm import SAMPLE_RATE_HZ, duration_ms
from babelcast.protocol.server_messages import Caption, Error, ServiceDegraded, Transcript
from babelcast.wav import Sound
from bench.speakers.services import Running

CHUNK_S = 0.1
LANGUAGES = ("es", "fr", "de")


@dataclass(slots=True)
class Spoken:
    """One speaker's talk."""

    script: int
    sentences: int
    session: str = ""
    stamps_s: list[float] = field(default_factory=list)
    """When each chunk was handed to the connection, s of the monotonic clock."""
    heard: list[str] = field(default_factory=list)
    captions: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether everybody read exactly what was said."""
        said = [scripted.sentence(self.script, number) for number in range(self.sentences)]
        translated = {name: [scripted.translated(text, name) for text in said] for name in self.captions}
        return self.heard == said and self.captions == translated


def sentences_in(seconds: float) -> int:
    """How many whole sentences fit."""
    return max(1, int(seconds * 1000 / duration_ms(scripted.speech(0, 0))))


async def talk(system: Running, spoken: Spoken, *, listeners: int, begin_s: float) -> None:
    """Speak from `begin_s` of the monotonic clock on, to so many listeners who read final captions.

    Raises: BabelcastError.
    """
    token = system.issuer.mint(f"speaker-{spoken.script}")
    pcm = scripted.script_speech(spoken.script, spoken.sentences)
    async with await Speaker.connect(system.url, token=token) as speaker, asyncio.TaskGroup() as group:
        spoken.session = (await speaker.create_session("en")).session_id
        group.create_task(_read(speaker, spoken), name="transcripts")
        for number in range(listeners):
            language = LANGUAGES[number % len(LANGUAGES)]
            await _sit_down(system, spoken, language, group)
        await _speak(speaker, spoken, Sound(pcm, SAMPLE_RATE_HZ), begin_s=begin_s)
        await speaker.end()


async def _speak(speaker: Speaker, spoken: Spoken, sound: Sound, *, begin_s: float) -> None:
    size = round(2 * SAMPLE_RATE_HZ * CHUNK_S)
    for number, start in enumerate(range(0, len(sound.pcm), size)):
        await asyncio.sleep(begin_s + number * CHUNK_S - time.monotonic())
        spoken.stamps_s.append(time.monotonic())
        await speaker.send_audio(sound.pcm[start : start + size])


async def _read(speaker: Speaker, spoken: Spoken) -> None:
    async for event in speaker:
        match event:
            case Transcript(is_final=True):
                spoken.heard.append(event.text)
            case Error() | ServiceDegraded():
                spoken.problems.append(event.message)
            case _:
                pass


async def _sit_down(system: Running, spoken: Spoken, language: str, group: asyncio.TaskGroup) -> None:
    listener = await Listener.connect(system.url)
    await listener.join(spoken.session, language, audio="none", captions="final")
    captions = spoken.captions.setdefault(language, [])

    async def listen() -> None:
        async with contextlib.aclosing(listener):
            async for event in listener:
                if isinstance(event, Caption):
                    captions.append(event.text)

    group.create_task(listen(), name=f"listener-{language}")
