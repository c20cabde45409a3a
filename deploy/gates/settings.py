"""What is set in an environment, by its manifests: `python -m deploy.gates.settings ENV`.

A line for each variable of each service, and whether something is missing or still that of the example.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import yaml
from rich.console import Console

from deploy.gates.checked import ROOT

OVERLAYS: Final = ("dev", "staging", "prod")
SERVICES: Final = ("gateway", "session", "transcription", "translation")
COMPOSE: Final = ROOT / "deploy" / "compose" / "compose.yaml"
_TIMEOUT_S: Final = 60
_DEFAULT: Final = re.compile(r"\$\{\w+:-([^}]*)\}")
_EXAMPLE: Final = re.compile(r"\.example\b|EXAMPLE|^example$|\b123456789012\b")
_Alternatives = Sequence[Sequence[str]]
"""One of these, each a set of variables that are needed together."""
_TRUST: Final[_Alternatives] = (("SERVICE_TOKEN",), ("GRPC_TLS_CA", "GRPC_TLS_CERT", "GRPC_TLS_KEY"))
_ALONE: Final[_Alternatives] = (*_TRUST, ("GRPC_ALLOW_PLAINTEXT",))

NEEDED: Final[Mapping[str, Sequence[_Alternatives]]] = {
    "gateway": (
        (("SESSION_TARGET",),),
        (("TRANSCRIPTION_TARGET",),),
        (("TRANSLATION_TARGET",),),
        (("BUS_URL",),),
        _ALONE,
    ),
    "session": ((("SESSION_STORE",),), (("AWS_REGION",),), (("BUS_URL",),), _ALONE),
    "transcription": (_ALONE,),
    "translation": (_ALONE,),
}
"""What a service needs wherever it does not run alone."""
NEEDED_OUTSIDE: Final[Mapping[str, Sequence[_Alternatives]]] = {
    "gateway": (
        (("COGNITO_USER_POOL_ID", "COGNITO_CLIENT_ID"), ("JWT_ISSUER", "JWT_AUDIENCE", "JWKS_URL")),
        (("PUBLIC_URL",),),
        (("TRUSTED_PROXIES",),),
        _TRUST,
    ),
    "session": ((("RATE_LIMIT_ADDRESS_KEY",),), _TRUST),
    "transcription": (_TRUST,),
    "translation": (_TRUST,),
}
"""And in staging and prod besides."""


class Unreadable(Exception):
    """Manifests that cannot be made."""


@dataclass(frozen=True, slots=True)
class Value:
    """One variable of one service. A secret's is not known here, only where it comes from."""

    service: str
    name: str
    value: str
    source: str

    @property
    def is_example(self) -> bool:
        """Whether nobody filled it in."""
        return bool(_EXAMPLE.search(self.value))


@dataclass(frozen=True, slots=True)
class Settings:
    """All of an environment, and the images."""

    values: Sequence[Value]
    images: Mapping[str, str]
    is_example_account: bool = False
    """Whether the roles are those of the example's AWS account."""

    def faults(self, env: str) -> list[str]:
        """What is missing, or not filled in."""
        outside = env in {"staging", "prod"}
        found = []
        for service in SERVICES:
            there = {value.name for value in self.values if value.service == service}
            needed = [*NEEDED[service], *(NEEDED_OUTSIDE.get(service, ()) if outside else ())]
            found += [
                f"{service} needs {' or '.join(' and '.join(names) for names in alternatives)}"
                for alternatives in needed
                if not any(set(names) <= there for names in alternatives)
            ]
        if outside:
            found += ["AWS_ACCOUNT_ID is still the example's"] if self.is_example_account else []
            examples = {value.name for value in self.values if value.is_example}
            found += [f"{name} is still the example's" for name in sorted(examples)]
            found += [
                f"the image of {service} is still the example's"
                for service, image in self.images.items()
                if _EXAMPLE.search(image)
            ]
        return found


def of(env: str) -> Settings:
    """Those of dev, staging, prod or compose.

    Raises: Unreadable.
    """
    return _of_compose(COMPOSE.read_text()) if env == "compose" else _of_overlay(_rendered(env))


