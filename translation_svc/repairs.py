"""Small known faults of single steps, mended before the next step builds on them."""

import re
from collections.abc import Mapping, Sequence

from translation_svc.routes import Step
from translation_svc.translators.base import Pair

_REPAIRS: Mapping[Step, Sequence[tuple[re.Pattern[str], str]]] = {
    Step("apertium", Pair("pt", "es")): (
        (re.compile(r"\bmañana de mañana\b", re.IGNORECASE), "mañana por la mañana"),
    ),
    Step("apertium", Pair("ca", "it")): ((re.compile(r"\bapppunto\b", re.IGNORECASE), "appunto"),),
}


def repair(text: str, step: Step) -> str:
    """`text`, the outcome of `step`, without the faults known of it."""
    for pattern, replacement in _REPAIRS.get(step, ()):
        text = pattern.sub(replacement, text)
    return text
