"""Rollouts and rollbacks, with programs in the place of kubectl, docker and the smoke tests."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ORDER = ["session", "transcription", "translation", "gateway"]


@dataclass(frozen=True)
class World:
    """A cluster, or containers, and what was asked of them."""

    folder: Path

    @property
    def state(self) -> dict[str, object]:
        """As it is now."""
        state: dict[str, object] = json.loads((self.folder / "state.json").read_text())
        return state

    def having(self, **changes: object) -> "World":
        """With something else than usual."""
        (self.folder / "state.json").write_text(json.dumps(self.state | changes))
        return self

    def do(self, script: str, env: str, **environ: str) -> int:
        """Run it; returns the exit code."""
        done = subprocess.run(
            [ROOT / "deploy/rollout" / script],
            env={
                "PATH": f"{self.folder}:{os.environ['PATH']}",
                "FAKE_STATE": str(self.folder / "state.json"),
                "ROLLOUT_STATE": str(self.folder / "rollout"),
                "BABELCAST": "babelcast",
                "BABELCAST_TOKEN": "given",
                "ENV": env,
                **environ,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode

    def asked(self, *words: str) -> list[list[str]]:
        """What was asked with all of these words, in order."""
        asked = self.state["asked"]
        assert isinstance(asked, list)
        return [call for call in asked if set(words) <= set(call)]

    def versions(self) -> list[str]:
        """What serves now, in the order of a rollout."""
        deployments = self.state["deployments"]
        assert isinstance(deployments, dict)
        return [deployments[name]["history"][str(deployments[name]["revision"])] for name in ORDER]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Four deployments at revision 7, and containers of 0.1.0."""
    fake = tmp_path / "kubectl"
    # Called by hundreds: without what may stand between `env` and Python
    _, _, program = (Path(__file__).parent / "fake_cluster").read_text().partition("\n")
    fake.write_text(f"#!{sys.executable} -IS\n{program}")
    fake.chmod(0o755)
    for name in ("docker", "babelcast"):
        (tmp_path / name).symlink_to(fake)
    history = {"6": "oldest", "7": "old"}
    state = {
        "asked": [],
        "deployments": {name: {"revision": 7, "noted": "", "history": dict(history)} for name in ORDER},
        "containers": dict.fromkeys(ORDER, "0.1.0"),
        "unchanged": [],
        "never_ready": [],
        "missing_images": [],
        "stuck": [],
        "undo_fails": [],
        "interrupted_at": [],
        "tokens": [],
        "smokes": 0,
        "smokes_that_fail": 0,
    }
    (tmp_path / "state.json").write_text(json.dumps(state))
    return World(tmp_path)


def test_a_rollout_goes_from_servers_to_callers(world: World) -> None:
    """Each service is ready before the next begins; what is no service comes first, smoke tests last."""
    assert world.do("rollout", "staging") == 0
    applied = [Path(call[call.index("--filename") + 1]).stem for call in world.asked("apply")]
    assert applied == ["rest", *ORDER]
    steps = [call[1:] for call in world.asked("--context") if {"apply", "status"} & set(call)]
    for name in ORDER:
        place = next(n for n, call in enumerate(steps) if call[-1].endswith(f"/{name}.yaml"))
        assert f"deployment/{name}" in steps[place + 1]
    assert world.versions() == ["new"] * 4
    assert world.state["smokes"] == 1
    assert all("babelcast-staging" in call and "staging" in call for call in world.asked("--namespace"))


def test_failing_smoke_tests_take_everything_back(world: World) -> None:
    """Callers first; the smoke tests try again afterwards, and although they pass the rollout has failed."""
    assert world.having(smokes_that_fail=1).do("rollout", "prod") == 1
    undone = [call[call.index("undo") + 1] for call in world.asked("undo")]
    assert undone == [f"deployment/{name}" for name in reversed(ORDER)]
    assert world.versions() == ["old"] * 4
    assert world.state["smokes"] == 2


def test_what_does_not_become_ready_is_taken_back_without_what_was_not_begun(world: World) -> None:
    """The third service hangs: it and those before it go back, the last one was never touched."""
    assert world.having(never_ready=["translation"]).do("rollout", "prod") == 1
    undone = [call[call.index("undo") + 1] for call in world.asked("undo")]
    assert undone == [f"deployment/{name}" for name in ("translation", "transcription", "session")]
    assert world.versions() == ["old"] * 4


def test_what_a_rollout_did_not_change_stays(world: World) -> None:
    """A plain undo would take what did not change to the version before; a noted revision does not."""
    world.having(unchanged=["session", "transcription"])
    assert world.do("rollout", "prod") == 0
    assert world.versions() == ["old", "old", "new", "new"]
    assert world.do("rollback", "prod") == 0
    assert world.versions() == ["old"] * 4