def main(arguments: Sequence[str], console: Console) -> int:
    """Print them; returns 1 when something is missing, 2 when they cannot be read."""
    (env,) = arguments
    try:
        settings = of(env)
    except Unreadable as error:
        console.print(str(error), markup=False)
        return 2
    for value in settings.values:
        line = f"{value.service:14}{value.name:36}{value.value or '(not known here)'}  [{value.source}]"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    faults = settings.faults(env)
    for fault in faults:
        console.print(f"MISSING  {fault}", markup=False, highlight=False, soft_wrap=True)
    return 1 if faults else 0


class _Named(msgspec.Struct):
    name: str


class _Key(_Named):
    key: str


class _From(msgspec.Struct, rename="camel"):
    secret_key_ref: _Key | None = None


class _Variable(msgspec.Struct, rename="camel"):
    name: str
    value: str = ""
    value_from: _From | None = None


class _Source(msgspec.Struct, rename="camel"):
    config_map_ref: _Named


class _Container(msgspec.Struct, rename="camel"):
    image: str
    env: list[_Variable] = []
    env_from: list[_Source] = []


class _PodSpec(msgspec.Struct):
    containers: list[_Container]


class _Pod(msgspec.Struct):
    spec: _PodSpec


class _Spec(msgspec.Struct):
    template: _Pod


class _Document(msgspec.Struct):
    kind: str
    metadata: _Named


class _ConfigMap(_Document):
    data: dict[str, str] = {}


class _Deployment(_Document):
    spec: _Spec


class _Composed(msgspec.Struct):
    image: str
    environment: dict[str, str] = {}


class _Compose(msgspec.Struct):
    services: dict[str, _Composed]


def _of_overlay(rendered: str) -> Settings:
    """From what kustomize makes."""
    texts = [text for text in re.split(r"^---$", rendered, flags=re.MULTILINE) if text.strip()]
    kinds = [(msgspec.yaml.decode(text, type=_Document).kind, text) for text in texts]
    maps = {
        one.metadata.name: one.data
        for one in (msgspec.yaml.decode(text, type=_ConfigMap) for kind, text in kinds if kind == "ConfigMap")
    }
    deployments = {
        one.metadata.name: one.spec.template.spec.containers[0]
        for one in (
            msgspec.yaml.decode(text, type=_Deployment) for kind, text in kinds if kind == "Deployment"
        )
    }
    return Settings(
        [value for name in SERVICES for value in _variables(name, deployments[name], maps)],
        {name: deployments[name].image for name in SERVICES},
        "arn:aws:iam::123456789012:" in rendered,
    )


def _variables(service: str, container: _Container, maps: Mapping[str, Mapping[str, str]]) -> Iterator[Value]:
    found: dict[str, Value] = {}
    for source in container.env_from:
        name = source.config_map_ref.name
        shown = f"ConfigMap {name.rpartition('-')[0]}"
        found |= {key: Value(service, key, value, shown) for key, value in maps[name].items()}
    for one in container.env:
        secret = one.value_from.secret_key_ref if one.value_from else None
        if secret:
            found[one.name] = Value(service, one.name, "", f"Secret {secret.name}, key {secret.key}")
        else:
            where = "the pod" if one.value_from else "the Deployment"
            found[one.name] = Value(service, one.name, one.value, where)
    yield from (found[name] for name in sorted(found))


def _of_compose(text: str) -> Settings:
    """From compose.yaml, with its defaults."""
    services = msgspec.convert(yaml.safe_load(text), type=_Compose, strict=False).services
    values = []
    for name in SERVICES:
        for key, written in sorted(services[name].environment.items()):
            value = _DEFAULT.sub(lambda found: found[1], written)
            if value:
                values.append(
                    Value(name, key, value, "a variable of Compose" if "$" in written else "compose.yaml")
                )
    return Settings(
        values, {name: _DEFAULT.sub(lambda found: found[1], services[name].image) for name in SERVICES}
    )


def _rendered(env: str) -> str:
    if env not in OVERLAYS:
        raise Unreadable(f"there is no environment {env!r}: dev, staging, prod or compose")
    done = subprocess.run(
        [Path(sys.executable).parent / "kubectl", "kustomize", ROOT / "deploy" / "k8s" / "overlays" / env],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise Unreadable(done.stderr.strip())
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Console()))
