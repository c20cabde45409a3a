"""`deploy/Dockerfile` and what it installs are what the code is."""

import dataclasses
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from babelcast.rpc.credentials import CallingConfig, ServingConfig
from babelcast.telemetry.config import TelemetryConfig
from docs.generate import CONFIGS

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "deploy/Dockerfile"
IMAGES = ROOT / "deploy/images"
SERVICES = ("gateway", "session", "transcription", "translation")


@dataclasses.dataclass
class Stage:
    """A part of the Dockerfile: what it is made from, and its instructions."""

    base: str
    instructions: list[tuple[str, str]]

    def values(self, instruction: str) -> list[str]:
        """What follows an instruction, wherever it stands."""
        return [value for name, value in self.instructions if name == instruction]


def stages() -> dict[str, Stage]:
    """All stages by their names."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, Stage] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, value = line.split(maxsplit=1)
        if name == "FROM":
            base, _, stage = value.partition(" AS ")
            found[stage] = Stage(base, [])
        elif found:
            list(found.values())[-1].instructions.append((name, value))
    return found


STAGES = stages()


def environment(target: str) -> dict[str, str]:
    """The variables that a target sets, those of the stages below it among them."""
    stage = STAGES.get(target)
    if stage is None:
        return {}
    own = dict(pair.split("=", 1) for value in stage.values("ENV") for pair in value.split())
    return environment(stage.base) | own


def variables(service: str) -> set[str]:
    """The variables that a service reads."""
    configs = {*CONFIGS[service], TelemetryConfig, CallingConfig if service == "gateway" else ServingConfig}
    return {field.name.upper() for config in configs for field in dataclasses.fields(config)}


def locked(name: str) -> set[str]:
    """The packages of a lock file, "name==version"."""
    return set(re.findall(r"^([a-z0-9._-]+==[^ ]+)", (IMAGES / name).read_text(), re.MULTILINE))


def lock_names(target: str) -> Iterator[str]:
    """The lock files of a target."""
    yield from (
        f"{target}{part}.lock" for part in ("", "-models") if (IMAGES / f"{target}{part}.lock").exists()
    )


@pytest.fixture(scope="module")
def needs() -> ModuleType:
    """deploy/images/needs.py."""
    spec = importlib.util.spec_from_file_location("image_needs", IMAGES / "needs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["image_needs"] = module
    spec.loader.exec_module(module)
    return module


def test_hadolint_finds_nothing() -> None:
    """Of what it knows to be bad practice."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_any_builder_can_build_it() -> None:
    """Nothing needs BuildKit."""
    assert re.findall(r"^# syntax|--mount|--chmod|--link|<<", DOCKERFILE.read_text(), re.MULTILINE) == []


def test_base_images_are_named_exactly() -> None:
    """By a version down to the patch or the day, and Python's is that of pyproject.toml."""
    named = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE))
    assert set(named) == {"PYTHON_IMAGE", "DEBIAN_IMAGE"}
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", named["PYTHON_IMAGE"])
    assert re.fullmatch(r"debian:bookworm-\d{8}-slim", named["DEBIAN_IMAGE"])
    bases = {stage.base for stage in STAGES.values()} - set(STAGES)
    assert bases == {f"${{{name}}}" for name in named}


@pytest.mark.parametrize("target", [*SERVICES, "tools", "edge"])
def test_nothing_runs_as_root(target: str) -> None:
    """Users are numbers, by which Kubernetes can tell."""
    assert STAGES[target].values("USER") == ["10001:10001"]


@pytest.mark.parametrize("target", [*SERVICES, "edge"])
def test_what_serves_can_be_asked_for_its_health(target: str) -> None:
    """By a command in the image."""
    (check,) = STAGES[target].values("HEALTHCHECK")
    port = re.search(r"127\.0\.0\.1:(\d+)", check)
    if target != "edge":
        assert '"python", "-m", "babelcast.health"' in check
        assert port is not None and port[1] in " ".join(STAGES[target].values("EXPOSE"))


