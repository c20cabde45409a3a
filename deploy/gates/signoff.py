"""The form to sign after a deployment: `python -m deploy.gates.signoff ENV [VERSION]` fills it in.

What commands can find out is found out: smoke tests, the watch of the first 24 hours, images, dashboards, the
result of the preflight. Names of those who approve are left open. Written to var/signoff/ENV-VERSION.md; ends
with 0 when there is nothing against signing, 1 when there is.

Environment: URL, CONTEXT and BABELCAST_TOKEN as for a rollout; PROMETHEUS_URL, GRAFANA_URL; OVER (24h), the
span that is looked at.
"""

import getpass
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from cli.smoke import Verdict
from cli.watch import Line, State, Watched
from deploy.gates import changelog, checked
from deploy.gates.checked import ROOT
from deploy.gates.preflight import ENVIRONMENTS, Flight, kept

DASHBOARDS: Final = ROOT / "deploy" / "observability" / "dashboards"
SERVICES: Final = ("gateway", "session", "transcription", "translation")
COMMAND_TIMEOUT_S: Final = 300
LOOK_TIMEOUT_S: Final = 10
_HOUR_S: Final = 3600
_IMAGE: Final = '{range .items[*]}{.metadata.name} {.spec.template.spec.containers[0].image}{"\\n"}{end}'


_Told = TypeVar("_Told", Verdict, Watched)


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard, and whether Grafana has it."""

    title: str
    url: str
    is_there: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """What commands found."""

    env: str
    version: str
    commit: str
    who: str
    date: str
    url: str
    smoke: Verdict
    watched: Watched
    flight: Flight | None = None
    images: Sequence[str] = field(default_factory=list)
    boards: Sequence[Board] = field(default_factory=list)

    @property
    def against(self) -> Sequence[str]:
        """What speaks against signing."""
        return [
            words
            for bad, words in (
                (self.flight is None, "there was no preflight of this commit"),
                (self.flight is not None and not self.flight.passed, "the preflight failed"),
                (not self.smoke.passed, "the smoke tests failed"),
                (self.watched.ending != 0, f"the watch says: {self.watched.verdict}"),
                (not self.images, "nobody tells which images run"),
                (any(not board.is_there for board in self.boards), "dashboards are missing"),
            )
            if bad
        ]


def form(found: Findings) -> str:
    """The form, filled in."""
    flight = found.flight
    smoke, watched = found.smoke, found.watched
    checks = [f"{one.verdict} {one.title}: {one.detail}" for one in (flight.done if flight else ())]
    pages = sorted({line.of for line in watched.triggers if line.name == "critical alarm" and line.of})
    faults = [f"{name} grew by {change:g}" for name, change in smoke.faults.items()]
    faults += [smoke.error] if smoke.error else []
    return f"""# Sign-off: {found.env}, {found.version}

| | |
| --- | --- |
| environment | {found.env} |
| address | {found.url} |
| version | {found.version} |
| commit | {found.commit or "not known"} |
| deployed by | {found.who} |
| date | {found.date} |
| status | {"❌ Failed" if found.against else "⏳ Pending approval"} |

{_bullets("Against signing", found.against) or "Nothing speaks against signing."}

## Approvals

- [ ] Tech lead: ____________________
- [ ] DevOps: ____________________
{"- [ ] Security: ____________________" if found.env == "prod" else "(security signs for prod only)"}

## Before

{_list(checks) or "- no preflight of this commit: `make preflight ENV=" + found.env + "`"}

## Smoke tests

{_box(smoke.passed)} all smoke tests passed
{_list([_tested(one.number, one.title, one.passed, one.detail) for one in smoke.tests])}
{_list(faults)}

## What runs

{_list(found.images) or "- not known"}

## The first {_span(watched.over_s)}

{_box(_kept(watched, "errors") and not pages)} no critical errors
{_box(_kept(watched, "latency"))} latency within targets
{_box(_kept(watched, "throughput"))} throughput as expected
{_box(_kept(watched, "resources"))} resources within limits
- [ ] no complaints

| figure | of | now | before | limit | |
| --- | --- | --- | --- | --- | --- |
{_rows(watched.figures)}

| reason to roll back | of | now | limit | |
| --- | --- | --- | --- | --- |
{_reasons(watched.triggers)}

Firing critical alarms: {", ".join(pages) or "none"}. Fired in the span: {", ".join(watched.fired) or "none"}.
{watched.error}

## Monitoring

{_box(not watched.alarms_missing and not watched.error)} alarms have their rules
{_list([f"no rule for {name}" for name in watched.alarms_missing])}
{chr(10).join(f"{_box(board.is_there)} {board.title}: {board.url}" for board in found.boards)}

## At last

{_box(not found.against)} deployment successful
- [ ] team told
- [ ] rollback contacts: ____________________

