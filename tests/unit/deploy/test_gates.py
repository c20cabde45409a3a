"""What is looked at before a deployment, and the form that is filled in after it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread

import msgspec
import pytest
from rich.console import Console

from cli import smoke
from cli.watch import Line, State, Watched
from deploy.gates import changelog, checked, preflight, settings, signoff
from deploy.gates.checked import ROOT, Checked
from deploy.gates.preflight import Check, Done, Flight, Question, Verdict

PASSED = Checked("abc", "2026-01-01 10:00 UTC", 91.5)


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A gate's command."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("env", ["dev", "compose"])
def test_settings_of_what_runs_as_it_stands(env: str) -> None:
    """Nothing is missing; a secret is not told, but where it comes from."""
    done = run("deploy.gates.settings", env)
    assert done.returncode == 0
    assert "MISSING" not in done.stdout
    assert re.search(r"^gateway +SESSION_TARGET ", done.stdout, re.MULTILINE)
    if env == "dev":
        assert re.search(r"SERVICE_TOKEN +\(not known here\) +\[Secret babelcast-services", done.stdout)


@pytest.mark.parametrize("env", ["staging", "prod"])
def test_settings_that_are_still_the_examples(env: str) -> None:
    """Nobody's host, account, pool and registry are found, and nothing else is missing."""
    assert {fault.removesuffix(" is still the example's") for fault in settings.of(env).faults(env)} == {
        *("AWS_ACCOUNT_ID", "COGNITO_USER_POOL_ID", "COGNITO_CLIENT_ID", "PUBLIC_URL"),
        *(f"the image of {service}" for service in settings.SERVICES),
    }
    assert run("deploy.gates.settings", env).returncode == 1


def test_what_is_missing_is_named() -> None:
    """One of several ways to trust each other is enough, all of its variables are needed."""
    values = [
        settings.Value("gateway", name, "x", "")
        for name in ("SESSION_TARGET", "TRANSCRIPTION_TARGET", "BUS_URL", "GRPC_TLS_CA")
    ]
    faults = settings.Settings(values, {}).faults("dev")
    assert "gateway needs TRANSLATION_TARGET" in faults
    tls = "GRPC_TLS_CA and GRPC_TLS_CERT and GRPC_TLS_KEY"
    assert f"gateway needs SERVICE_TOKEN or {tls} or GRPC_ALLOW_PLAINTEXT" in faults
    assert "gateway needs BUS_URL" not in faults


def test_an_environment_that_is_none() -> None:
    """Each gate says so with a code of its own."""
    for gate in ("settings", "preflight", "signoff"):
        assert run(f"deploy.gates.{gate}", "production").returncode == 2


def test_entries_of_the_changelog() -> None:
    """Those of a version, or of what is not released; none for one that it does not know."""
    page = "# Changelog\n\n## [Unreleased]\n\n- a\n- b\n\n## [1.2.0] - 2026-01-01\n\n### Added\n\n- c\n"
    assert changelog.entries(page, "1.3.0.dev0") == 2
    assert changelog.entries(page, "1.2.0") == 1
    assert changelog.entries(page, "1.20") == 0
    assert changelog.entries(changelog.PAGE.read_text(), "0.1.0") > 0


def test_a_proof_is_for_one_commit(tmp_path: Path) -> None:
    """Not for the next, and not for none; what cannot be read is none."""
    environ = {"CHECKED": str(tmp_path / "checked.json")}
    assert checked.proof(environ, "abc") is None
    (tmp_path / "checked.json").write_bytes(msgspec.json.encode(PASSED))
    assert checked.proof(environ, "abc") == PASSED
    assert checked.proof(environ, "def") is None
    (tmp_path / "checked.json").write_text("{")
    assert checked.proof(environ, "abc") is None


def test_no_proof_of_what_is_no_commit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`make check` passed, but nobody could say on what."""
    for commit in ("", "0" * 40):
        assert checked.main([commit], {"CHECKED": str(tmp_path / "checked.json")}) == 0
    assert not (tmp_path / "checked.json").exists()
    assert "no commit" in capsys.readouterr().err


@pytest.mark.parametrize("env", preflight.ENVIRONMENTS)
def test_every_check_can_be_run(env: str) -> None:
    """Its program and its tests exist."""
    checks = [step for step in preflight.plan(env, "1.0.0", None) if isinstance(step, Check)]
    assert len(checks) > 10
    for check in checks:
        program = ROOT / check.words[0]
        inside = program.parent == ROOT / ".venv" / "bin"
        assert os.access(Path(sys.executable).parent / program.name if inside else program, os.X_OK)
        named = [word for word in check.words if word.startswith(("tests/", "deploy/"))]
        assert [word for word in named if not (ROOT / word).exists()] == []


class World:
    """A repository at a commit, with checks that end as they are told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.page = StringIO()
        self.ran: list[str] = []
        self.environ = {"CHECKED": str(folder / "checked.json"), "PATH": os.environ["PATH"]}
        self.checks: Sequence[Check | Question] = []
        monkeypatch.setattr(preflight, "plan", lambda *_: self.checks)
        monkeypatch.setattr(checked, "commit", lambda: "abc")
        monkeypatch.setattr(checked, "changed", list)

    def proven(self) -> "World":
        """`make check` has passed."""
        Path(self.environ["CHECKED"]).write_bytes(msgspec.json.encode(PASSED))
        return self

    def fly(self, env: str) -> Flight:
        """Do the checks."""
        return preflight.fly(env, "1.0.0", self.environ, Console(file=self.page, width=200))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """One without any check."""
    return World(monkeypatch, tmp_path)


