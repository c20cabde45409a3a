"""`babelcast listen`: captions on the terminal, the voice to the loudspeaker and into a file."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from babelcast.client import Event, EventsDropped, Listener, Reconnected, Reconnecting, SequenceGap, Voice
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.protocol.server_messages import (
    BroadcastMuted,
    BroadcastPaused,
    BroadcastResumed,
    BroadcastUnmuted,
    Caption,
    Error,
    ServiceDegraded,
    SessionEnded,
    SpokenOver,
    SystemRecovered,
    Transcript,
)
from babelcast.wav import Sound
from cli import devices
from cli.interrupt import on_interrupt
from cli.outcome import OK
from cli.sound import Recording
from cli.subtitles import Subtitles, clean, tentative

REMEMBERED_FINALS = 500


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """What the listener chose."""

    url: str
    code: str
    language: str
    out: Path | None
    voice: bool


class Ears:
    """Where the voice goes: the loudspeaker, the file, both or neither."""

    def __init__(self, *, loudspeaker: devices.Loudspeaker | None, recording: Recording | None) -> None:
        self._loudspeaker = loudspeaker
        self._recording = recording

    @property
    def wanted(self) -> bool:
        """Whether anybody hears the voice at all."""
        return self._loudspeaker is not None or self._recording is not None

    def hear(self, voice: Voice) -> None:
        """Take in a sentence."""
        sound = Sound(voice.audio, voice.message.sample_rate or SAMPLE_RATE_HZ)
        if self._recording is not None:
            self._recording.add(sound)
        if self._loudspeaker is not None:
            self._loudspeaker.play(sound)

    async def finish(self, *, at_once: bool) -> float:
        """Finish the file, and play what is queued unless `at_once`; returns the seconds recorded."""
        if self._recording is not None:
            self._recording.close()
        if self._loudspeaker is not None:
            await (self._loudspeaker.aclose() if at_once else self._loudspeaker.finish())
        return 0.0 if self._recording is None else self._recording.seconds


@dataclass(slots=True)
class Finals:
    """The last sentences that were shown for good: coming back, a listener gets those again that it saw and
    did not hear yet.
    """

    _shown: OrderedDict[str, tuple[int, str]] = field(default_factory=OrderedDict)

    def take(self, event: Caption | Transcript) -> bool:
        """Take in a final text; whether it is to be shown."""
        revision, _ = self._shown.get(event.segment_id, (-1, ""))
        if event.revision <= revision:
            return False
        self._shown[event.segment_id] = event.revision, event.text
        if len(self._shown) > REMEMBERED_FINALS:
            self._shown.popitem(last=False)
        return True

    def text(self, segment_id: str) -> str:
        """What was shown of a segment; empty when none is remembered."""
        return self._shown.get(segment_id, (-1, ""))[1]


async def listen(options: ListenOptions, console: Console) -> int:
    """Listen until the session ends or Ctrl-C.

    Raises: BabelcastError, OSError.
    """
    ears = _ears(options, console)
    interrupted = False
    try:
        async with await Listener.connect(options.url) as listener:
            joined = await listener.join(
                options.code, options.language, audio="pcm" if ears.wanted else "none"
            )
            console.print(
                f"Listening to [bold green]{joined.session_id}[/], {joined.source_language} → "
                f"{joined.target_language}. Ctrl-C leaves.",
                highlight=False,
            )
            interrupted = await _follow(listener, ears, console)
    finally:
        seconds = await ears.finish(at_once=interrupted)
        if options.out is not None:
            console.print(
                f"{seconds:.1f} s of voice in {clean(str(options.out))}", highlight=False, markup=False
            )
    return OK


def _ears(options: ListenOptions, console: Console) -> Ears:
    loudspeaker = None
    if options.voice:
        missing = devices.why_no_device("output")
        if missing:
            console.print(f"No voice is played: {missing}.", style="yellow", highlight=False)
        else:
            loudspeaker = devices.Loudspeaker()
    return Ears(loudspeaker=loudspeaker, recording=Recording(options.out) if options.out else None)


async def _follow(listener: Listener, ears: Ears, console: Console) -> bool:
    """Show and hear until the end; True when it was the user's."""
    finals = Finals()
    with on_interrupt() as interrupted, Subtitles(console) as subtitles:
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(_leave_when(interrupted, listener), name="leave")
            async for event in listener:
                if isinstance(event, Voice):
                    ears.hear(event)
                else:
                    _show(event, subtitles, finals)
            leaving.cancel()
        return interrupted.is_set()


async def _leave_when(interrupted: asyncio.Event, listener: Listener) -> None:
    await interrupted.wait()
    await listener.aclose()


def _show(event: Event, subtitles: Subtitles, finals: Finals) -> None:
    match event:
        case Caption(is_final=True) | Transcript(is_final=True):
            if finals.take(event):
                subtitles.final(event.segment_id, event.text)
        case Caption() | Transcript() if finals.text(event.segment_id):
            pass  # it came again
        case Caption():
            subtitles.partial(event.segment_id, tentative(event.text))
        case Transcript():
            subtitles.partial(event.segment_id, tentative(event.text, stable=event.stable_text))
        case SpokenOver():
            text = finals.text(event.segment_id) or "a sentence"
            subtitles.note(f"Not spoken, to keep up: {text}", style="dim")
        case SequenceGap():
            subtitles.note(f"{event.missing} sentences are missing.")
        case EventsDropped():
            subtitles.note(f"{event.count} messages were not shown.")
        case BroadcastPaused() | BroadcastMuted():
            subtitles.note("The speaker paused.", style="dim")
        case BroadcastResumed() | BroadcastUnmuted():
            subtitles.note("The speaker goes on.", style="dim")
        case ServiceDegraded() | SystemRecovered():
            subtitles.note(event.message)
        case Error():
            subtitles.note(f"{event.code}: {event.message}", style="red")
        case Reconnecting(code=0):
            subtitles.note("Moving to another connection.", style="dim")
        case Reconnecting():
            subtitles.note("The connection was lost; making a new one.")
        case Reconnected():
            subtitles.note("Connected again.", style="green")
        case SessionEnded():
            subtitles.note(f"The session has ended ({event.reason}).", style="dim")
        case _:
            pass