Notes:
"""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Find out and write it down; returns the exit code."""
    env, version = [*arguments, "", ""][:2]
    if env not in ENVIRONMENTS:
        sys.stderr.write(f"signoff: ENV is one of {', '.join(ENVIRONMENTS)}, not {env!r}\n")
        return 2
    found = _findings(env, version or changelog.version(), environ)
    path = Path(environ.get("SIGNOFF_DIR") or ROOT / "var" / "signoff") / f"{env}-{found.version}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(form(found))
    sys.stdout.write("".join(f"AGAINST  {words}\n" for words in found.against) + f"{path}\n")
    return 1 if found.against else 0


def place(env: str, environ: Mapping[str, str]) -> Mapping[str, str]:
    """What deploy/rollout/environments has; the environment wins."""
    text = (ROOT / "deploy" / "rollout" / "environments" / f"{env}.env").read_text()
    pairs = [line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return {name: environ.get(name) or value for name, _, value in pairs}


def _findings(env: str, version: str, environ: Mapping[str, str]) -> Findings:
    at = place(env, environ)
    program = environ.get("BABELCAST") or str(ROOT / ".venv" / "bin" / "babelcast")
    commit = checked.commit()
    smoke = _run([program, "smoke", at["URL"], "--json", *_metrics(environ)], environ)
    watched = _run([program, "watch", "--json", "--over", environ.get("OVER") or "24h"], environ)
    grafana = (environ.get("GRAFANA_URL") or "http://127.0.0.1:3000").rstrip("/")
    return Findings(
        env=env,
        version=version,
        commit=commit,
        who=_run(["git", "config", "user.name"], environ).strip() or getpass.getuser(),
        date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        url=at["URL"],
        smoke=_decoded(smoke, Verdict) or Verdict(at["URL"], error="the smoke tests said nothing"),
        watched=_decoded(watched, Watched) or Watched("", 0, 0, error="the watch said nothing"),
        flight=_flight(env, commit),
        images=_images(env, at.get("CONTEXT", ""), environ),
        boards=[_board(path, grafana) for path in sorted(DASHBOARDS.glob("*.json"))],
    )


def _flight(env: str, commit: str) -> Flight | None:
    try:
        found = msgspec.json.decode(kept(env).read_bytes(), type=Flight)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.commit == commit else None


def _images(env: str, context: str, environ: Mapping[str, str]) -> Sequence[str]:
    """What runs, a line for each service: its name and image."""
    if env == "compose":
        words = ["docker", "compose", "--file", "deploy/compose/compose.yaml", "ps", "--format", "json"]
        told = _run(words, environ)
        # Before 2.21 it was one list.
        lines = json.loads(told) if told.startswith("[") else [*map(json.loads, told.splitlines())]
        found = {f"{line.get('Service')}: {line.get('Image')}" for line in lines}
    else:
        words = ["kubectl", *(["--context", context] if context else []), "--namespace", f"babelcast-{env}"]
        words += ["get", "deployments", "--output", f"jsonpath={_IMAGE}"]
        found = {line.replace(" ", ": ", 1) for line in _run(words, environ).splitlines()}
    return sorted(line for line in found if line.partition(":")[0] in SERVICES)


def _board(path: Path, grafana: str) -> Board:
    made = json.loads(path.read_text())
    try:
        asked = f"{grafana}/api/dashboards/uid/{made['uid']}"
        with urllib.request.urlopen(asked, timeout=LOOK_TIMEOUT_S) as answer:  # noqa: S310 - as configured
            is_there = answer.status == 200  # noqa: PLR2004 - OK
    except (OSError, ValueError):
        is_there = False
    return Board(made["title"], f"{grafana}/d/{made['uid']}", is_there)


def _metrics(environ: Mapping[str, str]) -> list[str]:
    urls = [url for url in (environ.get("METRICS_URLS") or "").split(",") if url]
    return [word for url in urls for word in ("--metrics-url", url)]


def _run(words: Sequence[str], environ: Mapping[str, str]) -> str:
    """What it prints; nothing when it cannot be run. Exit codes are in what it prints, too."""
    try:
        done = subprocess.run(
            words,
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _decoded(text: str, kind: type[_Told]) -> _Told | None:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError:
        return None


def _kept(watched: Watched, kind: str) -> bool:
    """Whether all figures of a kind are known and keep their targets."""
    states = {line.state for line in watched.figures if line.kind == kind}
    return bool(states) and states <= {State.OK, State.QUIET}


def _tested(number: int, title: str, passed: bool, detail: str) -> str:
    return f"{'passed' if passed else 'FAILED'} {number} {title}: {detail}"


def _box(good: bool) -> str:
    return f"- [{'x' if good else ' '}]"


def _bullets(head: str, lines: Sequence[str]) -> str:
    return f"**{head}:**\n\n{_list(lines)}" if lines else ""


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _rows(lines: Sequence[Line]) -> str:
    return "\n".join(
        f"| {line.name} | {line.of} | {_number(line.value)} | {_number(line.before)} | {_number(line.limit)} "
        f"| {line.state} |"
        for line in lines
    )


def _reasons(lines: Sequence[Line]) -> str:
    return "\n".join(
        f"| {line.name} | {line.of} | {_number(line.value)} | {_number(line.limit)} | {line.state} |"
        for line in lines
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _span(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds < _HOUR_S else f"{seconds / _HOUR_S:g} h"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
