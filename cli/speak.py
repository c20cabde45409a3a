"""`babelcast speak`: a file or the microphone becomes a session."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from babelcast import scripted
from babelcast.client import AudioDropped, Event, EventsDropped, Reconnected, Reconnecting, Speaker, pace
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.protocol.server_messages import (
    AudioQualityOk,
    AudioQualityWarning,
    Error,
    ServiceDegraded,
    SessionCreated,
    SessionEnded,
    SessionStatus,
    SystemRecovered,
    Transcript,
)
from babelcast.wav import Sound
from cli import devices, places, sound
from cli.interrupt import on_interrupt
from cli.outcome import OK
from cli.subtitles import Subtitles, tentative

LAST_WORDS_S = 10.0
"""How long an open sentence may take to become final after the last sound."""


@dataclass(frozen=True, slots=True)
class Script:
    """The first so many sentences of a script, in tones that scripted engines understand."""

    script: int
    sentences: int


@dataclass(frozen=True, slots=True)
class SpeakOptions:
    """What the speaker chose; no file and no script means the microphone."""

    url: str
    token: str
    source_language: str
    file: Path | None
    end: bool
    script: Script | None = None


class OpenSentences:
    """Which sentences are still tentative."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self.closed = asyncio.Event()
        self.closed.set()

    def see(self, transcript: Transcript) -> None:
        """Take note of a transcript."""
        if transcript.is_final:
            self._open.discard(transcript.segment_id)
        else:
            self._open.add(transcript.segment_id)
        if self._open:
            self.closed.clear()
        else:
            self.closed.set()


async def speak(options: SpeakOptions, console: Console) -> int:
    """Speak until the sound ends or Ctrl-C, then let the last sentences through.

    Raises: BabelcastError, OSError.
    """
    audio, rate_hz = _source(options)
    async with await Speaker.connect(options.url, token=options.token) as speaker:
        session = await speaker.create_session(options.source_language)
        console.print(_invitation(session, options.url))
        sentences = OpenSentences()
        with on_interrupt() as interrupted, Subtitles(console) as subtitles:
            async with asyncio.TaskGroup() as group:
                talk = _Talk(speaker, sentences, subtitles, interrupted, keep=not options.end)
                talking = group.create_task(talk.run(audio, rate_hz=rate_hz), name="talk")
                async for event in speaker:
                    _show(event, subtitles, sentences)
                talking.cancel()
    return OK


def _source(options: SpeakOptions) -> tuple[AsyncGenerator[bytes, None], int]:
    if options.script is not None:
        pcm = scripted.script_speech(options.script.script, options.script.sentences)
        loaded = Sound(pcm, SAMPLE_RATE_HZ)
    elif options.file is not None:
        loaded = sound.load(options.file)
    else:
        devices.require_microphone()
        return devices.microphone(), SAMPLE_RATE_HZ
    return pace.paced(pace.chunks(loaded)), loaded.sample_rate_hz


@dataclass(frozen=True, slots=True)
class _Talk:
    """The sound's way to the server, and what comes after its end."""

    speaker: Speaker
    sentences: OpenSentences
    subtitles: Subtitles
    interrupted: asyncio.Event
    _: KW_ONLY
    keep: bool

    async def run(self, audio: AsyncGenerator[bytes, None], *, rate_hz: int) -> None:
        """Send until the sound ends or the user interrupts; then end the session, or keep it."""
        async with contextlib.aclosing(audio) as chunks:
            async for chunk in chunks:
                await self.speaker.send_audio(chunk, sample_rate_hz=rate_hz)
                if self.interrupted.is_set():
                    break
        await self.speaker.flush()
        await (self._stay() if self.keep else self._end())

    async def _stay(self) -> None:
        self.subtitles.note("That was all; the session stays open until Ctrl-C.")
        await self.interrupted.wait()
        await self.speaker.aclose()

    async def _end(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self.sentences.closed.wait()
        await self.speaker.end()


def _invitation(session: SessionCreated, url: str) -> Panel:
    listen = places.shell(places.program(), "listen", session.session_id, "--to", "es")
    if url != places.DEFAULT_URL:
        listen += " " + places.shell("--url", url)
    return Panel(
        Text.assemble(("Session  ", "dim"), (session.session_id, "bold green"), f"\n{listen}"), expand=False
    )


def _show(event: Event, subtitles: Subtitles, sentences: OpenSentences) -> None:
    match event:
        case Transcript(is_final=True):
            subtitles.final(event.segment_id, event.text)
            sentences.see(event)
        case Transcript():
            subtitles.partial(event.segment_id, tentative(event.text, stable=event.stable_text))
            sentences.see(event)
        case AudioQualityWarning():
            subtitles.note(f"Sound: {event.message}")
        case AudioQualityOk():
            subtitles.note(f"Sound: {event.issue} has cleared.", style="green")
        case ServiceDegraded() | SystemRecovered():
            subtitles.note(event.message)
        case SessionStatus():
            subtitles.note(f"Listeners: {_audience(event)}", style="dim")
        case Error():
            subtitles.note(f"{event.code}: {event.message}", style="red")
        case Reconnecting(code=0):
            subtitles.note("Moving to another connection.", style="dim")
        case Reconnecting():
            subtitles.note("The connection was lost; making a new one.")
        case Reconnected():
            subtitles.note("Connected again.", style="green")
        case AudioDropped():
            subtitles.note("The connection was away or too slow for long: some of the sound is lost.")
        case EventsDropped():
            subtitles.note(f"{event.count} messages were not shown.")
        case SessionEnded():
            subtitles.note(f"The session has ended ({event.reason}).", style="dim")
        case _:
            pass


def _audience(status: SessionStatus) -> str:
    languages = ", ".join(f"{language} {count}" for language, count in status.language_distribution.items())
    return f"{status.listener_count} ({languages})" if languages else str(status.listener_count)
