"""The files of Compose name what the code has, and start in an order that works."""

import dataclasses
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias, cast

import pytest
import yaml

from babelcast.auth.config import AuthConfig
from babelcast.rpc.credentials import CallingConfig, ServingConfig
from babelcast.telemetry.config import TelemetryConfig
from docs.generate import CONFIGS
from gateway.config import GatewayConfig

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy/compose"
TEXT = (FOLDER / "compose.yaml").read_text()
Table: TypeAlias = dict[str, object]
FILE = cast(Table, yaml.safe_load(TEXT))
SERVICES = cast(dict[str, Table], FILE["services"])
OURS = ("gateway", "session", "transcription", "translation")
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
HAPROXY = (ROOT / "deploy/images/edge/haproxy.cfg").read_text()
DOCUMENTED = (ROOT / "docs/deploy-compose.md").read_text()


def table(service: str, key: str) -> Table:
    """A service's table, empty when it has none."""
    return cast(Table, SERVICES[service].get(key, {}))


def plain(value: object) -> str:
    """A value with the defaults of its variables."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))


def read_by(service: str) -> set[str]:
    """The variables that a service of ours reads, boto's among them."""
    calling = CallingConfig if service == "gateway" else ServingConfig
    configs = {*CONFIGS[service], TelemetryConfig, calling, *([AuthConfig] if service == "gateway" else [])}
    named = {field.name.upper() for config in configs for field in dataclasses.fields(config)}
    return named | {"LOG_LEVEL", *({"AWS_ENDPOINT_URL_DYNAMODB"} if service == "session" else set())}


def seconds(text: object) -> float:
    """Of a duration such as 65s."""
    return float(str(text).removesuffix("s"))


@pytest.mark.parametrize("service", OURS)
def test_variables_are_read_by_the_service(service: str) -> None:
    """Each of them, and those of boto's credentials."""
    boto = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} if service == "session" else set()
    # GRPC_ALLOW_PLAINTEXT is for those who serve; all are told the same.
    assert set(table(service, "environment")) - read_by(service) - boto <= {"GRPC_ALLOW_PLAINTEXT"}


def test_services_are_dialled_where_they_listen() -> None:
    """By their names, on the ports that their images expose."""
    told = table("gateway", "environment")
    for service in OURS[1:]:
        (port,) = re.findall(rf"^ENV {service.upper()}_BIND=0\.0\.0\.0:(\d+)", DOCKERFILE, re.MULTILINE)
        assert told[f"{service.upper()}_TARGET"] == f"{service}:{port}"
    assert f"gateway:{GatewayConfig().port}\n" in HAPROXY
    assert "BUS_URL" in told and "nats" in SERVICES
    assert re.search(r"^port: 4222$", (FOLDER / "nats.conf").read_text(), re.MULTILINE)


