"""Rules that every pod keeps: the Pod Security Standard "restricted", and what makes a rollout unheard."""

import json
import re
from typing import Final

import pytest

from babelcast.config import load
from gateway.config import GatewayConfig
from tests.unit.deploy.manifests import OVERLAYS, SERVICES, Node, containers, rendered

AFTER_DRAIN_S: Final = 25.0
"""What a supervisor that kills has to wait beyond DRAIN_SECONDS (docs/architecture.md, Stopping)."""
VOLUMES: Final = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SECRET_NAME: Final = re.compile(r"SECRET|PASSWORD|TOKEN|CREDS|(?<!TLS_)KEY")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_namespace_takes_only_restricted_pods(overlay: str) -> None:
    """The cluster itself refuses what breaks the standard."""
    labels = rendered(overlay).of("Namespace")[0]["metadata"]["labels"].texts()
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_are_restricted(overlay: str) -> None:
    """Each rule of the standard, as the Kubernetes documentation lists them for version 1.37."""
    for workload in rendered(overlay).workloads:
        spec = workload.pod["spec"]
        assert not (spec["hostNetwork"] or spec["hostPID"] or spec["hostIPC"] or spec["hostUsers"])
        everyone = spec["securityContext"]
        assert everyone["runAsNonRoot"].value is True
        assert everyone["runAsUser"].number > 0
        assert str(everyone["seccompProfile"]["type"]) == "RuntimeDefault"
        assert not everyone["sysctls"]
        for volume in spec["volumes"]:
            assert {key for key, _ in volume.items()} - {"name"} <= VOLUMES
        for container in containers(workload):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"].value is False
            assert [str(each) for each in own["capabilities"]["drop"]] == ["ALL"]
            assert not (own["capabilities"]["add"] or own["privileged"] or own["procMount"])
            assert not own["runAsUser"] and own["runAsNonRoot"].value is None
            assert not any(port["hostPort"] for port in container["ports"])
            for hook in ("postStart", "preStop"):
                assert not container["lifecycle"][hook]["httpGet"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_can_do_little(overlay: str) -> None:
    """Roots are read-only, scratch space has a bound, there is neither token nor variable of the cluster."""
    for workload in rendered(overlay).workloads:
        spec = workload.pod["spec"]
        assert spec["automountServiceAccountToken"].value is False
        assert spec["enableServiceLinks"].value is False
        for container in containers(workload):
            assert container["securityContext"]["readOnlyRootFilesystem"].value is True
            assert "/tmp" in {str(each["mountPath"]) for each in container["volumeMounts"]}
        for volume in spec["volumes"]:
            assert volume["emptyDir"].value is None or volume["emptyDir"]["sizeLimit"]
    for account in rendered(overlay).of("ServiceAccount"):
        assert account["automountServiceAccountToken"].value is False
    assert not rendered(overlay).of("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_ask_for_what_they_need(overlay: str) -> None:
    """CPU and memory are asked for; memory has a limit, CPU none: a throttled loop is late for everybody."""
    for workload in rendered(overlay).workloads:
        for container in containers(workload):
            asked, limit = container["resources"]["requests"], container["resources"]["limits"]
            assert asked["cpu"] and asked["memory"] and limit["memory"]
            assert not limit["cpu"]
            assert mebibytes(str(asked["memory"])) <= mebibytes(str(limit["memory"]))


def mebibytes(text: str) -> float:
    """A quantity of memory."""
    number, unit = re.findall(r"^([0-9.]+)(Mi|Gi)$", text)[0]
    return float(number) * (1024 if unit == "Gi" else 1)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_secret_stands_in_the_open(overlay: str) -> None:
    """There is no Secret, and no setting that is one by its name has a value; DynamoDB Local takes any."""
    there = rendered(overlay)
    assert there.of("Secret") == ()
    for workload in there.workloads:
        for container in containers(workload):
            for name, value in there.environment(container).items():
                if SECRET_NAME.search(name):
                    assert value == "" or (name.startswith("AWS_") and value == "local"), name
    text = json.dumps([document.value for document in there.documents])
    assert not re.search(r"AKIA[A-Z0-9]{16}|BEGIN [A-Z ]*PRIVATE KEY|eyJ[A-Za-z0-9_-]{10}", text)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_there_is_time_to_drain(overlay: str) -> None:
    """The cluster kills later than a drain ends; NATS has longer than it takes to send its clients away."""
    there = rendered(overlay)
    for service in SERVICES:
        workload = there.one("Deployment", service)
        grace_s = workload.pod["spec"]["terminationGracePeriodSeconds"].number
        drain_s = float(there.environment(workload.container)["DRAIN_SECONDS"])
        assert grace_s > drain_s + AFTER_DRAIN_S
    nats = there.one("StatefulSet", "nats")
    conf = str(there.one("ConfigMap", "babelcast-nats")["data"]["nats.conf"])
    lame_s = sum(map(int, re.findall(r"^lame_duck_\w+: (\d+)s", conf, re.MULTILINE)))
    assert nats.pod["spec"]["terminationGracePeriodSeconds"].number > lame_s > 0
    (pid_file,) = re.findall(r'pid_file: "(.+)"', conf)
    assert [str(word) for word in nats.container["lifecycle"]["preStop"]["exec"]["command"]] == [
        "nats-server",
        "--signal",
        f"ldm={pid_file}",
    ]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_newcomers_are_sent_elsewhere_in_time(overlay: str) -> None:
    """A gateway that stops serves newcomers for longer than two probes need to find out."""
    there = rendered(overlay)
    probe = there.one("Deployment", "gateway").container["readinessProbe"]
    given = there.environment(there.one("Deployment", "gateway").container)
    linger_s = float(given.get("DRAIN_LINGER_SECONDS", GatewayConfig().drain_linger_seconds))
    assert probe["periodSeconds"].number * probe["failureThreshold"].number < linger_s


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_rollouts_take_nothing_away(overlay: str) -> None:
    """A new pod is ready before an old one goes, and no more than one is taken away on purpose."""
    there = rendered(overlay)
    for service in SERVICES:
        rollout = there.one("Deployment", service)["spec"]["strategy"]["rollingUpdate"]
        assert rollout["maxUnavailable"].value == 0
        assert rollout["maxSurge"].number > 0
        assert [
            str(each["topologyKey"])
            for each in there.one("Deployment", service).pod["spec"]["topologySpreadConstraints"]
        ] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for budget in there.of("PodDisruptionBudget"):
        assert budget["spec"]["maxUnavailable"].value == 1


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_probes_ask_the_right_thing(overlay: str) -> None:
    """Readiness says whether work can be done; liveness whether the process is there, or an outage elsewhere
    would restart everything.
    """
    there = rendered(overlay)
    gateway = there.one("Deployment", "gateway").container
    assert str(gateway["readinessProbe"]["httpGet"]["path"]) == "/readyz"
    assert str(gateway["livenessProbe"]["httpGet"]["path"]) == "/healthz"
    given = there.environment(gateway)
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert (str(gateway[probe]["httpGet"]["scheme"]) == "HTTPS") is ("TLS_CERT" in given)
    for service in SERVICES[1:]:
        container = there.one("Deployment", service).container
        given = there.environment(container)
        bound = given["HEALTH_BIND" if "GRPC_TLS_CERT" in given else f"{service.upper()}_BIND"]
        assert str(container["readinessProbe"]["grpc"]["port"]) == bound.rpartition(":")[2]
        assert not container["livenessProbe"]["grpc"]
        assert patience_s(container["startupProbe"]) >= 60


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_nats_server_comes_back_before_the_next_one_goes(overlay: str) -> None:
    """It counts as started only when each of its streams has caught up, which all of /healthz says and its
    parts do not, and has minutes for that; later a stream that lags neither restarts it nor sends clients
    away.
    """
    container = rendered(overlay).one("StatefulSet", "nats").container
    assert str(container["startupProbe"]["httpGet"]["path"]) == "/healthz"
    assert patience_s(container["startupProbe"]) >= 600
    assert str(container["livenessProbe"]["httpGet"]["path"]) == "/healthz?js-enabled-only=true"
    assert str(container["readinessProbe"]["httpGet"]["path"]) == "/healthz?js-server-only=true"


def test_who_tries_it_can_speak() -> None:
    """In dev the gateway is its own issuer, and signs in who comes by a port that was forwarded to it: no
    proxy is trusted, which would switch that off. Elsewhere nobody is signed in so.
    """
    for overlay in OVERLAYS:
        given = rendered(overlay).environment(rendered(overlay).one("Deployment", "gateway").container)
        config = load(GatewayConfig, given)
        assert config.local_sign_in is (overlay == "dev")
        assert not config.local_sign_in_through_proxy
        assert bool(config.trusted_proxies) is (overlay != "dev")


def patience_s(probe: Node) -> int:
    """For how long a probe may fail."""
    return probe["periodSeconds"].number * probe["failureThreshold"].number
