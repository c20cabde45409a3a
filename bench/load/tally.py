"""What a crowd of listeners counts, and what of it makes a run a failure."""

import msgspec

from bench.load.histogram import Histogram


def _histogram() -> Histogram:
    return Histogram()


class Tally(msgspec.Struct):
    """Counters and times of all listeners of one process; of several after `merge`."""

    delivery: Histogram = msgspec.field(default_factory=_histogram)
    """From the server's timestamp to reception, of every shared message and listener."""
    voice_lag: Histogram = msgspec.field(default_factory=_histogram)
    """From the end of speech, by the server's clock, to reception, of every voice and listener."""
    join: Histogram = msgspec.field(default_factory=_histogram)
    """From when a listener was due to its `sessionJoined`."""
    back: Histogram = msgspec.field(default_factory=_histogram)
    """From a cut to `connectionRefreshComplete`."""
    own_lag: Histogram = msgspec.field(default_factory=_histogram)
    """By how much this process's own timer was late: what it adds to all other times."""
    messages: int = 0
    bytes: int = 0
    voices: int = 0
    reconnects: int = 0
    moves: int = 0
    """Changes of connection that the server asked for."""
    rejoins: int = 0
    """Came back without resuming, since the server would not."""
    overlaps: int = 0
    """Came again over another connection after a move or a cut: by protocol, and not shown to people."""
    late: int = 0
    heartbeats: int = 0
    pongs: int = 0
    duplicates: int = 0
    disordered: int = 0
    unread: int = 0
    """Messages and frames that could not be understood."""
    refused: dict[str, int] = {}
    """Attempts that were refused and made again, by code."""
    errors: dict[str, int] = {}
    """What listeners gave up on, and errors nobody asked for, by code."""
    closes: dict[str, int] = {}
    """Connections that were cut, by close code."""
    notices: dict[str, int] = {}
    """`serviceDegraded` by component, once for each session and language."""

    def merge(self, other: "Tally") -> None:
        """Add what another process has counted."""
        for name in self.__struct_fields__:
            mine, others = getattr(self, name), getattr(other, name)
            if isinstance(mine, Histogram):
                mine.merge(others)
            elif isinstance(mine, dict):
                for key, count in others.items():
                    mine[key] = mine.get(key, 0) + count
            else:
                setattr(self, name, mine + others)


def count(counts: dict[str, int], key: str) -> None:
    """One more."""
    counts[key] = counts.get(key, 0) + 1


class RoomEnd(msgspec.Struct):
    """How the listeners of a session and language stand at the end."""

    session_id: str
    language: str
    voice: bool
    """Whether they want voices."""
    finals: str
    """Bits of the segments with a final text, hexadecimal."""
    voiced: str
    last_number: int
    lasts: dict[int, int]
    """How many have which number as their last."""
    missing_numbers: int
    """Numbers before their last one that listeners never got."""
    texts: dict[str, int]
    """How many have which final texts: "first segment due:bits" in hexadecimal."""
    absent: int = 0
    """Listeners who never were in."""
    not_ended: int = 0
    """Listeners who were not told that the session ended."""


class CrowdEnd(msgspec.Struct):
    """All that a process of listeners has to say."""

    tally: Tally
    rooms: list[RoomEnd]
    cpu_s: float
    rss_bytes: int


class Loss(msgspec.Struct):
    """What did not arrive."""

    voices: int = 0
    """Voices by listener: missing numbers, and those after a listener's last."""
    texts: int = 0
    """Final texts by listener."""
    unvoiced: int = 0
    """Segments of a language with a final text, and neither spoken nor `spokenOver`."""
    untranslated: int = 0
    """Final transcripts that no listener of a language got a final text for."""
    absent: int = 0
    not_ended: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, name) for name in self.__struct_fields__)


def loss(ends: list[RoomEnd], said: dict[str, set[int]]) -> Loss:
    """What is missing, given the final transcripts of each session, of all processes."""
    rooms: dict[tuple[str, str], list[RoomEnd]] = {}
    for end in ends:
        rooms.setdefault((end.session_id, end.language), []).append(end)
    lost = Loss()
    for (session_id, _), parts in rooms.items():
        last = max(part.last_number for part in parts)
        finals = voiced = 0
        for part in parts:
            finals |= int(part.finals, 16)
            voiced |= int(part.voiced, 16)
        for part in parts:
            lost.absent += part.absent
            lost.not_ended += part.not_ended
            if part.voice:
                lost.voices += part.missing_numbers
                lost.voices += sum((last - mine) * listeners for mine, listeners in part.lasts.items())
            for text, listeners in part.texts.items():
                first, _, bits = text.partition(":")
                due = finals >> int(first, 16) << int(first, 16)
                lost.texts += (due & ~int(bits, 16)).bit_count() * listeners
        if parts[0].voice:
            lost.unvoiced += (finals & ~voiced).bit_count()
        lost.untranslated += sum(1 for segment in said.get(session_id, ()) if not finals >> segment & 1)
    return lost
