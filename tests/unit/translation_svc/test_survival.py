"""What must be in a translation is in it, whatever engines do to a sentence."""

import asyncio
import random
import re

from hypothesis import given
from hypothesis import strategies as st

from translation_svc.cache import Cache
from translation_svc.chain import Chain
from translation_svc.glossary import Glossary
from translation_svc.numerals import figures, lost
from translation_svc.routes import Step
from translation_svc.translators.base import Capabilities, Pair
from translation_svc.turns import Urgency

ROUTE = (Step("first", Pair("en", "pt")), Step("second", Pair("pt", "es")))
TERMS = {
    "Kubernetes": {"es": "Kubernetes"},
    "machine learning": {"es": "aprendizaje automático"},
    "learning": {"es": "APRENDER"},
    "Web 3.0": {"es": "Web 3.0"},
}
WORDS = ["The", "price", "of", "a", "house", "is", "not", "known,", "he", "said:", "Xq", '"yes"', "(no)", "-"]
VERBATIM = ["https://example.org/a?b=c", "a.b@example.org", "@ada", "#tag", "+1 555 0100", "example.com"]
NUMBERS = [
    "1,234.56",
    "10:30 a.m.",
    "10:30 p.m.",
    "50%",
    "2026-11-23",
    "3.5 million",
    "1st",
    "€20",
    "-12.5",
    "7",
]
MONEY = ["$3.50", "£1,500"]


class Mangler:
    """An engine that loses, doubles, changes and mixes up words, each time in another way."""

    def __init__(self, name: str, pair: Pair, seed: int) -> None:
        self.name = name
        self.capabilities = Capabilities()
        self.pairs = frozenset({pair})
        self._random = random.Random(seed)

    async def warm(self, pair: Pair) -> None:
        return None

    async def translate(self, text: str, pair: Pair, *, urgency: Urgency, context: str = "") -> str:
        words = [mangled for word in text.split() for mangled in self._mangle(word)]
        if self._random.random() < 0.2:
            self._random.shuffle(words)
        return " ".join(words)

    async def aclose(self) -> None:
        return None

    def _mangle(self, word: str) -> list[str]:
        return self._random.choice(
            [
                [word],
                [word],
                [word],
                [],
                [word, word],
                [word.upper()],
                [re.sub(r"\d", "7", word)],
                [word[:-1]],
                [word[: len(word) // 2], word[len(word) // 2 :]],
            ]
        )


@given(
    st.lists(st.sampled_from(WORDS + VERBATIM + NUMBERS + MONEY + list(TERMS)), min_size=1, max_size=14),
    st.integers(0, 2**32),
)
def test_terms_addresses_numbers_and_money_survive_any_engine(parts: list[str], seed: int) -> None:
    """Placeholders that do not come back cost fluency, never what they stand for."""
    text = " ".join(parts)
    engines = {
        step.engine: Mangler(step.engine, step.pair, seed + number) for number, step in enumerate(ROUTE)
    }
    glossary = Glossary(TERMS)

    async def run() -> str:
        cache = Cache(capacity=100, ttl_s=60)
        chain = Chain(engines, cache)
        answer = await chain.translate(text, ROUTE, target="es", glossary=glossary, urgency=Urgency.FINAL)
        await cache.aclose()
        return answer

    answer = asyncio.run(run())
    for part in parts:
        if part in VERBATIM:
            assert answer.count(part) >= parts.count(part)
    for span in glossary.spans(text, "es"):
        assert span.becomes.casefold() in answer.casefold()
    for part in set(parts) & set(MONEY):
        assert answer.count(part.translate(str.maketrans(".,", ",."))) >= parts.count(part)
    plain = [part for part in parts if part in NUMBERS]
    for part in plain:
        assert not lost(figures(part), answer), part