def test_there_are_two_gateways_with_one_issuer() -> None:
    """A token of one is good at the other: they have the key in common."""
    assert table("gateway", "deploy") == {"replicas": 2}
    assert "issuer:/data" in cast(list[str], SERVICES["gateway"]["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_containers_are_contained(name: str) -> None:
    """A root that cannot be written, no rights of root, a bounded log; and limits for all that go on."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["CHOWN"] if name == "volumes" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"max-size", "max-file"} <= set(cast(Table, table(name, "logging")["options"]))
    if service["restart"] == "unless-stopped":
        assert {"mem_limit", "cpus", "pids_limit"} <= set(service)


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_for_this_machine_alone(name: str) -> None:
    """Whoever can reach the edge is signed in with one click."""
    for port in cast(list[str], SERVICES[name].get("ports", [])):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_exact_or_built_here(name: str) -> None:
    """Those of others by a version, ours from a target of the Dockerfile."""
    image = plain(SERVICES[name]["image"])
    if "build" in SERVICES[name]:
        build = table(name, "build")
        assert (FOLDER / str(build["context"])).resolve() == ROOT
        assert f" AS {build['target']}\n" in DOCKERFILE
        assert image == f"babelcast-{build['target']}:latest"
    else:
        assert re.search(r":v?\d+\.\d+\.\d+(-alpine)?$", image), image


@pytest.mark.parametrize("service", OURS)
def test_an_orderly_end_is_waited_for(service: str) -> None:
    """For DRAIN_SECONDS and 25 s more."""
    drain_s = float(str(table(service, "environment")["DRAIN_SECONDS"]))
    assert seconds(SERVICES[service]["stop_grace_period"]) > drain_s + 25


def test_things_start_when_what_they_need_is_well() -> None:
    """Gateways after the services, those after the tables, these after NATS and DynamoDB; edge at last."""

    def after(service: str) -> set[str]:
        needed = {
            name
            for name, how in table(service, "depends_on").items()
            if cast(Table, how).get("condition") != "service_started" or service == "tables"
        }
        return needed.union(*map(after, needed))

    assert set(OURS) | {"tables", "nats", "dynamodb", "volumes"} <= after("edge")
    for service in OURS:
        assert f" AS {service}\n" in DOCKERFILE
    waited = str(SERVICES["tables"]["command"])
    assert "http://nats:8222/healthz" in waited
    assert "tcp://dynamodb:8000" in waited


def test_files_that_are_mounted_exist() -> None:
    """In this repository."""
    named = [str(cast(Table, config)["file"]) for config in cast(Table, FILE["configs"]).values()]
    for name in SERVICES:
        mounts = cast(list[str], SERVICES[name].get("volumes", []))
        named += [mount.partition(":")[0] for mount in mounts if mount.startswith(".")]
    assert len(named) >= 6
    for file in named:
        assert (FOLDER / file).exists(), file


def test_settings_of_the_profiles_are_used() -> None:
    """Each variable of an .env file stands in compose.yaml, and each that stands there is documented."""
    used = set(re.findall(r"\$\{(\w+):-", TEXT))
    assert set(re.findall(r"\$\{(\w+)", TEXT)) == used
    for file in FOLDER.glob("*.env"):
        given = set(re.findall(r"^(\w+)=", file.read_text(), re.MULTILINE))
        assert given - {"COMPOSE_PROFILES"} <= used
        used -= given
    assert {name for name in used if f"`{name}`" not in DOCUMENTED} == set()


def test_the_load_balancer_lets_talks_be() -> None:
    """It waits longer than the gateway is silent, and notices a drain before newcomers are refused."""
    gateway = GatewayConfig()
    (tunnel,) = re.findall(r"timeout tunnel (\d+)s", HAPROXY)
    assert int(tunnel) > gateway.heartbeat_timeout_seconds > gateway.heartbeat_interval_seconds
    checks = re.findall(r"default-server check inter (\d+)s fall (\d+)", HAPROXY)
    assert checks
    for interval, times in checks:
        assert int(interval) * int(times) < gateway.drain_linger_seconds
    assert "uri /readyz" in HAPROXY
    for name in re.findall(r'"\$\{(\w+)\}"', HAPROXY):
        assert name in table("edge", "environment")


def test_certificates_are_good_for_both_sides(tmp_path: Path) -> None:
    """A server and a client that have them know each other; another authority's are refused."""
    script = FOLDER / "certificates.py"
    names = ["edge", *OURS]
    for folder in ("ours", "theirs"):
        done = subprocess.run([sys.executable, script, tmp_path / folder, *names], check=False)
        assert done.returncode == 0
    assert SERVICES["certificates"]["command"] == ["/certificates", *names]
    for name in OURS[1:]:
        assert shaken(tmp_path / "ours" / name, tmp_path / "ours/gateway", name) == "gateway"
    with pytest.raises(ssl.SSLError):
        shaken(tmp_path / "ours/session", tmp_path / "theirs/gateway", "session")
    kept = (tmp_path / "ours/gateway/ca.pem").read_bytes()
    subprocess.run([sys.executable, script, tmp_path / "ours", *names], check=True)
    assert (tmp_path / "ours/gateway/ca.pem").read_bytes() == kept
    assert (tmp_path / "ours/gateway/key.pem").stat().st_mode & 0o077 == 0


def shaken(server: Path, client: Path, name: str) -> str:
    """Have two sides of TLS meet in memory; the name in the certificate that the server sees."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    calling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context, place in ((serving, server), (calling, client)):
        context.load_cert_chain(place / "cert.pem", place / "key.pem")
        context.load_verify_locations(place / "ca.pem")
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    serving.verify_mode = ssl.CERT_REQUIRED
    ends = [
        calling.wrap_bio(to_client, to_server, server_hostname=name),
        serving.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown = cast(dict[str, tuple[tuple[str, str], ...]], ends[1].getpeercert())
    return shown["subjectAltName"][0][1]


def test_compose_takes_it() -> None:
    """Where there is a Compose: with each profile, and with all of them."""
    program = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    if not shutil.which(program[0]) or subprocess.run([*program, "version"], check=False).returncode:
        pytest.skip("there is no Compose")
    for options in ([], ["--env-file", "tls.env"], ["--env-file", "observability.env"]):
        done = subprocess.run(
            [*program, *options, "--file", "compose.yaml", "config", "--quiet"],
            cwd=FOLDER,
            check=False,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
