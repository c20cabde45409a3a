"""Pods come and go with figures that are really exported, and at values that leave room."""

import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from babelcast.telemetry import instruments
from babelcast.telemetry.catalogue import CATALOGUE, Kind
from tests.unit.deploy.manifests import K8S, ON_AWS, Node, Rendered, rendered, without
from transcription_svc.config import AMAZON_STREAMS, STREAMS_PER_CORE

ADAPTER: Final = Node(yaml.safe_load((K8S / "examples" / "prometheus-adapter.yaml").read_text()))


def asked(there: Rendered) -> dict[str, set[str]]:
    """The metrics of pods that each autoscaler asks for."""
    return {
        scaler.name: {
            str(each["pods"]["metric"]["name"])
            for each in scaler["spec"]["metrics"]
            if str(each["type"]) == "Pods"
        }
        for scaler in there.of("HorizontalPodAutoscaler")
    }


@pytest.mark.parametrize("overlay", ON_AWS)
def test_metrics_are_exported_and_adapted(overlay: str) -> None:
    """Each metric is a gauge of ours, that the adapter's example makes of the series of that name, by pod."""
    assert instruments.STREAMS_OPEN is not None
    gauges = {each.exported for each in CATALOGUE if each.kind is Kind.GAUGE}
    wanted = asked(rendered(overlay))
    assert wanted == {
        "gateway": {"babelcast_gateway_connections"},
        "transcription": {"babelcast_transcription_streams_open"},
        "translation": set(),
    }
    names = set().union(*wanted.values())
    assert names <= gauges
    adapted = {str(rule["name"]["as"]): rule for rule in ADAPTER["rules"]["custom"]}
    assert set(adapted) == names
    for name, rule in adapted.items():
        assert re.match(r"\w+", str(rule["seriesQuery"])) is not None
        assert str(rule["seriesQuery"]).partition("{")[0] == name
        assert "by (<<.GroupBy>>)" in str(rule["metricsQuery"])


@pytest.mark.parametrize("overlay", ON_AWS)
def test_scale_deployments_that_have_no_count_of_their_own(overlay: str) -> None:
    """An autoscaler's deployment says no number of pods, or each rollout would set it back."""
    there = rendered(overlay)
    for scaler in there.of("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        assert there.one(str(target["kind"]), str(target["name"]))["spec"]["replicas"].value is None
        assert 2 <= scaler["spec"]["minReplicas"].number < scaler["spec"]["maxReplicas"].number
    assert there.one("Deployment", "session")["spec"]["replicas"].number >= 2


def streams(there: Rendered) -> tuple[int, int, int]:
    """Streams at which pods are added, those that a pod takes, and most pods."""
    scaler = there.one("HorizontalPodAutoscaler", "transcription")["spec"]
    given = there.environment(there.one("Deployment", "transcription").container)
    wanted = int(str(scaler["metrics"][0]["pods"]["target"]["averageValue"]))
    return wanted, int(given["TRANSCRIPTION_MAX_STREAMS"]), scaler["maxReplicas"].number


@pytest.mark.parametrize("overlay", ON_AWS)
def test_there_is_room_before_there_is_another_pod(overlay: str) -> None:
    """Pods come while those that are there still take streams; together they take no more than Amazon lets an
    account have that was given four times the usual.
    """
    wanted, places, pods = streams(rendered(overlay))
    assert 0 < wanted < places
    assert places * pods <= 4 * AMAZON_STREAMS


@pytest.fixture
def embedded(tmp_path: Path) -> Rendered:
    """What prod is without Amazon's engines."""
    return without("prod", "amazon-engines", tmp_path)


def test_embedded_engines_have_the_cores_that_they_need(embedded: Rendered) -> None:
    """Without Amazon's engines a pod takes as many streams as the cores that it asks for can recognise."""
    wanted, places, _ = streams(embedded)
    container = embedded.one("Deployment", "transcription").container
    cores = int(str(container["resources"]["requests"]["cpu"]))
    assert 0 < wanted < places <= STREAMS_PER_CORE * cores
    (workers,) = [each for each in container["env"] if str(each["name"]) == "TRANSCRIPTION_WORKERS"]
    assert str(workers["valueFrom"]["resourceFieldRef"]["resource"]) == "requests.cpu"
    assert embedded.environment(container)["TRANSCRIPTION_ENGINE"] == "whisper"
    given = embedded.environment(embedded.one("Deployment", "translation").container)
    assert (given["TRANSLATION_ENGINE"], given["VOICE_ENGINE"]) == ("embedded", "local")
    assert "TRANSLATION_CACHE_TABLE_NAME" not in given
