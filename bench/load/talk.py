"""One speaker: chunks at their due times whatever becomes of them, and the controls now and then."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from babelcast import scripted
from babelcast.client import AudioDropped, Reconnecting, Speaker
from babelcast.client.pace import CHUNK_S
from babelcast.errors import BabelcastError
from babelcast.protocol.client_messages import ControlAction
from babelcast.protocol.server_messages import (
    BroadcastControlled,
    Error,
    ServiceDegraded,
    SessionEnded,
    Transcript,
)
from bench.load.histogram import Histogram
from bench.load.speech import Round
from bench.load.tally import count

ANCHORS = 256
"""Of so many last stretches of speech it is known when they were due."""
SETTLE_S = 3.0
"""From the last word to the end of the session."""
MS_PER_S = 1000.0


@dataclass(slots=True)
class TalkFigures:
    """What speakers count, all together."""

    control: Histogram = field(default_factory=Histogram)
    """From when a control was due to its answer."""
    chunks: int = 0
    behind: Histogram = field(default_factory=Histogram)
    """By how much a chunk was handed over after it was due: this process's own lateness."""
    reconnects: int = 0
    dropped_bytes: int = 0
    sentences: int = 0
    """Of a script that were said."""
    wrong_sentences: int = 0
    """Of these, that did not come back exactly once as they were said."""
    errors: dict[str, int] = field(default_factory=dict)


class Talk:
    """A session and its speaker. Times are wall clock, ms since the Unix epoch."""

    def __init__(self, speaker: Speaker, session_id: str, figures: TalkFigures) -> None:
        """Use `begin`."""
        self.session_id = session_id
        self.said: set[int] = set()
        """Segments with a final text."""
        self.spoken: dict[int, tuple[float, float]] = {}
        """When the first and the last sample of each segment were due."""
        self.controls: dict[int, float] = {}
        """When each control was due, by its `lastStateChange`."""
        self._speaker = speaker
        self._figures = figures
        self._anchors: deque[tuple[float, float]] = deque(maxlen=ANCHORS)
        self._sentences: Counter[int] = Counter()
        self._heard: Counter[int] = Counter()
        self._over = False
        self._reading = asyncio.create_task(self._read(), name="bench-talk")

    @classmethod
    async def begin(cls, url: str, token: str, language: str, figures: TalkFigures) -> Self:
        """Make a session. Raises: BabelcastError."""
        speaker = await Speaker.connect(url, token=token)
        try:
            session = await speaker.create_session(language)
        except BaseException:
            await speaker.aclose()
            raise
        return cls(speaker, session.session_id, figures)

    async def hold(self, rounds: Iterator[Round], *, seconds: float, control_s: float) -> None:
        """Speak, to the end of the round in which the time is up. Every `control_s` (0: never) pause and
        resume between two rounds.

        Raises: BabelcastError when the connection is lost for good.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        due, place_s, control_due = started, 0.0, started + control_s
        for piece in rounds:
            wall_ms = time.time() * MS_PER_S + (due - loop.time()) * MS_PER_S
            self._anchors.append((place_s, wall_ms))
            if piece.sentence is not None:
                self._sentences[piece.sentence] += 1
            for chunk in piece.chunks:
                due += CHUNK_S
                place_s += CHUNK_S
                if (wait_s := due - loop.time()) > 0:
                    await asyncio.sleep(wait_s)
                self._figures.behind.add((loop.time() - due) * MS_PER_S)
                await self._speaker.send_audio(chunk, sample_rate_hz=piece.sample_rate_hz)
                self._figures.chunks += 1
            if due - started >= seconds:
                return
            if control_s and due >= control_due:
                control_due += control_s
                for action in ("pause", "resume"):
                    await self._control(action, due=loop.time())
                due = max(due, loop.time())

    async def end(self) -> None:
        """End the session, after what was said has been delivered."""
        self._over = True
        try:
            await self._speaker.end("benchmark")
        except BabelcastError as error:
            count(self._figures.errors, f"speaker: {error.code}")
        await self.aclose()
        self._figures.sentences += len(self._sentences)
        self._figures.wrong_sentences += sum(
            self._heard[number] != times for number, times in self._sentences.items()
        )

    async def aclose(self) -> None:
        """Let go of the connection; idempotent."""
        await self._speaker.aclose()
        await asyncio.wait([self._reading])

    async def _control(self, action: ControlAction, *, due: float) -> None:
        due_ms = time.time() * MS_PER_S
        try:
            done: BroadcastControlled = await self._speaker.control(action)
        except BabelcastError as error:  # a gateway may go away in the middle of it
            count(self._figures.errors, f"control: {error.code}")
            return
        self._figures.control.add((asyncio.get_running_loop().time() - due) * MS_PER_S)
        self.controls[done.broadcast_state.last_state_change] = due_ms
        while len(self.controls) > ANCHORS:
            del self.controls[next(iter(self.controls))]

    async def _read(self) -> None:
        try:
            async for event in self._speaker:
                match event:
                    case Transcript(is_final=True):
                        self._on_final(event)
                    case Error(code=code):
                        count(self._figures.errors, f"speaker: {code}")
                    case ServiceDegraded(component=component):
                        count(self._figures.errors, f"degraded: {component}")
                    case Reconnecting():
                        self._figures.reconnects += 1
                    case AudioDropped(bytes_dropped=dropped):
                        self._figures.dropped_bytes += dropped
                    case SessionEnded(reason=reason) if not self._over:
                        count(self._figures.errors, f"ended: {reason}")
        except BabelcastError as error:
            count(self._figures.errors, f"speaker: {error.code}")

    def _on_final(self, said: Transcript) -> None:
        if not said.text:
            return
        segment = int(said.segment_id)
        self.said.add(segment)
        self.spoken[segment] = (
            due_ms(self._anchors, said.start_time),
            due_ms(self._anchors, said.end_time),
        )
        while len(self.spoken) > ANCHORS:
            del self.spoken[next(iter(self.spoken))]
        if self._sentences and (place := scripted.place_of(said.text)) is not None:
            self._heard[place.sentence] += 1


def due_ms(anchors: Sequence[tuple[float, float]], place_s: float) -> float:
    """When the sample at a place of the session's audio was due, given where stretches of it began and when
    their first samples were due.
    """
    begun_s, begun_ms = anchors[0]
    for at_s, at_ms in reversed(anchors):
        if at_s <= place_s:
            begun_s, begun_ms = at_s, at_ms
            break
    return begun_ms + (place_s - begun_s) * MS_PER_S
