"""One talk from end to end, with the moment at which everything arrived, by this machine's own clock."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from babelcast.client import Listener, SequenceGap, Speaker, Voice, pace
from babelcast.protocol.server_messages import Caption, Error, ServiceDegraded, SystemRecovered, Transcript
from babelcast.wav import Sound

LAST_WORDS_S = 10.0
"""How long after the end of a session its listeners may take to hear of it."""


@dataclass(slots=True)
class Heard:
    """What one listener got; times are s since the talk's first sample was spoken."""

    language: str
    captions: list[tuple[float, Caption]] = field(default_factory=list)
    voices: list[tuple[float, Voice]] = field(default_factory=list)
    gaps: list[SequenceGap] = field(default_factory=list)


@dataclass(slots=True)
class Talk:
    """What everybody got; times are s since the talk's first sample was spoken."""

    code: str = ""
    transcripts: list[tuple[float, Transcript]] = field(default_factory=list)
    listeners: list[Heard] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    interruptions_s: list[float] = field(default_factory=list)
    """How long transcription was away each time, as the speaker was told."""
    started_s: float = 0.0

    def now_s(self) -> float:
        """This moment in the talk's own time."""
        return time.monotonic() - self.started_s

    def finals(self) -> list[Transcript]:
        """The sentences, in order."""
        return [transcript for _, transcript in self.transcripts if transcript.is_final]


async def hold(
    url: str,
    *,
    token: str,
    speech: Sound,
    source_language: str,
    target_languages: Sequence[str],
    on_start: Callable[[], None] = lambda: None,
) -> Talk:
    """Speak `speech` at its own pace to one listener per language, then end the session. `on_start` is called
    when the first sample is spoken.

    Raises: BabelcastError.
    """
    talk = Talk(listeners=[Heard(language) for language in target_languages])
    async with await Speaker.connect(url, token=token) as speaker:
        session = await speaker.create_session(source_language)
        talk.code = session.session_id
        ready = asyncio.Barrier(len(talk.listeners) + 1)
        async with asyncio.TaskGroup() as group:
            group.create_task(_note_transcripts(speaker, talk), name="transcripts")
            listening = [
                group.create_task(_listen(url, talk, heard, ready), name=f"listener-{heard.language}")
                for heard in talk.listeners
            ]
            await ready.wait()
            talk.started_s = time.monotonic()
            on_start()
            async for chunk in pace.paced(pace.chunks(speech)):
                await speaker.send_audio(chunk, sample_rate_hz=speech.sample_rate_hz)
            await speaker.end()
            late = (await asyncio.wait(listening, timeout=LAST_WORDS_S))[1] if listening else ()
            for listener in late:
                listener.cancel()
                talk.problems.append("A listener was not told of the end.")
    return talk


async def _note_transcripts(speaker: Speaker, talk: Talk) -> None:
    interrupted_s: float | None = None
    async for event in speaker:
        match event:
            case ServiceDegraded(component="transcription") if interrupted_s is None:
                interrupted_s = talk.now_s()
            case SystemRecovered(component="transcription") if interrupted_s is not None:
                talk.interruptions_s.append(talk.now_s() - interrupted_s)
                interrupted_s = None
            case _:
                pass
        match event:
            case Transcript():
                talk.transcripts.append((talk.now_s(), event))
            case Error() | ServiceDegraded():
                talk.problems.append(event.message)
            case _:
                pass


async def _listen(url: str, talk: Talk, heard: Heard, ready: asyncio.Barrier) -> None:
    async with await Listener.connect(url) as listener:
        await listener.join(talk.code, heard.language)
        await ready.wait()
        async for event in listener:
            match event:
                case Voice():
                    heard.voices.append((talk.now_s(), event))
                case Caption():
                    heard.captions.append((talk.now_s(), event))
                case SequenceGap():
                    heard.gaps.append(event)
                case _:
                    pass
