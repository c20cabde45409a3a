"""The tables: names, keys, indexes, and how what is there differs from that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal

from session_svc.store.dynamodb.calls import Index
from session_svc.store.dynamodb.rows import TTL

SEATS_BY_SESSION: Final = Index("sessionId-targetLanguage-index", "sessionId", "targetLanguage")
SEATS_BY_TIME: Final = Index("shard-untilAt-index", "shard", "untilAt")
SEATS_BY_GATEWAY: Final = Index("gatewayId-connectionId-index", "gatewayId", "connectionId")
SESSIONS_BY_END: Final = Index("phase-endsAt-index", "phase", "endsAt")
ON_DEMAND: Final = "PAY_PER_REQUEST"
_NUMBERS: Final = frozenset({"untilAt", "endsAt"})


@dataclass(frozen=True, slots=True)
class TableNames:
    """What the tables are called."""

    sessions: str = "Sessions"
    connections: str = "Connections"
    rate_limits: str = "RateLimits"


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it should be: its key is one string, its indexes hold keys alone."""

    name: str
    key: str
    indexes: tuple[Index, ...] = ()

    def kinds(self) -> dict[str, Literal["S", "N"]]:
        """The types of all attributes that are keys of the table or an index."""
        names = [self.key, *(name for index in self.indexes for name in (index.hash_key, index.range_key))]
        return {name: "N" if name in _NUMBERS else "S" for name in names}


@dataclass(frozen=True, slots=True)
class Found:
    """A table as it is. `tags` is None where the endpoint keeps none, as DynamoDB Local."""

    status: str
    keys: tuple[str, ...]
    indexes: Mapping[str, tuple[str, ...]]
    busy_indexes: frozenset[str]
    kinds: Mapping[str, str]
    billing: str
    ttl: str
    tags: Mapping[str, str] | None


class Want(Enum):
    """What a table lacks, in the order in which it is to be mended."""

    TABLE = auto()
    KEYS = auto()
    TIME = auto()
    BILLING = auto()
    INDEX = auto()
    TTL = auto()
    TAGS = auto()


MENDABLE: Final = frozenset(Want) - {Want.KEYS}
"""The key of a table or an index stays as it was made."""


@dataclass(frozen=True, slots=True)
class Lack:
    """One thing that is not as it should be; `index` is the one that is missing."""

    want: Want
    words: str
    index: Index | None = None


def tables(names: TableNames) -> tuple[Table, ...]:
    """All tables of the record."""
    return (
        Table(names.sessions, "sessionId", (SESSIONS_BY_END,)),
        Table(names.connections, "connectionId", (SEATS_BY_SESSION, SEATS_BY_TIME, SEATS_BY_GATEWAY)),
        Table(names.rate_limits, "rateKey"),
    )


def lacks(table: Table, found: Found | None, tags: Mapping[str, str]) -> Sequence[Lack]:
    """How `found` differs from `table` with at least these tags, in the order of mending."""
    if found is None:
        return [Lack(Want.TABLE, "is missing")]
    made = [*_key_lacks(table, found), *_index_lacks(table, found)]
    if found.status not in {"ACTIVE", "UPDATING"}:
        made.append(Lack(Want.TIME, f"is {found.status.lower()}"))
    if found.billing != ON_DEMAND:
        made.append(Lack(Want.BILLING, f"is billed as {found.billing}, not {ON_DEMAND}"))
    if found.ttl != TTL:
        words = f"expires rows by {found.ttl}, not {TTL}" if found.ttl else "does not expire rows"
        made.append(Lack(Want.KEYS if found.ttl else Want.TTL, words))
    if found.tags is not None and (missing := tags.items() - found.tags.items()):
        words = ", ".join(sorted(f"{key}={value}" for key, value in missing))
        made.append(Lack(Want.TAGS, f"lacks the tags {words}"))
    return sorted(made, key=lambda lack: lack.want.value)


def _key_lacks(table: Table, found: Found) -> list[Lack]:
    made = []
    if found.keys != (table.key,):
        made.append(Lack(Want.KEYS, f"has the key {', '.join(found.keys)}, not {table.key}"))
    made += [
        Lack(Want.KEYS, f"has {name} of type {found.kinds[name]}, not {kind}")
        for name, kind in table.kinds().items()
        if found.kinds.get(name, kind) != kind
    ]
    return made


def _index_lacks(table: Table, found: Found) -> list[Lack]:
    made = []
    for index in table.indexes:
        keys = found.indexes.get(index.name)
        if keys is None:
            made.append(Lack(Want.INDEX, f"lacks the index {index.name}", index))
        elif keys != (index.hash_key, index.range_key):
            made.append(Lack(Want.KEYS, f"has other keys in the index {index.name}"))
        elif index.name in found.busy_indexes:
            made.append(Lack(Want.TIME, f"is still building the index {index.name}"))
    return made