def shell(script: str, **more: bool) -> Check:
    """A check that does this."""
    return Check("code", "one", ["sh", "-c", script], **more)


def verdicts(flight: Flight) -> list[Verdict]:
    """Without that of the tests."""
    return [one.verdict for one in flight.done][1:]


def test_what_make_check_covers_is_not_done_again(world: World) -> None:
    """Where there is proof; everything else is."""
    world.checks = [shell("exit 1", is_in_make_check=True), shell("echo fine")]
    flight = world.proven().fly("prod")
    assert verdicts(flight) == [Verdict.OK, Verdict.OK]
    assert flight.done[2].detail == "fine"
    assert flight.passed


def test_a_check_that_fails(world: World) -> None:
    """Its last words and its command are told, and the others go on."""
    world.checks = [shell("echo first; echo broken >&2; exit 1"), shell("exit 0")]
    flight = world.proven().fly("dev")
    assert verdicts(flight) == [Verdict.FAILED, Verdict.OK]
    assert "broken (sh -c" in flight.done[1].detail
    assert not flight.passed


@pytest.mark.parametrize(("env", "passes"), [("staging", True), ("prod", False)])
def test_what_could_not_be_checked(world: World, env: str, passes: bool) -> None:
    """Is never called good, and is no reason to go on in prod."""
    world.checks = [shell("exit 2", may_be_unknown=True)]
    flight = world.proven().fly(env)
    assert verdicts(flight) == [Verdict.NOT_CHECKED]
    assert "NOT CHECKED" in world.page.getvalue()
    assert flight.passed is passes


def test_two_is_a_failure_of_most(world: World) -> None:
    """So `make` ends, whatever failed."""
    world.checks = [shell("exit 2"), Check("code", "two", ["./no-such-program"])]
    assert verdicts(world.proven().fly("dev")) == [Verdict.FAILED, Verdict.FAILED]


def test_tests_of_a_preflight_are_not_skipped(world: World) -> None:
    """For want of a program, that is."""
    world.checks = [shell("echo $CI")]
    assert world.proven().fly("dev").done[1].detail == "true"


