"""The system in containers: ready to speak and listen, and again after each container was killed.

It needs an engine and some minutes, so it is asked for by COMPOSE_UP, the command that brings everything up
and waits (`make test-containers`). COMPOSE_RUN is any other Compose command, COMPOSE_DOWN takes everything
away, DOCKER is the client of the engine.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.served import command, environment

ROOT = Path(__file__).parents[3]
FILE = "deploy/compose/compose.yaml"
UP = os.environ.get("COMPOSE_UP", "")
RUN = os.environ.get("COMPOSE_RUN", f"docker compose --file {FILE}")
DOWN = os.environ.get("COMPOSE_DOWN", f"docker compose --file {FILE} down --volumes")
DOCKER = os.environ.get("DOCKER", "docker")
PAGE = f"http://localhost:{os.environ.get('PORT') or 8080}"
UP_S = 1500.0
BACK_S = 120.0
PAUSE_S = 1.0

pytestmark = [
    pytest.mark.skipif(not UP, reason="takes minutes and a container engine; COMPOSE_UP asks for it"),
    pytest.mark.timeout(1800),
]


@dataclass(frozen=True)
class Container:
    """One that goes on, as Compose tells of it."""

    name: str
    service: str
    state: str
    health: str

    @property
    def well(self) -> bool:
        """Whether it runs, and says so where it can."""
        return self.state == "running" and self.health in {"", "healthy"}


def done(words: str, *more: str, timeout_s: float = 120.0) -> str:
    """What a command of the engine prints; the test fails when it does."""
    ended = subprocess.run(
        [*shlex.split(words), *more],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    return ended.stdout


def containers() -> list[Container]:
    """All that are to go on, killed ones among them; those that do something once are left out."""
    told = [json.loads(line) for line in done(RUN, "ps", "--all", "--format", "json").splitlines() if line]
    found = [Container(each["Name"], each["Service"], each["State"], each.get("Health", "")) for each in told]
    return [each for each in found if each.service not in {"volumes", "tables", "certificates"}]


def crash(container: Container) -> None:
    """End its first process as a defect or the kernel would; the engine is to start it again.

    Somebody who uses `docker kill` is taken to want that it stays away, so it is done from outside; where
    that may not be done, the container is killed by the engine and started.
    """
    number = int(done(DOCKER, "inspect", "--format", "{{.State.Pid}}", container.name))
    try:
        whose = Path(f"/proc/{number}/cgroup").read_text()
        ours = done(DOCKER, "inspect", "--format", "{{.Id}}", container.name).strip() in whose
        if not ours:
            raise PermissionError
        os.kill(number, 9)
    except (OSError, ProcessLookupError):
        done(DOCKER, "kill", container.name)
        done(DOCKER, "start", container.name)


def starts(container: Container) -> str:
    """When it was started last."""
    return done(DOCKER, "inspect", "--format", "{{.State.StartedAt}}", container.name).strip()


def wait_until_it_works(container: Container, *, started: str) -> tuple[float, str]:
    """Wait until it was started anew, all is well, and the smoke tests pass, since NATS and DynamoDB have no
    health of their own to go by. How long after its end those began that passed, s, and their lines.
    """
    began_s = time.monotonic()
    lines = ""
    while (passed_s := time.monotonic() - began_s) < BACK_S:
        if starts(container) != started and all(each.well for each in containers()) and answers():
            passed, lines = tried()
            if passed:
                return passed_s, lines
        time.sleep(PAUSE_S)
    raise AssertionError(f"{container.name} did not come back: {containers()} {lines}")


def answers() -> bool:
    """Whether newcomers are let in."""
    try:
        with urllib.request.urlopen(f"{PAGE}/readyz", timeout=5) as answer:  # noqa: S310 - it is http
            return bool(answer.status == 200)
    except OSError:
        return False


def token() -> str:
    """As the speaker's page gets it: with one click."""
    asked = urllib.request.Request(f"{PAGE}/local/token", method="POST", headers={"Origin": PAGE})  # noqa: S310
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
        return str(json.load(answer)["token"])


def smoke() -> str:
    """The lines of the seven smoke tests, which pass."""
    passed, lines = tried()
    assert passed, lines
    return lines


def tried() -> tuple[bool, str]:
    """Whether the seven smoke tests pass, and their lines."""
    ended = subprocess.run(
        command("smoke", PAGE.replace("http", "ws", 1), "--token", token()),
        capture_output=True,
        text=True,
        timeout=180,
        env=environment(),
        check=False,
    )
    sys.stdout.write(ended.stdout)
    return ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module", autouse=True)
def system() -> Iterator[None]:
    """Everything up, and away afterwards."""
    began_s = time.monotonic()
    done(UP, timeout_s=UP_S)
    print(f"up after {time.monotonic() - began_s:.0f} s", flush=True)
    yield
    done(DOWN)


def test_it_is_ready_to_speak_and_listen() -> None:
    """Two gateways behind one address, and all seven smoke tests pass."""
    assert sum(each.service == "gateway" for each in containers()) == 2
    assert [line[:8] for line in smoke().splitlines()] == [f"PASS  {number} " for number in range(1, 8)]


def test_it_is_again_after_each_was_killed() -> None:
    """The engine brings it back, within two minutes, and nobody has to do anything."""
    all_of_them = containers()
    assert len(all_of_them) >= 8
    for container in all_of_them:
        started = starts(container)
        crash(container)
        took_s, lines = wait_until_it_works(container, started=started)
        (lag,) = re.findall(r"latency ([\d.]+) s median", lines)
        print(f"killed {container.name}: back after {took_s:.1f} s, voice after {lag} s", flush=True)


def test_nothing_is_written_but_where_it_may_be() -> None:
    """The root of each container of ours is read-only, and its user is nobody special."""
    for container in containers():
        told = json.loads(done(DOCKER, "inspect", container.name))[0]
        assert told["HostConfig"]["ReadonlyRootfs"] is True
        assert told["Config"]["User"] == "10001:10001", container.name


def test_logs_are_lines_of_json_without_secrets() -> None:
    """Of the services: no token in any of them, and nothing that was said."""
    logs = done(
        RUN, "logs", "--no-color", "--no-log-prefix", "gateway", "session", "transcription", "translation"
    )
    assert logs
    assert "eyJ" not in logs
    assert "country" not in logs.lower()
    for line in logs.splitlines():
        assert isinstance(json.loads(line), dict), line
