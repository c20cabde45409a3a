"""Writes components/monitoring/rules.yaml, a PrometheusRule, from deploy/observability/rules."""

from pathlib import Path
from typing import Final

import yaml

HERE: Final = Path(__file__).parent
RULES: Final = HERE.parent / "observability" / "rules"
MADE: Final = HERE / "components" / "monitoring" / "rules.yaml"
_HEAD: Final = """\
# Made by `python deploy/k8s/rules.py` from deploy/observability/rules; edit those.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: babelcast
spec:
  groups:
"""


def rendered() -> str:
    """All groups of all files, as they stand there but for their indentation."""
    parts = [_HEAD]
    for path in sorted(RULES.glob("*.yaml")):
        groups = yaml.safe_load(path.read_text())["groups"]
        text = yaml.safe_dump(groups, sort_keys=False, width=110, allow_unicode=True)
        parts += [f"    {line}\n" if line else "\n" for line in text.splitlines()]
    return "".join(parts)


if __name__ == "__main__":
    MADE.write_text(rendered())
