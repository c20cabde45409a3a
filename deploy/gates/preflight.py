"""All that is looked at before a deployment: `python -m deploy.gates.preflight ENV [VERSION]`.

Prints a line for each check, and ends with 0 when all are good, 1 when one failed. What could not be checked
is told as such: it fails in prod and is let through elsewhere. What `make check` covers is not done again
where there is proof that it passed on this commit (`deploy/gates/checked.py`).
"""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.text import Text

from deploy.gates import changelog, checked, settings
from deploy.gates.checked import ROOT, Checked

ENVIRONMENTS: Final = (*settings.OVERLAYS, "compose")
LEAST_COVERAGE: Final = 80.0
"""%, and more than that."""
TIMEOUT_S: Final = 3600
NOT_CHECKED: Final = 2
"""The exit code of a check that says so of itself."""


class Verdict(StrEnum):
    """Of one check."""

    OK = "ok"
    FAILED = "FAILED"
    NOT_CHECKED = "NOT CHECKED"


_COLOURS: Final = {Verdict.OK: "green", Verdict.FAILED: "bold red", Verdict.NOT_CHECKED: "yellow"}


class Done(msgspec.Struct, frozen=True):
    """One check's result."""

    topic: str
    title: str
    verdict: Verdict
    detail: str
    seconds: float


class Flight(msgspec.Struct):
    """All of them, as they are kept in var/preflight."""

    env: str
    version: str
    commit: str
    done: list[Done] = []

    @property
    def passed(self) -> bool:
        """Whether it may be deployed."""
        bad = {Verdict.FAILED} | ({Verdict.NOT_CHECKED} if self.env == "prod" else set())
        return bool(self.done) and not bad & {one.verdict for one in self.done}


@dataclass(frozen=True, slots=True)
class Check:
    """A command that ends with 0 when all is good."""

    topic: str
    title: str
    words: Sequence[str]
    is_in_make_check: bool = False
    may_be_unknown: bool = False
    """Whether 2 means that nothing could be checked."""


@dataclass(frozen=True, slots=True)
class Question:
    """What needs no command: answers whether it is good, and in a few words why."""

    topic: str
    title: str
    answer: Callable[[], tuple[bool, str]]


def plan(env: str, version: str, proof: Checked | None) -> Sequence[Check | Question]:
    """The checks for an environment, in their order: what is quick comes first."""
    code, papers, safety, parts = "code", "documentation", "security", "deployment"
    manifests = ["tests/unit/deploy/test_compose.py"] if env == "compose" else _MANIFESTS
    return [
        Question(code, "all is committed", _all_is_committed),
        Question(code, f"coverage above {LEAST_COVERAGE:g} %", lambda: _covered(proof)),
        Check(code, "contracts are compatible", ["deploy/dev/check-proto"], is_in_make_check=True),
        Check(code, "no linting errors", [_bin("ruff"), "check", "--quiet"], is_in_make_check=True),
        Check(code, "formatted", [_bin("ruff"), "format", "--check", "--quiet"], is_in_make_check=True),
        Check(code, "types", [_bin("mypy")], is_in_make_check=True),
        Question(papers, "changelog", lambda: _in_changelog(env, version)),
        Check(papers, "README, API, settings, links", _pytest("tests/unit/docs"), is_in_make_check=True),
        Check(
            papers,
            "each alert has a runbook",
            _pytest("tests/unit/deploy/test_rules.py", "-k", "runbook"),
            is_in_make_check=True,
        ),
        Question(safety, f"settings of {env}", lambda: _filled_in(env)),
        Check(safety, "permissions", _pytest("tests/integration/aws"), is_in_make_check=True),
        Check(safety, "security tests", _pytest(*_SECURITY), is_in_make_check=True),
        Check(safety, "no secrets in code", ["deploy/supply/secrets"]),
        Check(safety, "licences", [_bin("python"), "-m", "deploy.supply.licences"]),
        Check(safety, "known vulnerabilities", ["deploy/dev/audit"], may_be_unknown=True),
        Check(parts, "Dockerfile", [_bin("hadolint"), "deploy/Dockerfile"]),
        Check(parts, f"manifests of {env}", _pytest(*manifests), is_in_make_check=True),
        Check(parts, "alarms and dashboards", _pytest(*_ALARMS), is_in_make_check=True),
        Check(parts, "rollout and rollback", _pytest(*_ROLLOUT), is_in_make_check=True),
    ]


