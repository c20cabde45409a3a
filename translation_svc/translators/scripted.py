"""Scripted translation: each word with its new language's code behind it, after a set delay. For tests."""

import asyncio
import itertools
from collections.abc import Set

from babelcast import scripted
from translation_svc.failures import EngineMissing
from translation_svc.translators.base import Capabilities, Pair
from translation_svc.turns import Urgency


class ScriptedTranslator:
    """Has every direction between the scripted languages, and nothing to load."""

    name = scripted.NAME
    capabilities = Capabilities()

    def __init__(self, *, delay_s: float = 0.0) -> None:
        """`delay_s` is how long each sentence takes, however many come at once."""
        self._delay_s = delay_s

    @property
    def pairs(self) -> Set[Pair]:
        """All of them."""
        return _PAIRS

    async def warm(self, pair: Pair) -> None:
        """Nothing to load."""

    async def translate(
        self,
        text: str,
        pair: Pair,
        *,
        urgency: Urgency,  # noqa: ARG002 - nobody waits for anybody
        context: str = "",  # noqa: ARG002 - it takes none
    ) -> str:
        """One sentence, as `scripted.translated` has it."""
        if pair not in _PAIRS:
            raise EngineMissing(self.name, f"no direction {pair.source}-{pair.target}")
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        return scripted.translated(text, pair.target)

    async def aclose(self) -> None:
        """Nothing runs."""


_PAIRS = frozenset(Pair(*both) for both in itertools.permutations(scripted.LANGUAGES, 2))
