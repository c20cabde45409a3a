"""What is sent to a cluster is what a cluster of its version takes."""

from typing import Final

import jsonschema
import kubernetes_validate
import pytest

from tests.unit.deploy.manifests import K8S, OVERLAYS, Json, rendered

VERSIONS: Final = ("1.33", "1.37")
"""The oldest and the newest that manifests are for."""


def struct(required: dict[str, Json], **optional: Json) -> dict[str, Json]:
    """The schema of an object with these fields and no others."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def several(item: Json) -> dict[str, Json]:
    """The schema of a list that is not empty."""
    return {"type": "array", "items": item, "minItems": 1}


TEXT: Final[Json] = {"type": "string", "minLength": 1}
PERIOD: Final[Json] = {"type": "string", "pattern": "^[0-9]+(s|m|h)$"}
ANNOTATED: Final[Json] = {"type": "object", "additionalProperties": {"type": "string"}}
ISSUER_REF: Final[Json] = struct({"kind": {"enum": ["Issuer", "ClusterIssuer"]}, "name": TEXT})
PRIVATE_KEY: Final[Json] = struct(
    {"algorithm": {"const": "ECDSA"}, "size": {"const": 256}}, rotationPolicy={"enum": ["Always", "Never"]}
)
USES: Final[Json] = {"enum": ["digital signature", "server auth", "client auth"]}
RULE: Final[Json] = {
    "oneOf": [
        struct({"record": TEXT, "expr": TEXT}, labels=ANNOTATED),
        struct(
            {"alert": TEXT, "expr": TEXT},
            **{"for": PERIOD, "keep_firing_for": PERIOD, "labels": ANNOTATED, "annotations": ANNOTATED},
        ),
    ]
}
SPECS: Final[dict[tuple[str, str], Json]] = {
    ("external-secrets.io/v1", "ExternalSecret"): struct(
        {
            "refreshInterval": PERIOD,
            "secretStoreRef": struct({"kind": {"enum": ["ClusterSecretStore", "SecretStore"]}, "name": TEXT}),
            "target": struct({"name": TEXT, "creationPolicy": {"const": "Owner"}}),
            "data": several(
                struct({"secretKey": TEXT, "remoteRef": struct({"key": TEXT, "property": TEXT})})
            ),
        }
    ),
    ("cert-manager.io/v1", "Issuer"): {
        "oneOf": [struct({"selfSigned": struct({})}), struct({"ca": struct({"secretName": TEXT})})]
    },
    ("cert-manager.io/v1", "Certificate"): struct(
        {"secretName": TEXT, "issuerRef": ISSUER_REF, "duration": PERIOD, "privateKey": PRIVATE_KEY},
        isCA={"type": "boolean"},
        commonName=TEXT,
        renewBefore=PERIOD,
        usages=several(USES),
        dnsNames=several(TEXT),
    ),
    ("monitoring.coreos.com/v1", "PodMonitor"): struct(
        {
            "selector": struct({"matchLabels": ANNOTATED}),
            "podMetricsEndpoints": several(
                struct(
                    {"port": TEXT, "path": TEXT, "interval": PERIOD, "scrapeTimeout": PERIOD},
                    relabelings=several(
                        struct({"sourceLabels": several(TEXT), "targetLabel": TEXT}, replacement=TEXT)
                    ),
                )
            ),
        }
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): struct(
        {"groups": several(struct({"name": TEXT, "rules": several(RULE)}, interval=PERIOD, limit=TEXT))}
    ),
}
"""Of kinds that operators bring, as much as is used here. Kubernetes itself knows nothing of them."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_fit_the_schemas_of_kubernetes(overlay: str, version: str) -> None:
    """Each document fits the schema of its kind, with no field that the version does not know."""
    faults: list[str] = []
    for document in rendered(overlay).documents:
        if (str(document["apiVersion"]), document.kind) in SPECS:
            continue
        try:
            checked = kubernetes_validate.validate(document.value, version, strict=True)
            assert checked == version
        except kubernetes_validate.ValidationError as error:
            faults.append(f"{document.title}: {'.'.join(map(str, error.path))}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError:
            faults.append(f"{document.title}: {document['apiVersion']} is no API of {version}")
    assert faults == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_fit_what_operators_take(overlay: str) -> None:
    """Documents of operators' kinds have the fields that are known of them, and no others."""
    for document in rendered(overlay).documents:
        schema = SPECS.get((str(document["apiVersion"]), document.kind))
        if schema is not None:
            jsonschema.Draft202012Validator(schema).validate(document["spec"].value)


def test_a_wrong_field_is_found() -> None:
    """The schemas are strict: a field that is spelt otherwise is a fault."""
    wrong = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}, "automount": False}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_are_told_apart(overlay: str) -> None:
    """No two documents are the same object, and all but those of the whole cluster are in one namespace."""
    whole = ("Namespace", "PriorityClass")
    titles = [document.title for document in rendered(overlay).documents]
    assert len(set(titles)) == len(titles)
    (namespace,) = rendered(overlay).of("Namespace")
    assert namespace.name == f"babelcast-{overlay}"
    assert {
        str(document["metadata"]["namespace"])
        for document in rendered(overlay).documents
        if document.kind not in whole
    } == {namespace.name}


def test_every_component_is_used() -> None:
    """What is not rendered by any overlay is not tested by anything here."""
    used = "".join((K8S / "overlays" / name / "kustomization.yaml").read_text() for name in OVERLAYS)
    components = {path.name for path in (K8S / "components").iterdir()}
    assert {name for name in components if f"components/{name}\n" not in used} == set()