@pytest.mark.parametrize("target", SERVICES)
def test_variables_and_ports_are_those_of_the_code(target: str) -> None:
    """Every variable is read by the service, but those of Python; it listens on all addresses."""
    found = environment(target)
    foreign = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "GRPC_VERBOSITY", "HOME"}
    assert set(found) - foreign <= variables(target) | {"DATA_DIR"}
    bind = next(value for name, value in found.items() if name in {"HOST", f"{target.upper()}_BIND"})
    assert bind.partition(":")[0] == "0.0.0.0"  # noqa: S104 - of a container
    defaults = {
        field.name: field.default for config in CONFIGS[target] for field in dataclasses.fields(config)
    }
    default = f"{defaults['port']}" if target == "gateway" else f"{defaults[f'{target}_bind']}".split(":")[1]
    assert STAGES[target].values("EXPOSE") == [default]


@pytest.mark.parametrize("target", SERVICES)
def test_the_command_is_the_service(target: str) -> None:
    """A package with a `__main__`, which is in the image."""
    (command,) = STAGES[target].values("CMD")
    package = command.strip('[]"')
    assert (ROOT / package / "__main__.py").is_file()
    assert f"--from=code /app/{package} {package}" in STAGES[target].values("COPY")


@pytest.mark.parametrize("target", [*SERVICES, "tools"])
def test_an_image_has_what_its_code_imports(needs: ModuleType, target: str) -> None:
    """All packages of others, but what is left out on purpose, and all of ours (`make lock`)."""
    image = needs.images()[target]
    have = {line.partition("==")[0] for name in lock_names(target) for line in locked(name)}
    assert needs.imported(image) - set(image.without) - have == set()
    assert have & set(image.without) == set()
    ours = {name.partition(".")[0] for name in needs.modules(image)}
    assert ours == set(image.code)
    copied = {
        value.split()[-1] for value in STAGES[target].values("COPY") if value.startswith("--from=code /app/")
    }
    assert copied == ours


@pytest.mark.parametrize("target", [*SERVICES, "tools"])
def test_what_is_installed_is_what_was_tested(target: str) -> None:
    """At the versions of requirements.lock, each with its hash; models apart from the rest."""
    tested = set(
        re.findall(r"^([a-z0-9._-]+==[^ ]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    )
    for name in lock_names(target):
        assert locked(name) <= tested
        blocks = re.split(r"^(?=[a-z0-9])", (IMAGES / name).read_text(), flags=re.MULTILINE)[1:]
        assert all("--hash=sha256:" in block for block in blocks)
        assert re.findall(r"://|/tmp|--index|#", (IMAGES / name).read_text()) == []


def test_models_are_a_layer_of_their_own(needs: ModuleType) -> None:
    """Which stays when code or libraries change."""
    for name, image in needs.images().items():
        if image.models:
            assert {line.partition("==")[0] for line in locked(f"{name}-models.lock")} == set(image.models)
            copies = STAGES[name].values("COPY")
            assert copies[0] == f"--from={name}-models /opt/models /opt/models"


def test_a_module_that_is_not_there_would_be_noticed(needs: ModuleType) -> None:
    """What an image's code imports is found through the modules of ours, and when a function imports it."""
    assert {"aiohttp", "segno", "websockets", "protobuf"} <= needs.imported(needs.images()["gateway"])
    assert "numpy" in needs.imported(needs.images()["tools"])
    assert "ctranslate2" in needs.imported(needs.images()["transcription"])
    assert "ctranslate2" not in needs.imported(needs.images()["gateway"])


def test_the_translators_are_those_of_the_set_up() -> None:
    """Debian's packages of Apertium are in both."""
    setup = (ROOT / "deploy/dev/setup").read_text()
    (named,) = re.findall(r"engine_packages=\((.*?)\)", setup, re.DOTALL)
    wanted = set(re.findall(r"\bapertium[a-z-]*", named))
    installed = " ".join(STAGES["translation"].values("RUN"))
    assert set(re.findall(r"(?<= )apertium[a-z-]*", installed)) == wanted