def test_nothing_is_taken_back_twice(world: World) -> None:
    """After a rollback there is none; the second one changes nothing and says so."""
    assert world.do("rollout", "dev") == 0
    assert world.do("rollback", "dev") == 0
    assert world.do("rollback", "dev") == 2
    assert world.versions() == ["old"] * 4


def test_a_rollback_that_does_not_help_says_so(world: World) -> None:
    """The smoke tests fail before and after: nobody may think that all is well."""
    assert world.having(smokes_that_fail=2).do("rollout", "prod") == 3
    assert world.versions() == ["old"] * 4


def test_the_first_rollout_has_nothing_to_go_back_to(world: World) -> None:
    """In an empty cluster a failing rollout ends with its own code, and takes nothing down."""
    assert world.having(deployments={}).do("rollback", "prod") == 2
    assert world.asked("undo") == []


def test_an_environment_that_is_none_is_refused(world: World) -> None:
    """Nothing is asked of any cluster."""
    assert world.do("rollout", "production") == 2
    assert world.do("rollback", "production") == 2
    assert world.state["asked"] == []


def test_smoke_tests_get_what_they_need(world: World) -> None:
    """The environment's address, a limit of time, JSON, and the endpoints of metrics if there are any."""
    assert world.do("rollback", "prod", URL="wss://other.example", METRICS_URLS="http://a/m,http://b/m") == 2
    assert world.do("rollout", "prod", URL="wss://other.example", METRICS_URLS="http://a/m,http://b/m") == 0
    (call,) = world.asked("smoke")
    assert call[1:6] == ["smoke", "wss://other.example", "--json", "--timeout", "180"]
    assert call[6:] == ["--metrics-url", "http://a/m", "--metrics-url", "http://b/m"]


@pytest.mark.parametrize("environ", [{"BABELCAST_TOKEN": ""}, {"BABELCAST": "no-such-program"}])
def test_what_could_not_be_tried_is_not_begun(world: World, environ: dict[str, str]) -> None:
    """Without a token, or without the program, smoke tests fail whatever serves: a good version would be
    taken back, and then the one before be told to have failed.
    """
    assert world.do("rollout", "prod", **environ) == 2
    assert world.state["asked"] == []
    assert world.do("rollout", "prod") == 0
    assert world.do("rollback", "prod", **environ) == 1
    assert world.versions() == ["old"] * 4


def test_where_gateways_are_their_own_issuer_they_are_asked_for_tokens(world: World) -> None:
    """In dev that is the newest pod, since each has a key of its own; a token that is given wins."""
    assert world.do("rollout", "dev", BABELCAST_TOKEN="") == 0
    assert world.do("rollout", "compose", VERSION="0.1.0", BABELCAST_TOKEN="") == 0
    assert world.do("rollout", "dev") == 0
    assert world.state["tokens"] == ["token of pod/gateway-new", "token of 0.1.0", "given"]


def test_nothing_is_exchanged_while_nats_is_not_well(world: World) -> None:
    """A bus that does not come up after a change of its settings fails the rollout before any service."""
    assert world.having(never_ready=["nats"]).do("rollout", "prod") == 1
    assert world.versions() == ["old"] * 4
    applied = [Path(call[call.index("--filename") + 1]).stem for call in world.asked("apply")]
    assert applied == ["rest"]


def test_one_that_does_not_come_back_keeps_no_other_from_it(world: World) -> None:
    """All are taken back, the result is told as a failure, and there is nothing left to take back."""
    assert world.do("rollout", "prod") == 0
    assert world.having(stuck=["gateway"]).do("rollback", "prod") == 1
    assert world.versions() == ["old"] * 4
    assert world.do("rollback", "prod") == 2


def test_a_rollback_can_be_tried_again(world: World) -> None:
    """What the cluster refused to take back the first time is taken back the second time, and no more."""
    assert world.do("rollout", "prod") == 0
    assert world.having(undo_fails=["translation"]).do("rollback", "prod") == 1
    assert world.versions() == ["old", "old", "new", "old"]
    assert world.having(undo_fails=[]).do("rollback", "prod") == 0
    assert world.versions() == ["old"] * 4
    assert len(world.asked("undo")) == len(ORDER) + 1


