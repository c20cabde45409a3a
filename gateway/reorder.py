"""A speaker's numbered chunks put back into order. Pure: the clock is an argument.

Chunks count through all connections of a talk. A chunk whose number is next goes on at once; one without a
number is the next. One that comes early waits for those before it, at most
WINDOW_S of time or of audio; then the missing ones are given up and counted. Numbers that come twice are
dropped. A client that starts counting anew, or far ahead, is followed at once: numbers are there to help.

A chunk without a number that was refused has one all the same, and those after it wait for it to come again,
by its number: as long as some chunk comes in its place every WINDOW_S, and at most AGAIN_S of audio. A client
that lets that time pass sends nothing again: from then on nobody waits for it.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field, replace

WINDOW_S = 2.0
AGAIN_S = 10.0
START_S = 0.3
"""How long the first chunk of a connection waits for lower numbers, unless its own is the expected one, or 0.
"""
JUMP = 64
"""More numbers than can come within WINDOW_S at the rates that are allowed: further ahead is a new count."""
REMEMBER = 256
"""Numbers of the past by which a repetition is told from a new count."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio as it came: PCM, how long it sounds (s), the sample rate and the trace context that were declared
    with it. What goes on has its number.
    """

    pcm: bytes
    duration_s: float
    sample_rate_hz: int | None = None
    number: int | None = field(default=None, compare=False)
    traceparent: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class _Held:
    chunk: Chunk
    since_s: float


class Reorder:
    """One talk's chunks. What `push`, `due` and `flush` return is to be processed in that order.

    Holds at most WINDOW_S of audio (AGAIN_S behind one that was refused) and JUMP chunks, beyond the one that
    comes.
    """

    def __init__(self) -> None:
        self.missing = 0
        """Numbers that never came, or came too late."""
        self.repeated = 0
        """Chunks that came twice or too late, and were dropped."""
        self.last = 0
        """The number of the last that went on; 0 before the first."""
        self._next: int | None = None
        self._counted = 0  # the last number that was given to a chunk while one before it was awaited
        self._comes_again = True
        self._progress_s = float("-inf")  # when a chunk came in its place last
        self._held: dict[int, _Held] = {}
        self._past: OrderedDict[int, bytes | None] = OrderedDict()

    @property
    def deadline_s(self) -> float | None:
        """When `due` will have something to return at the latest; None while nothing waits."""
        if not self._held:
            return None
        since_s = min(held.since_s for held in self._held.values())
        if self._awaiting:
            since_s = max(since_s, self._progress_s)
        return since_s + self._patience_s

    def reopen(self, *, after: int) -> None:
        """Another connection begins: with the number after `after`, or wherever it likes. What waits is given
        up; a chunk that was there before is still told by its number and content.
        """
        self.last = self._counted = after
        self._next = None
        self._comes_again = True
        self._held.clear()

    def refuse(self) -> int:
        """A chunk without a number is not taken; returns its number."""
        number = max(self.last, self._counted) + 1
        self._next = self._next or number
        self._counted = number
        if not self._comes_again and not self._held:
            self._note(number, None)
            self.missing += 1
            self.last, self._next = number, number + 1
        return number

    def push(self, sequence: int | None, chunk: Chunk, *, now_s: float) -> list[Chunk]:
        """Take a chunk; returns what may go on. One without a number goes on at once."""
        out = self.due(now_s)
        if sequence is None:
            if self._awaiting:
                sequence = self._counted = self._counted + 1
            elif self._held:  # a client that does both; its own numbers count
                return [*out, chunk]
            else:
                sequence = self._next = self.last + 1
        else:
            self._comes_again = True
            if self._next is None and self._was_there(sequence, chunk):
                self.repeated += 1
                return out
        if self._is_new_count(sequence, chunk):
            out += self.flush()
            self._past.clear()
            self._next = sequence
            self._counted = min(self._counted, sequence)
        if sequence in self._held or (self._next is not None and sequence < self._next):
            self.repeated += 1
            return out
        self._held[sequence] = _Held(chunk, now_s)
        if self._next is None and sequence in (0, self.last + 1):
            self._next = sequence
        in_order = self._in_order()
        if in_order:
            self._progress_s = now_s
        out += in_order
        out += self.due(now_s)
        return out

    def due(self, now_s: float) -> list[Chunk]:
        """What has waited long enough."""
        out: list[Chunk] = []
        while self._held and (self._over(now_s) or self._full()):
            out += self._give_up()
        return out

    def flush(self) -> list[Chunk]:
        """All that waits: no more will come before it."""
        out: list[Chunk] = []
        while self._held:
            out += self._give_up()
        return out

    @property
    def _awaiting(self) -> bool:
        """Whether a chunk that was refused may come again."""
        return self._next is not None and self._counted >= self._next

    @property
    def _patience_s(self) -> float:
        return START_S if self._next is None else WINDOW_S

    def _over(self, now_s: float) -> bool:
        deadline_s = self.deadline_s
        return deadline_s is not None and now_s >= deadline_s

    def _full(self) -> bool:
        audio_s = sum(held.chunk.duration_s for held in self._held.values())
        return audio_s >= (AGAIN_S if self._awaiting else WINDOW_S) or len(self._held) >= JUMP

    def _is_new_count(self, sequence: int, chunk: Chunk) -> bool:
        if self._next is None:
            # before the first chunk went on, what waits says where numbers are
            return any(abs(sequence - held) > JUMP for held in self._held)
        if sequence >= self._next:
            return sequence - self._next > JUMP
        if sequence not in self._past:
            return True
        return self._past[sequence] is not None and not self._was_there(sequence, chunk)

    def _was_there(self, sequence: int, chunk: Chunk) -> bool:
        sent = self._past.get(sequence)
        return sent is not None and sent == _digest(chunk)

    def _give_up(self) -> list[Chunk]:
        """Go on with the lowest number that came."""
        lowest = min(self._held)
        if self._next is not None:
            self._comes_again = self._comes_again and not self._awaiting
            self.missing += lowest - self._next
            for number in range(self._next, lowest):
                self._note(number, None)
        self._next = lowest
        return self._in_order()

    def _in_order(self) -> list[Chunk]:
        out: list[Chunk] = []
        while self._next is not None and self._next in self._held:
            chunk = self._held.pop(self._next).chunk
            self._note(self._next, _digest(chunk))
            out.append(replace(chunk, number=self._next))
            self.last = self._next
            self._next += 1
        return out

    def _note(self, number: int, digest: bytes | None) -> None:
        self._past[number] = digest
        while len(self._past) > REMEMBER:
            self._past.popitem(last=False)


def _digest(chunk: Chunk) -> bytes:
    return hashlib.blake2b(chunk.pcm, digest_size=16).digest()
