"""Session codes such as golden-eagle-427: short enough to read aloud, friendly in every pairing.

The words are data in `words/`. Any adjective may meet any animal, so words that could hurt in some pairing
are left out; pairs that read badly when run together, or sound so when spoken, are listed in
`denied_pairs.txt`. A code names a session and guards nothing: what a speaker may do hangs on tokens.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias

from babelcast.errors import InvalidSessionId

LOWEST_NUMBER = 100
HIGHEST_NUMBER = 999

Below: TypeAlias = Callable[[int], int]
"""A source of randomness: a number from 0 up to, not including, its argument (`secrets.randbelow`)."""

_CODE = re.compile(r"[a-z]{2,16}-[a-z]{2,16}-[1-9][0-9]{2}")


@dataclass(frozen=True, slots=True)
class Words:
    """What codes are made of."""

    adjectives: tuple[str, ...]
    animals: tuple[str, ...]
    denied: frozenset[tuple[str, str]]


def load_words() -> Words:
    """The lists that come with the service."""
    pairs = (pair.split("-") for pair in _lines("denied_pairs.txt"))
    return Words(
        adjectives=_lines("adjectives.txt"),
        animals=_lines("animals.txt"),
        denied=frozenset((adjective, animal) for adjective, animal in pairs),
    )


def draw(words: Words, below: Below) -> str:
    """A random code; each allowed pair and number is as likely as any other."""
    while True:
        adjective = words.adjectives[below(len(words.adjectives))]
        animal = words.animals[below(len(words.animals))]
        if (adjective, animal) not in words.denied:
            break
    number = LOWEST_NUMBER + below(HIGHEST_NUMBER - LOWEST_NUMBER + 1)
    return f"{adjective}-{animal}-{number}"


def parse(text: str) -> str:
    """The code as stored, from how people write it ("Golden-Eagle-427 ").

    Raises: InvalidSessionId when no session can be called so.
    """
    code = text.strip().lower()
    if _CODE.fullmatch(code) is None:
        raise InvalidSessionId
    return code


def _lines(name: str) -> tuple[str, ...]:
    return tuple(resources.files("session_svc").joinpath("words", name).read_text("utf-8").split())