@pytest.mark.parametrize("script", ["rollout", "rollback"])
def test_two_at_once_are_one(world: World, script: str) -> None:
    """While one is under way on this machine another one of the same environment does nothing."""
    assert world.do("rollout", "prod") == 0
    before = world.state
    with (world.folder / "rollout/prod.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert world.do(script, "prod") == 2
        assert world.state == before
        assert world.do("rollout", "dev") == 0


def test_an_interrupted_rollout_is_left_to_who_interrupted_it(world: World) -> None:
    """Ctrl-C begins no rollback; one that is asked for takes back as far as it went."""
    assert world.having(interrupted_at=["transcription"]).do("rollout", "prod") == 130
    assert world.asked("undo") == []
    assert world.having(interrupted_at=[]).do("rollback", "prod") == 0
    assert world.versions() == ["old"] * 4


def test_the_version_that_is_said_is_the_overlays(world: World) -> None:
    """Who says a version gets no other one, such as that of the day before, or a longer one; without one the
    overlay decides.
    """
    for version in ("0.3.0", "0.2", "0x2.0"):
        assert world.do("rollout", "prod", VERSION=version) == 2
    assert world.asked("apply") == world.asked("annotate") == []
    assert world.do("rollout", "prod", VERSION="0.2.0") == 0


def test_what_is_not_said_is_asked_for(world: World) -> None:
    """No environment, no version: nothing is begun."""
    assert world.do("rollout", "") == 2
    assert world.do("rollout", "compose") == 2
    assert world.asked("up") == []


def test_containers_go_forth_and_back(world: World) -> None:
    """By the version of the images, in the same orders, with nothing built and nothing else started."""
    assert world.do("rollout", "compose", VERSION="0.1.0") == 0
    assert world.do("rollout", "compose", VERSION="0.2.0") == 0
    assert world.state["containers"] == dict.fromkeys(ORDER, "0.2.0")
    assert world.do("rollback", "compose") == 0
    assert world.state["containers"] == dict.fromkeys(ORDER, "0.1.0")
    started = world.asked("up", "--no-build", "--no-deps", "--wait")
    assert [call[-2] for call in started] == [*ORDER, *ORDER, *reversed(ORDER)]
    assert world.do("rollback", "compose") == 2


def test_failing_containers_go_back(world: World) -> None:
    """A container that stays unhealthy, then smoke tests that fail: both times the version before is back."""
    assert world.do("rollout", "compose", VERSION="0.1.0") == 0
    world.having(never_ready=["translation:0.2.0"])
    assert world.do("rollout", "compose", VERSION="0.2.0") == 1
    assert world.state["containers"] == dict.fromkeys(ORDER, "0.1.0")
    world.having(never_ready=[], smokes=0, smokes_that_fail=1)
    assert world.do("rollout", "compose", VERSION="0.2.0") == 1
    assert world.state["containers"] == dict.fromkeys(ORDER, "0.1.0")


def test_a_missing_image_stops_a_rollout_before_it_begins(world: World) -> None:
    """No container is touched, and what could be taken back before still can."""
    for version in ("0.1.0", "0.2.0"):
        assert world.do("rollout", "compose", VERSION=version) == 0
    world.having(missing_images=["babelcast-gateway:0.3.0"])
    assert world.do("rollout", "compose", VERSION="0.3.0") == 2
    assert world.state["containers"] == dict.fromkeys(ORDER, "0.2.0")
    assert world.do("rollback", "compose") == 0
    assert world.state["containers"] == dict.fromkeys(ORDER, "0.1.0")


@pytest.mark.parametrize("env", ["dev", "staging", "prod"])
def test_the_real_overlays_can_be_rolled_out(env: str, tmp_path: Path) -> None:
    """Kubectl makes one Deployment of each service from them, and everything is in exactly one part."""
    if not shutil.which("kubectl"):
        assert not os.environ.get("CI"), "kubectl is missing"
        pytest.skip("kubectl is missing")
    whole = subprocess.run(
        ["kubectl", "kustomize", ROOT / "deploy/k8s/overlays" / env],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    (tmp_path / "all").write_text(whole)
    subprocess.run([ROOT / "deploy/rollout/parts", tmp_path / "all", tmp_path, *ORDER], check=True)
    parts = {path.stem: path.read_text() for path in tmp_path.glob("*.yaml")}
    assert set(parts) == {*ORDER, "rest"}
    assert sorted("---\n".join(parts.values()).split("---\n")) == sorted(whole.split("---\n"))
    for name in ORDER:
        assert "kind: Deployment" in parts[name]
    place = (ROOT / "deploy/k8s/overlays" / env / "place.env").read_text()
    host = re.search("^HOST=(.+)$", place, re.MULTILINE)
    assert host is not None
    assert f"URL=wss://{host[1]}\n" in (ROOT / "deploy/rollout/environments" / f"{env}.env").read_text()
