"""Answers kept for a while, and no question asked twice at once."""

import asyncio
import hashlib
import sys
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from babelcast.telemetry import instruments
from translation_svc.routes import Step

BYTES_PER_ENTRY: Final = 2_000
"""Room for an average entry, so that long texts cannot make the cache large: with 10,000 entries it takes at
most 20 MB, where sentences of talk take 2 to 4."""


class Keep(Enum):
    """Who keeps an answer."""

    HERE = "here"
    """This process alone: beginnings of sentences, which nobody asks for again."""
    EVERYWHERE = "everywhere"
    """The table behind it too."""


class Outcome(Enum):
    """How a question was answered."""

    MEMORY = "memory"
    FLIGHT = "flight"
    """By the answer to the same question that was under way."""
    TABLE = "table"
    MISS = "miss"


class Eviction(Enum):
    """Why an entry went."""

    CAPACITY = "capacity"
    SIZE = "size"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Shelved:
    """What a shelf has, and for how many seconds more it is good."""

    text: str
    left_s: float


class Shelf(Protocol):
    """What stands behind the cache. Whatever goes wrong there is as if it had nothing."""

    async def get(self, key: str) -> Shelved | None:
        """What is kept under `key`; None also when that is not known in time."""
        ...

    def put(self, key: str, shelved: Shelved) -> None:
        """Keep a text as long as it is good, from some time soon, if there is room."""
        ...


def cache_key(step: Step, text: str, *, edition: str = "", glossary: str = "") -> str:
    """The key of a step's answer to `text`: engine, edition, version of the glossary, source, target, hash.

    `edition` is what answers depend on besides, such as the model's version or a terminology. Texts that
    differ in blanks or in the composition of letters alone have one key.
    """
    normal = " ".join(unicodedata.normalize("NFC", text).split())
    digest = hashlib.blake2b(normal.encode(errors="surrogatepass"), digest_size=16).hexdigest()
    return "/".join((step.engine, edition, glossary, step.pair.source, step.pair.target, digest))


def version_of(terms: Mapping[str, Mapping[str, str]]) -> str:
    """The version of a glossary: the same for the same terms and translations, in whatever order."""
    parts = [repr((term, language, text)) for term, into in terms.items() for language, text in into.items()]
    return hashlib.blake2b("".join(sorted(parts)).encode(errors="replace"), digest_size=8).hexdigest()


@dataclass(slots=True)
class _Entry:
    until_s: float
    text: str
    is_shelved: bool


class Cache:
    """At most `capacity` texts, each for `ttl_s` seconds; the one unused for longest goes first.

    Single flight: while a text is being made, everybody who asks for it waits for that one. The flight
    belongs to the cache: it goes on when those who wait are cancelled, so that an engine is not thrown away
    because a stream was cut, and the stream's successor finds the answer. What it raises reaches all who wait
    and is not kept.
    """

    def __init__(
        self,
        *,
        capacity: int,
        ttl_s: float,
        shelf: Shelf | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.asked = dict.fromkeys(Outcome, 0)
        self.evicted = dict.fromkeys(Eviction, 0)
        self.bytes = 0
        self._capacity = capacity
        self._max_bytes = capacity * BYTES_PER_ENTRY
        self._ttl_s = ttl_s
        self._shelf = shelf
        self._clock = clock
        self._kept: OrderedDict[str, _Entry] = OrderedDict()
        self._flights: dict[str, asyncio.Task[str]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: str, make: Callable[[], Awaitable[str]], *, keep: Keep = Keep.EVERYWHERE) -> str:
        """The text of `key`, made by `make` if need be. Raises: what `make` raises."""
        kept = self._find(key)
        if kept is not None:
            self._count(Outcome.MEMORY)
        else:
            flight = self._flights.get(key)
            if flight is None:
                flight = asyncio.create_task(self._fly(key, make, keep), name="cache flight")
                flight.add_done_callback(_retrieve)
                self._flights[key] = flight
            else:
                self._count(Outcome.FLIGHT)
            kept = await asyncio.shield(flight)
        if keep is Keep.EVERYWHERE:
            self._shelve(key)
        return kept

    async def aclose(self) -> None:
        """End the flights."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _fly(self, key: str, make: Callable[[], Awaitable[str]], keep: Keep) -> str:
        shelf = self._shelf if keep is Keep.EVERYWHERE else None
        try:
            shelved = await shelf.get(key) if shelf is not None else None
            self._count(Outcome.MISS if shelved is None else Outcome.TABLE)
            text = await make() if shelved is None else shelved.text
        finally:
            del self._flights[key]
        left_s = self._ttl_s if shelved is None else min(shelved.left_s, self._ttl_s)
        self._store(key, _Entry(self._clock() + left_s, text, is_shelved=shelved is not None))
        if keep is Keep.EVERYWHERE:
            self._shelve(key)  # even if nobody is left who asked
        return text

    def _shelve(self, key: str) -> None:
        """Give an entry to the shelf, once; it may have been made for this process alone."""
        entry = self._kept.get(key)
        if self._shelf is not None and entry is not None and not entry.is_shelved:
            entry.is_shelved = True
            self._shelf.put(key, Shelved(entry.text, entry.until_s - self._clock()))

    def _find(self, key: str) -> str | None:
        entry = self._kept.get(key)
        if entry is None:
            return None
        if entry.until_s <= self._clock():
            self._drop(key, Eviction.EXPIRED)
            return None
        self._kept.move_to_end(key)
        return entry.text

    def _store(self, key: str, entry: _Entry) -> None:
        self._kept[key] = entry
        self.bytes += _weight(key, entry.text)
        while len(self._kept) > self._capacity:
            self._drop(next(iter(self._kept)), Eviction.CAPACITY)
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._kept)), Eviction.SIZE)
        self._gauge()

    def _drop(self, key: str, why: Eviction) -> None:
        self.bytes -= _weight(key, self._kept.pop(key).text)
        self.evicted[why] += 1
        instruments.CACHE_EVICTIONS.add(1, {instruments.CAUSE: why.value})
        self._gauge()

    def _gauge(self) -> None:
        instruments.CACHE_ENTRIES.set(len(self._kept))
        instruments.CACHE_BYTES.set(self.bytes)

    def _count(self, outcome: Outcome) -> None:
        self.asked[outcome] += 1
        instruments.CACHE_LOOKUPS.add(1, {instruments.OUTCOME: outcome.value})


def _weight(key: str, text: str) -> int:
    """What an entry takes of memory, bytes, but for the fixed part."""
    return sys.getsizeof(key) + sys.getsizeof(text)


def _retrieve(flight: asyncio.Task[str]) -> None:
    """Look at the outcome, lest asyncio complain when nobody was left to see it fail."""
    if not flight.cancelled():
        flight.exception()