def test_without_a_proof_everything_is_tested(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """First `make check`; where that fails each part says for itself."""
    monkeypatch.setattr(preflight, "_MAKE_CHECK", shell("exit 1"))
    world.checks = [shell("exit 0", is_in_make_check=True)]
    flight = world.fly("dev")
    assert [one.verdict for one in flight.done] == [Verdict.FAILED, Verdict.OK]
    assert flight.done[1].detail != "in make check"


def test_what_is_no_commit_is_not_ready(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof for the commit says nothing of what was changed since; nobody waits for tests of it."""
    monkeypatch.setattr(checked, "changed", lambda: [" M x"])
    monkeypatch.setattr(preflight, "_MAKE_CHECK", shell("exit 99"))
    flight = world.proven().fly("dev")
    assert [(one.verdict, "no commit" in one.detail) for one in flight.done] == [(Verdict.FAILED, True)]


@pytest.mark.parametrize(
    ("env", "version", "good"),
    [
        ("prod", "0.1.0", True),
        ("prod", "0.2.0.dev0", False),
        ("staging", "0.1.0", True),
        ("dev", "9.9.9", False),
    ],
)
def test_the_changelog_must_have_the_version(env: str, version: str, good: bool) -> None:
    """And what is in development is none for prod."""
    [question] = [
        step
        for step in preflight.plan(env, version, None)
        if isinstance(step, Question) and step.title == "changelog"
    ]
    assert question.answer()[0] is good


def test_coverage_must_be_above() -> None:
    """80 % is not; an unknown one is not either."""
    questions = {
        proof: next(
            step.answer()
            for step in preflight.plan("dev", "1.0.0", proof)
            if isinstance(step, Question) and step.title.startswith("coverage")
        )
        for proof in (None, PASSED, msgspec.structs.replace(PASSED, coverage=80.0))
    }
    assert [good for good, _ in questions.values()] == [False, True, False]


TRIED = smoke.Verdict(
    "ws://x", passed=True, tests=[smoke.Tested(1, "speaker session creation", True, "golden-eagle-427", 0.1)]
)
WELL = Watched(
    "http://p",
    86_400,
    86_400,
    verdict="well",
    figures=[
        Line(kind, kind.title(), "", State.OK, value=0.5)
        for kind in ("latency", "errors", "throughput", "resources")
    ],
)


class Grafana(BaseHTTPRequestHandler):
    """Has one of the dashboards."""

    def do_GET(self) -> None:
        self.send_response(200 if "overview" in self.path else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """babelcast, kubectl and docker that say what files hold; a Grafana."""
    said = tmp_path / "said"
    said.mkdir()
    (said / "smoke").write_bytes(msgspec.json.encode(TRIED))
    (said / "watch").write_bytes(msgspec.json.encode(WELL))
    images = "".join(f"{name} registry/babelcast-{name}:1.0.0\n" for name in (*signoff.SERVICES, "other"))
    (said / "kubectl").write_text(images)
    (said / "docker").write_text(json.dumps([{"Service": "gateway", "Image": "babelcast-gateway:1.0.0"}]))
    for name in ("babelcast", "kubectl", "docker"):
        which = "$1" if name == "babelcast" else name
        (tmp_path / name).write_text(f'#!/bin/sh\ncat "{said}/{which}"\n')
        (tmp_path / name).chmod(0o755)
    server = HTTPServer(("127.0.0.1", 0), Grafana)
    Thread(target=server.serve_forever, daemon=True).start()
    yield {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "BABELCAST": str(tmp_path / "babelcast"),
        "SIGNOFF_DIR": str(tmp_path / "forms"),
        "GRAFANA_URL": f"http://127.0.0.1:{server.server_port}/",
    }
    server.shutdown()
    server.server_close()


def test_the_form_is_filled_in(programs: Mapping[str, str], tmp_path: Path) -> None:
    """By what commands say; who approves is left open, and what speaks against it stands on top."""
    done = run("deploy.gates.signoff", "prod", "1.0.0", **programs)
    assert done.returncode == 1
    assert "AGAINST  dashboards are missing" in done.stdout
    page = (tmp_path / "forms" / "prod-1.0.0.md").read_text()
    assert "| environment | prod |" in page
    assert "| address | wss://talks.example |" in page
    assert "| version | 1.0.0 |" in page
    assert f"| commit | {checked.commit() or 'not known'} |" in page
    assert "- [x] all smoke tests passed\n- passed 1 speaker session creation: golden-eagle-427" in page
    assert "- gateway: registry/babelcast-gateway:1.0.0" in page
    assert "other" not in page
    assert re.search(r"- \[x\] Babelcast: system overview: http://127.0.0.1:\d+/d/babelcast-overview", page)
    assert re.search(r"- \[ \] Babelcast: audio transcription", page)
    for open_line in ("Tech lead: ____", "DevOps: ____", "Security: ____"):
        assert f"- [ ] {open_line}" in page
    for kept in ("no critical errors", "latency within targets", "throughput as expected"):
        assert f"- [x] {kept}" in page


def test_a_form_where_nothing_answers(programs: Mapping[str, str], tmp_path: Path) -> None:
    """It is written all the same, and says so."""
    for name in ("smoke", "watch", "docker"):
        (tmp_path / "said" / name).write_text("")
    assert run("deploy.gates.signoff", "compose", "1.0.0", **programs).returncode == 1
    page = (tmp_path / "forms" / "compose-1.0.0.md").read_text()
    assert "❌ Failed" in page
    for words in ("the smoke tests failed", "the watch says: ", "nobody tells which images run"):
        assert words in page
    assert "- [ ] latency within targets" in page
    assert "Security: ____" not in page


def test_nothing_against_signing() -> None:
    """Then it waits for those who approve."""
    found = signoff.Findings(
        *("staging", "1.0.0", "abc", "Alice", "2026-01-01", "wss://x"),
        smoke=TRIED,
        watched=WELL,
        flight=Flight("staging", "1.0.0", "abc", [Done("code", "tests pass", Verdict.OK, "", 1.0)]),
        images=["gateway: x"],
        boards=[signoff.Board("One", "http://g/d/one", is_there=True)],
    )
    page = signoff.form(found)
    assert "⏳ Pending approval" in page
    assert "Nothing speaks against signing." in page
    assert "| deployed by | Alice |" in page
    assert "- ok tests pass" in page
