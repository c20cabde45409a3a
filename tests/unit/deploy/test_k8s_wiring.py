"""Every name that one manifest says of another, or of the code, is a name that there is."""

import importlib.util
import itertools
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from opentelemetry.sdk import environment_variables as opentelemetry_names

from babelcast import config
from babelcast.telemetry.config import TelemetryConfig
from docs.generate import CONFIGS
from tests.unit.deploy.manifests import (
    K8S,
    NAME,
    ON_AWS,
    OVERLAYS,
    PART_OF,
    ROOT,
    SERVICES,
    WORKLOADS,
    Node,
    Rendered,
    containers,
    rendered,
)

DOCKERFILE: Final = (ROOT / "deploy" / "Dockerfile").read_text()
COMPOSE: Final = (ROOT / "deploy" / "compose" / "compose.yaml").read_text()
OTHERS_IMAGES: Final = {"nats", "amazon/dynamodb-local"}
BOTO: Final = {"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
"""Read by boto, not by us."""


EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - in a pod that is right
OPENTELEMETRY: Final = {name for name in vars(opentelemetry_names) if name.startswith("OTEL_")}


def read_by(service: str) -> dict[str, config.Setting]:
    """The settings of a service, by the names of their variables."""
    kinds = (*CONFIGS[service], TelemetryConfig)
    return {each.variable: each for each in itertools.chain.from_iterable(map(config.settings, kinds))}


@cache
def literals() -> frozenset[str]:
    """Names of variables that stand in the shared code, such as LOG_LEVEL, which no dataclass has."""
    text = "".join(path.read_text() for path in (ROOT / "babelcast").glob("*.py"))
    return frozenset(re.findall(r'environ\.get\("([A-Z_]+)"', text))


def names_for_others(container: Node) -> set[str]:
    """Variables that are there for the values of others, as $(NAME), and of NATS's configuration."""
    return set(re.findall(r"\$\((\w+)\)", json.dumps(container["env"].value)))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_services_are_told_what_they_read(overlay: str) -> None:
    """Each variable of a service's container is a setting of that service, with a value that fits."""
    known = {*OPENTELEMETRY, *literals(), *BOTO}
    for service in SERVICES:
        container = rendered(overlay).one("Deployment", service).container
        given = rendered(overlay).environment(container)
        assert set(given) - set(read_by(service)) - known - names_for_others(container) == set(), service
        for kind in CONFIGS[service]:
            config.load(kind, given)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_ports_are_those_that_are_bound(overlay: str) -> None:
    """Containers offer the ports that the settings bind, under the names by which others know them."""
    bound = {"gateway": {"http": "PORT"}, **{name: {"grpc": f"{name.upper()}_BIND"} for name in SERVICES[1:]}}
    for service, own in bound.items():
        container = rendered(overlay).one("Deployment", service).container
        given = rendered(overlay).environment(container)
        ports = {str(port["name"]): str(port["containerPort"]) for port in container["ports"]}
        wanted = {**own, "metrics": "METRICS_BIND"} | (
            {"health": "HEALTH_BIND"} if "HEALTH_BIND" in given else {}
        )
        assert ports == {name: given[variable].rpartition(":")[2] for name, variable in wanted.items()}
        assert {given[variable].rpartition(":")[0] for variable in wanted.values()} <= {"", EVERYWHERE}
        if service == "gateway":
            assert given["HOST"] == EVERYWHERE


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_probes_ask_a_port_that_is_there(overlay: str) -> None:
    """Probes name ports of their container."""
    for workload in rendered(overlay).workloads:
        container = workload.container
        names = {str(port["name"]): str(port["containerPort"]) for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            for how in container[probe].fields():
                if how["port"]:
                    assert str(how["port"]) in {*names, *names.values()}, (workload.title, probe)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_addresses_are_services(overlay: str) -> None:
    """Addresses in settings are services of the overlay, on ports that they have; headless ones for gRPC."""
    there = rendered(overlay)
    addresses = [
        (address, name.endswith("_TARGET"))
        for service in SERVICES
        for name, address in there.environment(there.one("Deployment", service).container).items()
        if name in ("BUS_URL", "AWS_ENDPOINT_URL_DYNAMODB") or name.endswith("_TARGET")
    ]
    assert len(addresses) >= 5
    for address, spread in addresses:
        assert address.startswith("dns:///") is spread
        host, _, port = re.sub("^[a-z]+:///?", "", address).partition(":")
        service = there.one("Service", host)
        assert port in {str(each["port"]) for each in service["spec"]["ports"]}
        assert (str(service["spec"]["clusterIP"]) == "None") is spread


def selected(there: Rendered, selector: Node) -> list[Node]:
    """Workloads whose pods have these labels."""
    wanted = selector.texts()
    return [
        workload
        for workload in there.workloads
        if wanted.items() <= workload.pod["metadata"]["labels"].texts().items()
    ]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_find_pods(overlay: str) -> None:
    """Workloads select their own pods; services, budgets and spreading those of one workload."""
    there = rendered(overlay)
    for workload in there.workloads:
        assert selected(there, workload["spec"]["selector"]["matchLabels"]) == [workload]
        assert str(workload.pod["metadata"]["labels"][PART_OF]) == "babelcast"
        for constraint in workload.pod["spec"]["topologySpreadConstraints"]:
            assert selected(there, constraint["labelSelector"]["matchLabels"]) == [workload]
    for service in there.of("Service"):
        (workload,) = selected(there, service["spec"]["selector"])
        ports = {str(port["name"]) for port in workload.container["ports"]}
        assert {str(port["targetPort"]) for port in service["spec"]["ports"]} <= ports
    for budget in there.of("PodDisruptionBudget"):
        assert [each.name for each in selected(there, budget["spec"]["selector"]["matchLabels"])] == [
            budget.name
        ]
    assert {budget.name for budget in there.of("PodDisruptionBudget")} == {*SERVICES, "nats"}
    for monitor in there.of("PodMonitor"):
        watched = selected(there, monitor["spec"]["selector"]["matchLabels"])
        ports = {str(each["port"]) for each in monitor["spec"]["podMetricsEndpoints"]}
        assert {
            each.name for each in watched if ports & {str(port["name"]) for port in each.container["ports"]}
        } == set(SERVICES)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_way_in_leads_to_the_gateway(overlay: str) -> None:
    """The ingress has TLS for the host that listeners are sent to, and a port of the gateway's service."""
    there = rendered(overlay)
    (ingress,) = there.of("Ingress")
    rule = ingress["spec"]["rules"][0]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    service = there.one("Service", str(backend["name"]))
    assert str(backend["port"]["name"]) in {str(port["name"]) for port in service["spec"]["ports"]}
    assert [str(host) for host in ingress["spec"]["tls"][0]["hosts"]] == [str(rule["host"])]
    given = there.environment(there.one("Deployment", "gateway").container)
    assert given["PUBLIC_URL"] == f"https://{rule['host']}"
    notes = ingress["metadata"]["annotations"].texts()
    assert "cert-manager.io/cluster-issuer" in notes
    idle_s = float(given["IDLE_TIMEOUT_SECONDS"])
    for direction in ("read", "send"):
        assert float(notes[f"nginx.ingress.kubernetes.io/proxy-{direction}-timeout"]) > idle_s
    assert ("TLS_CERT" in given) is (notes.get("nginx.ingress.kubernetes.io/backend-protocol") == "HTTPS")
    assert ("TLS_CERT" in given) is (str(service["spec"]["ports"][0]["port"]) == "443")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_a_cluster_must_have_by_name_is_told(overlay: str) -> None:
    """Of what is not made here the page has the name; without it manifests are taken, and nothing comes of
    them.
    """
    there = rendered(overlay)
    (ingress,) = there.of("Ingress")
    names = {
        str(ingress["spec"]["ingressClassName"]),
        ingress["metadata"]["annotations"].texts()["cert-manager.io/cluster-issuer"],
        *(str(each["spec"]["secretStoreRef"]["name"]) for each in there.of("ExternalSecret")),
    }
    given = there.environment(there.one("Deployment", "session").container)
    names.add(given["OTEL_EXPORTER_OTLP_ENDPOINT"].removeprefix("http://").partition(".")[0])
    page = (ROOT / "docs" / "deploy-kubernetes.md").read_text()
    assert {name for name in names if f"\n| `{name}` |" not in page} == set()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_images_are_built_here(overlay: str) -> None:
    """Each image is a target of the Dockerfile, at this version of the code, or one that Compose has too."""
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for workload in rendered(overlay).workloads:
        for container in containers(workload):
            image, _, tag = str(container["image"]).rpartition(":")
            ours = image.rpartition("/")[2].removeprefix("babelcast-")
            if image in OTHERS_IMAGES:
                assert f"image: {image}:{tag}\n" in COMPOSE
                continue
            assert ours in targets, image
            assert tag == version
            assert ours in {workload.name, "tools"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_run_as_the_images_user(overlay: str) -> None:
    """The numbers of the user are those that the Dockerfile makes."""
    (user,) = set(re.findall(r"^USER (\d+):", DOCKERFILE, re.MULTILINE))
    for service in SERVICES:
        assert (
            str(rendered(overlay).one("Deployment", service).pod["spec"]["securityContext"]["runAsUser"])
            == user
        )


def references(there: Rendered) -> Iterator[tuple[str, str]]:
    """Names and keys of all secrets that containers take variables from."""
    for workload in there.workloads:
        for container in containers(workload):
            for each in container["env"]:
                asked = each["valueFrom"]["secretKeyRef"]
                if asked:
                    yield str(asked["name"]), str(asked["key"])


def made_by_hand() -> dict[str, set[str]]:
    """What deploy/k8s/secrets prints."""
    done = subprocess.run([K8S / "secrets", "anywhere"], check=True, capture_output=True, text=True)
    listed = Node(json.loads(done.stdout))
    assert {str(each["metadata"]["namespace"]) for each in listed["items"]} == {"anywhere"}
    return {each.name: set(each["stringData"].texts()) for each in listed["items"]}


def fetched(there: Rendered) -> dict[str, set[str]]:
    """What the External Secrets operator makes."""
    return {
        str(each["spec"]["target"]["name"]): {str(one["secretKey"]) for one in each["spec"]["data"]}
        for each in there.of("ExternalSecret")
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_have_the_keys_that_are_asked_for(overlay: str) -> None:
    """Whoever makes the secrets makes exactly those that containers need."""
    there = rendered(overlay)
    asked: dict[str, set[str]] = {}
    for name, key in references(there):
        asked.setdefault(name, set()).add(key)
    assert made_by_hand() == asked
    if overlay in ON_AWS:
        assert fetched(there) == asked
        for each in there.of("ExternalSecret"):
            for one in each["spec"]["data"]:
                assert str(one["remoteRef"]["key"]).startswith(f"babelcast/{overlay}/")
                assert str(one["remoteRef"]["property"]) == str(one["secretKey"])


def test_made_secrets_are_fit() -> None:
    """Tokens are long enough for services, and words to NATS, which reads them in its configuration."""
    done = subprocess.run([K8S / "secrets", "a"], check=True, capture_output=True, text=True)
    values = [
        value for each in Node(json.loads(done.stdout))["items"] for value in each["stringData"].fields()
    ]
    assert len({str(value) for value in values}) == len(values)
    assert all(re.fullmatch(r"[a-z][a-z0-9]{31,}", str(value)) for value in values)
    assert subprocess.run([K8S / "secrets"], check=False, capture_output=True).returncode == 1


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_mounts_and_settings_are_of_volumes(overlay: str) -> None:
    """Each mount has its volume, each volume its ConfigMap or certificate, each file of settings a mount."""
    there = rendered(overlay)
    maps = {each.name for each in there.of("ConfigMap")}
    certificates = {str(each["spec"]["secretName"]) for each in there.of("Certificate")}
    for workload in there.workloads:
        spec = workload.pod["spec"]
        volumes = {str(each["name"]): each for each in spec["volumes"]}
        claims = {each.name for each in workload["spec"]["volumeClaimTemplates"]}
        for container in containers(workload):
            mounts = {str(each["name"]): str(each["mountPath"]) for each in container["volumeMounts"]}
            assert set(mounts) <= {*volumes, *claims}
            for name, value in there.environment(container).items():
                if value.startswith("/"):
                    folder = value.rpartition("/")[0] or value
                    assert any(folder.startswith(mount) for mount in mounts.values()), (workload.title, name)
        for volume in volumes.values():
            assert str(volume["configMap"]["name"] or next(iter(maps))) in maps
            secret = str(volume["secret"]["secretName"])
            assert secret == "" or (secret in certificates and workload.name in secret)


@pytest.mark.parametrize("overlay", ON_AWS)
def test_roles_are_those_of_the_policies(overlay: str) -> None:
    """Each service's account has the role of its name, in the overlay's account; there is a policy for it."""
    there = rendered(overlay)
    place = dict(
        line.split("=", 1) for line in (K8S / "overlays" / overlay / "place.env").read_text().splitlines()
    )
    for service in SERVICES:
        account = there.one("ServiceAccount", f"babelcast-{service}")
        assert str(there.one("Deployment", service).pod["spec"]["serviceAccountName"]) == account.name
        assert str(account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]) == (
            f"arn:aws:iam::{place['AWS_ACCOUNT_ID']}:role/babelcast-{service}"
        )
        assert (ROOT / "deploy" / "aws" / "iam" / f"{service}.json").is_file()


def test_only_amazons_overlays_have_roles() -> None:
    """Where there is no AWS, accounts name no role."""
    for account in rendered("dev").of("ServiceAccount"):
        assert not account["metadata"]["annotations"]


@pytest.mark.parametrize("overlay", ON_AWS)
def test_certificates_have_the_names_that_are_dialled(overlay: str) -> None:
    """With mutual TLS each service shows the name that gateways dial, and is called by `gateway` alone."""
    there = rendered(overlay)
    assert read_by("session")["GRPC_TLS_PEERS"].default == "gateway"
    for service in SERVICES:
        names = [str(name) for name in there.one("Certificate", service)["spec"]["dnsNames"]]
        assert names == [service]
    (routes,) = [
        str(each["value"])
        for each in there.one("StatefulSet", "nats").container["env"]
        if str(each["name"]) == "CLUSTER_ROUTES"
    ]
    nats = {str(name) for name in there.one("Certificate", "nats")["spec"]["dnsNames"]}
    assert {*re.findall(r"@([a-z0-9.-]+):6222", routes), "nats"} == nats


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nats_keeps_what_it_is_asked_to(overlay: str) -> None:
    """There are as many servers as keep each message, and room on each for all that gateways store."""
    there = rendered(overlay)
    nats = there.one("StatefulSet", "nats")
    gateway = there.environment(there.one("Deployment", "gateway").container)
    assert str(nats["spec"]["replicas"]) == gateway["NATS_REPLICAS"]
    assert (
        gateway["NATS_REPLICAS"]
        == there.environment(there.one("Deployment", "session").container)["NATS_REPLICAS"]
    )
    kept = int(gateway["NATS_MAX_BYTES"]) + int(gateway["TRANSCRIPT_MAX_BYTES"])
    conf = str(there.one("ConfigMap", "babelcast-nats")["data"]["nats.conf"])
    (room_gb,) = re.findall(r"max_file_store: (\d+)GB", conf)
    claim = str(nats["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"])
    assert kept * 2 < int(room_gb) * 10**9 < int(claim.removesuffix("Gi")) * 2**30
    assert str(nats["spec"]["serviceName"]) == there.one("Service", "nats-peers").name


def rules_module() -> Mapping[str, object]:
    """deploy/k8s/rules.py, which is no package."""
    spec = importlib.util.spec_from_file_location("k8s_rules", K8S / "rules.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


def test_rules_are_those_of_observability() -> None:
    """The PrometheusRule is what `python deploy/k8s/rules.py` makes today."""
    module = rules_module()
    made, written = module["rendered"], module["MADE"]
    assert callable(made) and isinstance(written, Path)
    assert written.read_text() == made()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_generated_maps_are_used_by_their_hash(overlay: str) -> None:
    """Each ConfigMap has a hash in its name, so that a change of settings is a rollout."""
    there = rendered(overlay)
    text = json.dumps([each.value for each in there.of(*WORKLOADS)])
    for each in there.of("ConfigMap"):
        assert re.search(r"-[a-z0-9]{10}$", each.name)
        assert f'"{each.name}"' in text
    assert NAME in text
