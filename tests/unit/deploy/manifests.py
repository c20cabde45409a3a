"""What `kubectl kustomize` makes of deploy/k8s, and small questions about it."""

import functools
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import yaml

ROOT = Path(__file__).parents[3]
K8S = ROOT / "deploy" / "k8s"
KUBECTL = Path(sys.executable).parent / "kubectl"
OVERLAYS = ("dev", "staging", "prod")
ON_AWS = ("staging", "prod")
PART_OF, NAME = "app.kubernetes.io/part-of", "app.kubernetes.io/name"
SERVICES = ("gateway", "session", "transcription", "translation")
WORKLOADS = ("Deployment", "StatefulSet")

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class Node:
    """A place in a document. Asking for what is not there gives an empty place."""

    value: Json

    def __getitem__(self, key: str | int) -> "Node":
        if isinstance(key, str) and isinstance(self.value, Mapping):
            return Node(self.value.get(key))
        if isinstance(key, int) and isinstance(self.value, list) and len(self.value) > key:
            return Node(self.value[key])
        return Node(None)

    def __iter__(self) -> Iterator["Node"]:
        yield from (Node(item) for item in self.value) if isinstance(self.value, list) else ()

    def __bool__(self) -> bool:
        return bool(self.value)

    def __str__(self) -> str:
        return "" if self.value is None else str(self.value)

    def items(self) -> Iterator[tuple[str, "Node"]]:
        """The fields of an object."""
        if isinstance(self.value, Mapping):
            yield from ((key, Node(value)) for key, value in self.value.items())

    def fields(self) -> Iterator["Node"]:
        """What the fields of an object are, without their names."""
        yield from (value for _, value in self.items())

    def texts(self) -> dict[str, str]:
        """The fields of an object as text."""
        return {key: str(value) for key, value in self.items()}

    @property
    def number(self) -> int:
        """A whole number."""
        assert isinstance(self.value, int), self.value
        return self.value

    @property
    def kind(self) -> str:
        """The document's kind."""
        return str(self["kind"])

    @property
    def name(self) -> str:
        """The document's name."""
        return str(self["metadata"]["name"])

    @property
    def title(self) -> str:
        """For messages."""
        return f"{self.kind}/{self.name}"

    @property
    def pod(self) -> "Node":
        """A workload's pod."""
        return self["spec"]["template"]

    @property
    def container(self) -> "Node":
        """A workload's only container."""
        return self.pod["spec"]["containers"][0]


@dataclass(frozen=True, slots=True)
class Rendered:
    """All documents of an overlay."""

    documents: tuple[Node, ...]

    def of(self, *kinds: str) -> tuple[Node, ...]:
        """Those of some kinds."""
        return tuple(document for document in self.documents if document.kind in kinds)

    def one(self, kind: str, name: str) -> Node:
        """The one of a kind and a name; a ConfigMap by its name with the hash or without."""
        (found,) = (
            document
            for document in self.of(kind)
            if document.name == name or (kind == "ConfigMap" and document.name.rpartition("-")[0] == name)
        )
        return found

    @property
    def workloads(self) -> tuple[Node, ...]:
        """What runs pods."""
        return self.of(*WORKLOADS)

    def environment(self, container: Node) -> dict[str, str]:
        """What a container's variables are, as far as is known here; "" for what comes from elsewhere."""
        found: dict[str, str] = {}
        for source in container["envFrom"]:
            found |= self.one("ConfigMap", str(source["configMapRef"]["name"]))["data"].texts()
        return found | {str(each["name"]): str(each["value"]) for each in container["env"]}


@functools.cache
def rendered(overlay: str) -> Rendered:
    """An overlay of the project."""
    return render(K8S / "overlays" / overlay)


def render(folder: Path) -> Rendered:
    """What a kustomization makes."""
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    loaded = cast("Iterator[Json]", yaml.load_all(done.stdout, Loader=yaml.CSafeLoader))
    return Rendered(tuple(Node(document) for document in loaded))


def without(overlay: str, component: str, folder: Path) -> Rendered:
    """An overlay of the project but for one of its components; `folder` gets a copy of all manifests."""
    copy = shutil.copytree(K8S, folder / "k8s") / "overlays" / overlay
    kustomization = copy / "kustomization.yaml"
    line = f"  - ../../components/{component}\n"
    before = kustomization.read_text()
    assert line in before
    kustomization.write_text(before.replace(line, ""))
    return render(copy)


def containers(workload: Node) -> Iterator[Node]:
    """All containers of a pod, also those that come first."""
    spec = workload.pod["spec"]
    yield from spec["initContainers"]
    yield from spec["containers"]
