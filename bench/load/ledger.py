"""How messages reached their audience as a whole: the reports of all processes of listeners put together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from bench.load.heard import Kind
from bench.load.histogram import Histogram
from bench.load.room import Reach
from bench.load.talk import Talk

KEPT_MS = 10_000.0
"""Processes report a message within so long of each other."""
CAPTIONED_AT_MOST = 10_000
"""Segments (and languages) whose first caption was counted; a revision of a sentence comes soon after it."""

_Key: TypeAlias = tuple[str, str, int, int, int]


@dataclass(slots=True)
class Ledger:
    """Times in ms, one for each message (and language), of all its listeners together."""

    talks: Mapping[str, Talk]
    spread: Histogram = field(default_factory=Histogram)
    """From the first listener of a message to its last."""
    last_reached: Histogram = field(default_factory=Histogram)
    """From the server's timestamp to the last listener."""
    caption: Histogram = field(default_factory=Histogram)
    """From when the first sample of a segment was due to its first caption at the first listener."""
    voice: Histogram = field(default_factory=Histogram)
    """From when the last sample of a voice's segments was due to the voice at the first listener."""
    voice_last: Histogram = field(default_factory=Histogram)
    """The same to the last listener."""
    told: Histogram = field(default_factory=Histogram)
    """From when a control was due to the last listener of its session who was told."""
    lately_caption: Histogram = field(default_factory=Histogram)
    lately_voice: Histogram = field(default_factory=Histogram)
    """What `caption` and `voice` counted since `lately` was called."""
    _open: dict[_Key, Reach] = field(default_factory=dict)
    _captioned: dict[tuple[str, str, int], None] = field(default_factory=dict)

    def add(self, reach: Reach) -> None:
        """What one process says of a message."""
        language = "" if reach.kind == Kind.CONTROL else reach.language
        key = (reach.session_id, language, reach.kind, reach.number, reach.revision)
        known = self._open.get(key)
        if known is None:
            self._open[key] = reach
            return
        known.first_ms = min(known.first_ms, reach.first_ms)
        known.last_ms = max(known.last_ms, reach.last_ms)
        known.sent_ms = min(known.sent_ms, reach.sent_ms)
        known.count += reach.count

    def close(self, now_ms: float) -> None:
        """Count those that all processes have told of by now."""
        captions: dict[tuple[str, str, int], float] = {}
        for key, reach in sorted(self._open.items(), key=lambda item: item[1].first_ms):
            if reach.first_ms + KEPT_MS > now_ms:
                break
            del self._open[key]
            self._count(reach)
            if reach.kind == Kind.TEXT and reach.count:
                captions.setdefault(key[:2] + key[3:4], reach.first_ms)
        for (session_id, language, segment), first_ms in captions.items():
            spoken = self._spoken(session_id, segment)
            if spoken is not None and (session_id, language, segment) not in self._captioned:
                self._captioned[session_id, language, segment] = None
                self.caption.add(first_ms - spoken[0])
                self.lately_caption.add(first_ms - spoken[0])
        while len(self._captioned) > CAPTIONED_AT_MOST:
            del self._captioned[next(iter(self._captioned))]

    def lately(self) -> tuple[Histogram, Histogram]:
        """First captions and voices that were counted since this was called last."""
        counted = self.lately_caption, self.lately_voice
        self.lately_caption, self.lately_voice = Histogram(), Histogram()
        return counted

    def _count(self, reach: Reach) -> None:
        if not reach.count:
            return
        self.spread.add(reach.last_ms - reach.first_ms)
        self.last_reached.add(reach.last_ms - reach.sent_ms)
        if reach.kind == Kind.VOICE and reach.segments:
            spoken = self._spoken(reach.session_id, reach.segments[-1])
            if spoken is not None:
                self.voice.add(reach.first_ms - spoken[1])
                self.lately_voice.add(reach.first_ms - spoken[1])
                self.voice_last.add(reach.last_ms - spoken[1])
        elif reach.kind == Kind.CONTROL:
            talk = self.talks.get(reach.session_id)
            due_ms = talk.controls.get(reach.number) if talk is not None else None
            if due_ms is not None:
                self.told.add(reach.last_ms - due_ms)

    def _spoken(self, session_id: str, segment: int) -> tuple[float, float] | None:
        talk = self.talks.get(session_id)
        return talk.spoken.get(segment) if talk is not None else None
