"""Between pods there are the arrows of the table in docs/deploy-kubernetes.md, and no others."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.unit.deploy.manifests import (
    K8S,
    NAME,
    OVERLAYS,
    ROOT,
    SERVICES,
    Node,
    Rendered,
    rendered,
    without,
)

PAGE: Final = (ROOT / "docs" / "deploy-kubernetes.md").read_text()
PICTURE: Final = (ROOT / "docs" / "architecture.md").read_text()
OUTSIDE: Final = {
    "ingress controller": ("ingress-nginx", {NAME: "ingress-nginx"}),
    "Prometheus": ("monitoring", {NAME: "prometheus"}),
    "collector": ("observability", {NAME: "opentelemetry-collector"}),
    "DNS": ("kube-system", {"k8s-app": "kube-dns"}),
}
"""What stands for pods of other namespaces in the table: the namespace, and the labels."""
PASSING: Final = {"ACME solver": {"acme.cert-manager.io/http01-solver": "true"}}
"""Pods that an operator starts in our namespace for a moment, and their labels."""
METADATA: Final = "169.254.0.0/16"
NODE_DNS: Final = "169.254.20.10/32"


class Arrow(NamedTuple):
    """Who may open connections to whom, and on which port."""

    source: str
    target: str
    port: str


def table(overlay: str) -> set[Arrow]:
    """The arrows of an overlay, by the page."""
    found: set[Arrow] = set()
    (block,) = re.findall(r"<!-- arrows -->\n(.*?)\n\n", PAGE, re.DOTALL)
    for line in block.splitlines()[2:]:
        sources, targets, port, where = (cell.strip() for cell in line.strip("|").split("|"))
        if where in ("everywhere", overlay) or overlay in where.split(", "):
            found |= {
                Arrow(source, target, port)
                for source in sources.split(", ")
                for target in targets.split(", ")
            }
    return found


def matches(selector: Node, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes labels; an empty one takes all."""
    plain = selector["matchLabels"].texts().items() <= labels.items()
    return plain and all(
        str(each["operator"]) == "In"
        and labels.get(str(each["key"]), "") in [str(value) for value in each["values"]]
        for each in selector["matchExpressions"]
    )


def pods(there: Rendered) -> dict[str, dict[str, str]]:
    """Labels of the pods of each workload, and of those that pass."""
    return {each.name: each.pod["metadata"]["labels"].texts() for each in there.workloads} | PASSING


def peers(there: Rendered, peer: Node) -> Iterator[str]:
    """Whom a policy's peer stands for, in the words of the table."""
    if peer["ipBlock"]:
        block = peer["ipBlock"]
        if str(block["cidr"]) == NODE_DNS:
            yield "DNS"
        else:
            assert str(block["cidr"]) == "0.0.0.0/0"
            assert [str(each) for each in block["except"]] == [METADATA]
            yield "HTTPS outside"
    elif peer["namespaceSelector"]:
        namespace = str(peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
        labels = peer["podSelector"]["matchLabels"].texts()
        assert labels, "a whole namespace is more than an arrow"
        yield next(name for name, known in OUTSIDE.items() if known == (namespace, labels))
    else:
        assert peer["podSelector"], "everybody is more than an arrow"
        yield from (name for name, labels in pods(there).items() if matches(peer["podSelector"], labels))


def allowed(there: Rendered, direction: str) -> set[Arrow]:
    """What policies let out ("egress") or in ("ingress")."""
    side = "to" if direction == "egress" else "from"
    found: set[Arrow] = set()
    for policy in there.of("NetworkPolicy"):
        own = [name for name, labels in pods(there).items() if matches(policy["spec"]["podSelector"], labels)]
        assert own, policy.title
        for rule in policy["spec"][direction]:
            assert rule[side] and rule["ports"], f"{policy.title} is open on one side"
            others = {name for peer in rule[side] for name in peers(there, peer)}
            assert others, policy.title
            ports = {str(each["port"]) for each in rule["ports"]}
            for name in own:
                for other in others:
                    ends = (name, other) if direction == "egress" else (other, name)
                    found |= {Arrow(*ends, port) for port in ports}
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_arrows_are_those_of_the_table(overlay: str) -> None:
    """Each end lets through what the table says, and an arrow between pods of ours is let through at both."""
    there, wanted = rendered(overlay), table(overlay)
    inside = set(pods(there))
    assert allowed(there, "egress") == {arrow for arrow in wanted if arrow.source in inside}
    assert allowed(there, "ingress") == {arrow for arrow in wanted if arrow.target in inside}
    assert {name for arrow in wanted for name in arrow[:2]} <= {*inside, *OUTSIDE, "HTTPS outside"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_rest_is_refused(overlay: str) -> None:
    """A policy for all pods, in both directions, lets nothing through by itself."""
    nothing = rendered(overlay).one("NetworkPolicy", "nothing")["spec"]
    assert nothing["podSelector"].value == {}
    assert [str(each) for each in nothing["policyTypes"]] == ["Ingress", "Egress"]
    assert not nothing["ingress"] and not nothing["egress"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_arrows_lead_to_ports_that_are_bound(overlay: str) -> None:
    """The port of each arrow into a pod of ours is one of its container's."""
    there = rendered(overlay)
    ports = {
        each.name: {str(port["containerPort"]) for port in each.container["ports"]}
        for each in there.workloads
    }
    for arrow in allowed(there, "ingress"):
        assert arrow.target in PASSING or arrow.port in ports[arrow.target], arrow


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_public_certificate_can_be_had(overlay: str) -> None:
    """The ingress controller reaches cert-manager's answer to the public authority (HTTP-01), whose pod and
    port are not ours; without it no certificate comes, and none is renewed.
    """
    there = rendered(overlay)
    (ingress,) = there.of("Ingress")
    assert "cert-manager.io/cluster-issuer" in ingress["metadata"]["annotations"].texts()
    assert Arrow("ingress controller", "ACME solver", "8089") in allowed(there, "ingress")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_stations_know_nobody(overlay: str) -> None:
    """As in the architecture's picture: services are called by gateways alone and call none of each other."""
    calls = {arrow for arrow in table(overlay) if {arrow.source, arrow.target} <= set(SERVICES)}
    assert {arrow.source for arrow in calls} == {"gateway"}
    assert {arrow.target for arrow in calls} == {"session", "transcription", "translation"}
    assert "gateway ──StreamingTranscribe──▶ transcription_svc" in PICTURE


def test_embedded_engines_talk_to_nobody(tmp_path: Path) -> None:
    """Without Amazon's engines, transcription and translation reach nothing but DNS and the collector."""
    out = allowed(without("prod", "amazon-engines", tmp_path), "egress")
    for station in ("transcription", "translation"):
        assert {arrow.target for arrow in out if arrow.source == station} == {"DNS", "collector"}


def test_components_are_described() -> None:
    """The page names each overlay and each component."""
    for folder in ("overlays", "components"):
        for path in (K8S / folder).iterdir():
            assert f"`{path.name}`" in PAGE
