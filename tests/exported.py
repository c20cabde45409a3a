"""What the services' processes export, as the real exporter writes it."""

import functools
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

# A process of its own, since meters are global. What has no value yet shows once it is recorded.
_PROGRAM: Final = """
from opentelemetry import metrics
from prometheus_client import CollectorRegistry, generate_latest
from babelcast.telemetry import export, instruments, zeros

registry = CollectorRegistry()
metrics.set_meter_provider(export.provide([export.scraped(registry)], service="babelcast"))
zeros.begin("babelcast")
for instrument in vars(instruments).values():
    for record in ("add", "record", "set"):
        if hasattr(instrument, record) and hasattr(type(instrument), "_create_real_instrument"):
            getattr(instrument, record)(0)
print(generate_latest(registry).decode())
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """A series' name, as it is scraped, and what is known of its labels."""

    labels: Mapping[str, set[str]] = field(default_factory=dict)
    """By series: the attributes that its instrument may be recorded with, and `le` of buckets."""
    values: Mapping[tuple[str, str], set[str]] = field(default_factory=dict)
    """By series and label: those that a process shows from its start on. Absent where there are none."""


@functools.cache
def exported() -> Exported:
    """All of it."""
    from babelcast.telemetry import instruments
    from babelcast.telemetry.catalogue import CATALOGUE

    assert instruments.AUDIO_LOST, "the catalogue fills when instruments are made"
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    attributes = {one.exported: set(one.attributes) for one in CATALOGUE}
    labels: dict[str, set[str]] = {}
    values: dict[tuple[str, str], set[str]] = {}
    for family in text_string_to_metric_families(done.stdout):
        for sample in family.samples:
            known = next(
                (attributes[name] for name in (sample.name, family.name) if name in attributes), set()
            )
            labels.setdefault(sample.name, set()).update(known, sample.labels)
            for label, value in sample.labels.items():
                values.setdefault((sample.name, label), set()).add(value)
    return Exported(labels, values)
