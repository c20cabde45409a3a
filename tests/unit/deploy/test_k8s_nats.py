"""NATS by the configuration of the manifests: real servers that become a cluster, with TLS and without."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from babelcast.archive.config import ArchiveConfig
from babelcast.archive.opening import open_archive
from babelcast.bus.base import Topic
from babelcast.bus.config import BusConfig
from babelcast.bus.nats.bus import NatsBus
from babelcast.bus.opening import open_bus
from babelcast.clock import wall_clock_ms
from babelcast.config import load
from babelcast.errors import InvalidConfiguration, ServiceUnavailable
from babelcast.event.v1.event_pb2 import Broadcast
from session_svc.events import Hub
from session_svc.sharing import Sharing
from tests.certificates import Authority
from tests.nats_server import PATIENCE_S, require_nats
from tests.unit.deploy.manifests import Node, Rendered, rendered, without

PASSWORDS: Final = {
    "GATEWAY_PASSWORD": "sgateway",
    "SESSION_PASSWORD": "ssession",
    "CLUSTER_PASSWORD": "scluster",
}
SPANISH: Final = Topic("golden-eagle-427", "es")
PROGRAMS: Final = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Servers that run by an overlay's configuration, and what services are told there."""

    there: Rendered
    folder: Path
    clients: Mapping[str, int]
    """Ports for clients, by server."""

    def config(self, service: str, **other: str) -> BusConfig:
        """What a service of the overlay is told of the bus, with addresses and files as they are here."""
        given = self.there.environment(self.there.one("Deployment", service).container)
        scheme = given["BUS_URL"].partition("://")[0]
        urls = ",".join(f"{scheme}://127.0.0.1:{port}" for port in self.clients.values())
        password = {"NATS_PASSWORD": PASSWORDS[f"{service.upper()}_PASSWORD"]}
        moved = {name: localised(value, self.folder) for name, value in given.items()}
        return load(BusConfig, {**moved, "BUS_URL": urls, **password, **other})


def localised(text: str, folder: Path) -> str:
    """Paths in a pod as paths here."""
    return re.sub(r"(?<!\w)(/data|/tmp/nats\.pid|/etc/babelcast/tls)", rf"{folder}\1", text)


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, no two the same."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def names(nats: Node) -> list[str]:
    """The pods of a StatefulSet."""
    return [f"{nats.name}-{number}" for number in range(nats["spec"]["replicas"].number)]


def environment(nats: Node, pod: str, routes: Mapping[str, int]) -> dict[str, str]:
    """What the container of a pod is told; the others' names are ports here."""
    given: dict[str, str] = {}
    for each in nats.container["env"]:
        asked = each["valueFrom"]
        value = str(each["value"]) or PASSWORDS.get(str(asked["secretKeyRef"]["key"]), pod)
        for name, known in given.items():
            value = value.replace(f"$({name})", known)
        given[str(each["name"])] = re.sub(
            r"@([a-z0-9-]+)\.nats-peers:6222", lambda found: f"@127.0.0.1:{routes.get(found[1])}", value
        )
    return given


@contextlib.contextmanager
def started(there: Rendered, folder: Path) -> Iterator[Cluster]:
    """All servers of an overlay."""
    nats = there.one("StatefulSet", "nats")
    conf = there.one("ConfigMap", "babelcast-nats")["data"].texts()
    pods = names(nats)
    free = iter(free_ports(3 * len(pods)))
    routes, clients, monitors = ({pod: next(free) for pod in pods} for _ in range(3))
    made = Authority.make()
    running: list[subprocess.Popen[bytes]] = []
    for pod in pods:
        home = folder / pod
        paths = made.sign("127.0.0.1").write(home / "etc/babelcast/tls", ca=made.pem)
        for path, name in ((paths.cert, "tls.crt"), (paths.key, "tls.key"), (paths.ca, "ca.crt")):
            shutil.copy(path, home / "etc/babelcast/tls" / name)
        (home / "tmp").mkdir()
        ports = {"4222": clients[pod], "6222": routes[pod], "8222": monitors[pod]}
        for name, original in conf.items():
            text = original
            for there_port, port in ports.items():
                text = text.replace(f"port: {there_port}\n", f"port: {port}\n")
            (home / name).write_text(localised(text, home))
        log = (home / "log").open("wb")
        with log:
            running.append(
                subprocess.Popen(
                    ["nats-server", "--config", home / "nats.conf"],
                    stdout=log,
                    stderr=log,
                    env={"PATH": PROGRAMS, **environment(nats, pod, routes)},
                )
            )
    try:
        for probe in ("startupProbe", "readinessProbe"):
            path = str(nats.container[probe]["httpGet"]["path"])
            for pod, process in zip(pods, running, strict=True):
                wait_until_ready(f"http://127.0.0.1:{monitors[pod]}{path}", process, folder / pod / "log")
        yield Cluster(there, folder / pods[0], clients)
    finally:
        for process in running:
            process.kill()
            process.wait()


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """As the kubelet does."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own
                return
        except OSError:
            time.sleep(0.05)  # another program's start can only be asked for
    pytest.fail(log.read_text())


@pytest.fixture(scope="module", params=["tls", "plain", "alone"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three servers with TLS, three without, and the one of dev."""
    require_nats()
    folder = tmp_path_factory.mktemp("nats")
    there = {
        "tls": lambda: rendered("prod"),
        "plain": lambda: without("prod", "mtls", folder),
        "alone": lambda: rendered("dev"),
    }[request.param]()
    with started(there, folder) as made:
        yield made


async def test_gateways_have_their_bus(cluster: Cluster) -> None:
    """With their password, and their certificate if there are any, they publish, follow and keep texts."""
    config = cluster.config("gateway")
    assert config.nats_replicas == len(cluster.clients)
    bus = await open_bus(config, retention_s=120, clock=time.monotonic)
    archive = await open_archive(config, ArchiveConfig(), clock_ms=wall_clock_ms)
    try:
        assert await bus.claim(SPANISH, epoch=1) == 0
        subscription = await bus.subscribe(SPANISH)
        said = Broadcast(session_id=SPANISH.session_id, language=SPANISH.language)
        said.caption.text = "hola"
        await bus.publish(SPANISH, said, epoch=1)
        assert (await anext(aiter(subscription))).caption.text == "hola"
        await bus.forget(SPANISH.session_id)
        assert await archive.find("quiet-river-815") is None
    finally:
        await archive.aclose()
        await bus.aclose()


async def test_replicas_of_the_session_service_share(cluster: Cluster) -> None:
    """They hear themselves on the one subject that is theirs."""
    sharing = await Sharing.open(cluster.config("session"), Hub(), clock=time.monotonic)
    try:
        assert sharing.connected
    finally:
        await sharing.aclose()


async def test_others_are_not_let_in(cluster: Cluster) -> None:
    """Not with another's password, and not to the bus as the session service."""
    wrong = (
        cluster.config("gateway", NATS_PASSWORD=PASSWORDS["SESSION_PASSWORD"]),
        cluster.config("session"),
    )
    for config in wrong:
        with pytest.raises((InvalidConfiguration, ServiceUnavailable)):
            await NatsBus.open(config, retention_s=120, clock=time.monotonic, patience_s=1)
