"""What a run came to: figures for people and programs, and whether it was good."""

import msgspec

from bench.load.histogram import SHARES, Histogram
from bench.load.tally import Loss, Tally

NAMES = {
    "delivery": "delivery: server's timestamp → each listener",
    "spread": "spread: first → last listener of a message",
    "last": "last listener: server's timestamp → last listener of a message",
    "join": "join: due → sessionJoined",
    "control": "control: due → answered",
    "told": "control: due → last listener told",
    "caption": "first caption: segment's first sample due → first listener",
    "voice": "voice: segment's last sample due → first listener",
    "voice_last": "voice: segment's last sample due → last listener",
    "voice_lag": "voice: end of speech by the server's clock → each listener",
    "back": "back after a cut: cut → resumed",
    "own_lag": "this program's own lateness (in all of the above)",
    "own_pace": "its speakers' lateness",
}


class Second(msgspec.Struct):
    """One stretch of the run, for charts."""

    at_s: float
    seconds: float = 0.0
    messages: int = 0
    bytes: int = 0
    reconnects: int = 0
    seated: int = 0
    delivery: Histogram = msgspec.field(default_factory=Histogram)
    server_cpu_s: float = 0.0
    server_rss_bytes: int = 0
    own_cpu_s: float = 0.0
    caption: Histogram = msgspec.field(default_factory=Histogram)
    """First captions and voices as in `Figures.times`, some ten seconds after they came."""
    voice: Histogram = msgspec.field(default_factory=Histogram)

    def merge(self, other: "Second") -> None:
        """Take the next stretch in."""
        self.seconds += other.seconds
        self.messages += other.messages
        self.bytes += other.bytes
        self.reconnects += other.reconnects
        self.seated = other.seated
        self.delivery.merge(other.delivery)
        self.server_cpu_s += other.server_cpu_s
        self.server_rss_bytes = max(self.server_rss_bytes, other.server_rss_bytes)
        self.own_cpu_s += other.own_cpu_s
        self.caption.merge(other.caption)
        self.voice.merge(other.voice)


class Figures(msgspec.Struct):
    """A run. Times in ms, CPU in s."""

    title: str
    machine: str
    listeners: int
    sessions: int
    languages: list[str]
    seconds: float
    """Of the talk."""
    times: dict[str, Histogram]
    tally: Tally
    loss: Loss
    errors: dict[str, int]
    chunks: int
    sentences: int
    wrong_sentences: int
    speaker_reconnects: int
    dropped_bytes: int
    own_cpu_s: float
    """Of this program during the talk, with its speakers."""
    listeners_cpu_s: float
    """Of the processes of listeners during the talk; with one process that is `own_cpu_s`."""
    own_rss_bytes: int
    rss_per_listener: float
    """What a listener takes of this program's memory, bytes."""
    server_cpu_s: float
    """During the talk; 0 when the server is not known."""
    server_rss_bytes: int
    server_rss_idle_bytes: int
    """Before the listeners came."""
    course: list[Second]

    def faults(self) -> list[str]:
        """What was not as promised, one line each."""
        loss, tally = self.loss, self.tally
        lines = [
            (loss.voices, "voices lost (by listener)"),
            (loss.texts, "final texts lost (by listener)"),
            (loss.unvoiced, "sentences of a language without voice"),
            (loss.untranslated, "sentences without text in a language"),
            (loss.absent, "listeners who never came in"),
            (loss.not_ended, "listeners who were not told of the end"),
            (self.wrong_sentences, "sentences that did not come back once as they were said"),
            (self.dropped_bytes, "bytes of speech that could not be sent"),
            (tally.duplicates, "duplicates"),
            (tally.disordered, "texts out of order"),
            (tally.unread, "frames or messages that could not be understood"),
            *((count, f"errors {code}") for code, count in self.errors.items()),
        ]
        return [f"{count:,} {what}" for count, what in lines if count]

    def cuts(self) -> dict[str, list[float]]:
        """The percentiles of SHARES, ms."""
        return {name: times.cuts(SHARES) for name, times in self.times.items() if times.count}


class Summary(msgspec.Struct, rename="camel"):
    """What `--json` prints."""

    title: str
    machine: str
    listeners: int
    sessions: int
    seconds: float
    times_ms: dict[str, dict[str, float]]
    counts: dict[str, int]
    errors: dict[str, int]
    refused: dict[str, int]
    closes: dict[str, int]
    loss: Loss
    cpu_s: dict[str, float]
    memory_bytes: dict[str, float]
    faults: list[str]


def summary(figures: Figures) -> Summary:
    """The figures for programs."""
    tally = figures.tally
    times = {
        name: {"count": float(figures.times[name].count)}
        | dict(zip(("p50", "p95", "p99", "max"), (round(cut, 3) for cut in cuts), strict=True))
        for name, cuts in figures.cuts().items()
    }
    return Summary(
        title=figures.title,
        machine=figures.machine,
        listeners=figures.listeners,
        sessions=figures.sessions,
        seconds=round(figures.seconds, 3),
        times_ms=times,
        counts={
            "messages": tally.messages,
            "bytes": tally.bytes,
            "voices": tally.voices,
            "duplicates": tally.duplicates,
            "disordered": tally.disordered,
            "overlaps": tally.overlaps,
            "late": tally.late,
            "reconnects": tally.reconnects,
            "moves": tally.moves,
            "rejoins": tally.rejoins,
            "unread": tally.unread,
            "speakerReconnects": figures.speaker_reconnects,
            "chunks": figures.chunks,
            "sentences": figures.sentences,
            "wrongSentences": figures.wrong_sentences,
        },
        errors=figures.errors,
        refused=tally.refused,
        closes=tally.closes,
        loss=figures.loss,
        cpu_s={
            "own": round(figures.own_cpu_s, 3),
            "listeners": round(figures.listeners_cpu_s, 3),
            "server": round(figures.server_cpu_s, 3),
        },
        memory_bytes={
            "own": figures.own_rss_bytes,
            "ownPerListener": round(figures.rss_per_listener),
            "server": figures.server_rss_bytes,
            "serverIdle": figures.server_rss_idle_bytes,
        },
        faults=figures.faults(),
    )
