"""What is known of every instrument: the documentation's table, and what bounds the number of series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

BYTES, SECONDS = "By", "s"
_SUFFIX: Final[Mapping[str, str]] = {BYTES: "_bytes", SECONDS: "_seconds"}


class Kind(Enum):
    """What an instrument counts like, by Prometheus' word."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Described:
    """One instrument. `attributes` are all it may be recorded with; others are left out."""

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: Sequence[str] = ()

    @property
    def exported(self) -> str:
        """Its name on the endpoint, without what a histogram appends."""
        name = self.name.replace(".", "_")
        unit = "" if self.unit.startswith("{") or self.unit == "1" else f"_{self.unit}"
        suffix = _SUFFIX.get(self.unit, unit)
        name = name if name.endswith(suffix) else name + suffix
        return f"{name}_total" if self.kind is Kind.COUNTER else name


CATALOGUE: Final[list[Described]] = []
"""All instruments, in the order of `instruments.py`."""


def attributes() -> set[str]:
    """All names of attributes."""
    return {name for described in CATALOGUE for name in described.attributes}