def fly(env: str, version: str, environ: Mapping[str, str], console: Console) -> Flight:
    """Do all checks, printing each when it is done."""
    flight = Flight(env, version, checked.commit())
    proof = _proof(environ)
    if proof is None and checked.changed():
        words = "not on what is here, which is no commit"
        _note(flight, Done("code", "tests pass", Verdict.FAILED, words, 0.0), console)
    elif proof is None:
        _note(flight, _done(_MAKE_CHECK, environ), console)
        proof = _proof(environ)
    else:
        words = f"make check passed at {proof.at}"
        _note(flight, Done("code", "tests pass", Verdict.OK, words, 0.0), console)
    for step in plan(env, version, proof):
        if isinstance(step, Question):
            _note(flight, _answered(step), console)
        elif step.is_in_make_check and proof is not None:
            _note(flight, Done(step.topic, step.title, Verdict.OK, "in make check", 0.0), console)
        else:
            _note(flight, _done(step, environ), console)
    return flight


def main(arguments: Sequence[str], environ: Mapping[str, str], console: Console) -> int:
    """Do it and keep the result; returns the exit code."""
    env, version = [*arguments, "", ""][:2]
    if env not in ENVIRONMENTS:
        console.print(f"preflight: ENV is one of {', '.join(ENVIRONMENTS)}, not {env!r}", markup=False)
        return 2
    flight = fly(env, version or changelog.version(), environ, console)
    path = kept(env)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(flight)))
    console.print(f"{'ready for' if flight.passed else 'NOT ready for'} {env}: {path.relative_to(ROOT)}")
    return 0 if flight.passed else 1


def kept(env: str) -> Path:
    """Where the last result for an environment is."""
    return ROOT / "var" / "preflight" / f"{env}.json"


def _pytest(*words: str) -> Sequence[str]:
    return [_bin("pytest"), "-q", "-p", "no:cacheprovider", *words]


def _bin(name: str) -> str:
    return f".venv/bin/{name}"


_MAKE_CHECK: Final = Check("code", "tests pass", ["make", "--no-print-directory", "check"])
_MANIFESTS: Final = [
    f"tests/unit/deploy/test_k8s_{name}.py"
    for name in ("schema", "wiring", "network", "policies", "scaling", "nats")
]
_SECURITY: Final = [
    "tests/e2e/test_secrets.py",
    "tests/e2e/test_encrypted.py",
    "tests/integration/gateway/abuse",
]
_ALARMS: Final = [f"tests/unit/deploy/test_{name}.py" for name in ("rules", "alertmanager", "dashboards")]
_ROLLOUT: Final = [f"tests/unit/deploy/test_{name}.py" for name in ("rollout", "releases")]


def _proof(environ: Mapping[str, str]) -> Checked | None:
    """That for what is here, if nothing has changed since."""
    return None if checked.changed() else checked.proof(environ, checked.commit())


def _done(check: Check, environ: Mapping[str, str]) -> Done:
    """Run it. Its tests may not be skipped for want of a program: CI is set."""
    began_s = time.monotonic()
    try:
        done = subprocess.run(
            check.words,
            cwd=ROOT,
            env={**environ, "CI": "true"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        code, said = done.returncode, done.stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        code, said = 1, str(error)
    verdict = Verdict.OK if code == 0 else Verdict.FAILED
    if check.may_be_unknown and code == NOT_CHECKED:
        verdict = Verdict.NOT_CHECKED
    last = (said.strip().splitlines() or [""])[-1].strip()
    detail = last if verdict is Verdict.OK else f"{last} ({shlex.join(check.words)})"
    return Done(check.topic, check.title, verdict, detail, round(time.monotonic() - began_s, 1))


def _answered(question: Question) -> Done:
    good, words = question.answer()
    return Done(question.topic, question.title, Verdict.OK if good else Verdict.FAILED, words, 0.0)


def _note(flight: Flight, done: Done, console: Console) -> None:
    flight.done.append(done)
    took = f" [{done.seconds:.0f} s]" if done.seconds >= 1 else ""
    words = f"{done.topic}: {done.title}"
    console.print(
        Text.assemble((f"{done.verdict:12}", _COLOURS[done.verdict]), f"{words:44}", f"{done.detail}{took}"),
        soft_wrap=True,
    )


def _all_is_committed() -> tuple[bool, str]:
    changed = checked.changed()
    if not checked.commit():
        return False, "this is no repository"
    return not changed, f"{len(changed)} files are not, such as {changed[0]}" if changed else checked.commit()


def _covered(proof: Checked | None) -> tuple[bool, str]:
    if proof is None:
        return False, "not known: make check has not passed on this commit"
    return proof.coverage > LEAST_COVERAGE, f"{proof.coverage:g} %"


def _in_changelog(env: str, version: str) -> tuple[bool, str]:
    if env == "prod" and "dev" in version:
        return False, f"{version} is no release"
    number = changelog.entries(changelog.PAGE.read_text(), version)
    return number > 0, f"{number} entries for {version}"


def _filled_in(env: str) -> tuple[bool, str]:
    try:
        found = settings.of(env)
    except settings.Unreadable as error:
        return False, str(error)
    faults = found.faults(env)
    return not faults, "; ".join(faults) or f"{len(found.values)} variables"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, Console()))
