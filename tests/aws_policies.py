"""The policy documents of deploy/aws/iam, and what they let somebody do: a small evaluator of IAM's rules.

It knows what the documents use, and refuses to read anything else: Allow and Deny, actions and resources with
`*` and `?`, and the condition StringEquals.
"""

import fnmatch
import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "deploy" / "aws" / "iam"
REGION: Final = "eu-west-1"
ACCOUNT: Final = "123456789012"
OIDC: Final = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
NAMESPACE: Final = "babelcast-test"


@dataclass(frozen=True, slots=True, order=True)
class Asked:
    """One right that a request needs."""

    action: str
    resource: str = "*"
    region: str = REGION


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy."""

    effect: str
    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Mapping[str, Sequence[str]]

    def covers(self, asked: Asked) -> bool:
        """Whether it speaks of this."""
        context = {"aws:RequestedRegion": asked.region}
        return (
            any(fnmatch.fnmatchcase(asked.action.lower(), action.lower()) for action in self.actions)
            and any(fnmatch.fnmatchcase(asked.resource, resource) for resource in self.resources)
            and all(context.get(key) in values for key, values in self.conditions.items())
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """A document."""

    statements: Sequence[Statement]

    def allows(self, asked: Asked) -> bool:
        """A statement allows it and none denies it."""
        effects = {statement.effect for statement in self.statements if statement.covers(asked)}
        return effects == {"Allow"}

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every action with every resource it is allowed on."""
        for statement in self.statements:
            if statement.effect == "Allow":
                yield from ((action, arn) for action in statement.actions for arn in statement.resources)

    def surplus(self, used: Iterable[Asked]) -> set[tuple[str, str]]:
        """What it allows and nobody asked for."""
        return set(self.pairs()) - {(asked.action, asked.resource) for asked in used}


def read(document: Mapping[str, object]) -> Policy:
    """A document. Raises: ValueError when it has what this evaluator does not know."""
    if set(document) != {"Version", "Statement"} or document["Version"] != "2012-10-17":
        raise ValueError("not a policy of 2012-10-17")
    statements = document["Statement"]
    if not isinstance(statements, list):
        raise ValueError("statements are a list")  # noqa: TRY004 - of what a file says
    return Policy([_statement(statement) for statement in statements])


def _statement(found: Mapping[str, object]) -> Statement:
    if set(found) - {"Sid", "Effect", "Action", "Resource", "Condition"}:
        raise ValueError(f"unknown parts in {sorted(found)}")
    effect, condition = found["Effect"], found.get("Condition", {})
    if effect not in {"Allow", "Deny"} or not isinstance(condition, dict):
        raise ValueError("an effect is Allow or Deny, a condition an object")
    if set(condition) - {"StringEquals"}:
        raise ValueError(f"unknown conditions {sorted(condition)}")
    equal = condition.get("StringEquals", {})
    return Statement(
        str(effect),
        _list(found["Action"]),
        _list(found["Resource"]),
        {str(key): _list(value) for key, value in equal.items()},
    )


def _list(value: object) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    raise ValueError(f"neither a text nor texts: {value!r}")


def rendered(folder: Path, **environ: str) -> Path:
    """All documents with this account and these tables' names in them, by the script that operators use."""
    subprocess.run(
        [FOLDER / "render", folder],
        check=True,
        env={
            "PATH": os.environ["PATH"],
            "AWS_REGION": REGION,
            "AWS_ACCOUNT_ID": ACCOUNT,
            "OIDC_PROVIDER": OIDC,
            "NAMESPACE": NAMESPACE,
            **environ,
        },
    )
    return folder


def policy(folder: Path, name: str) -> Policy:
    """A rendered document."""
    return read(json.loads((folder / f"{name}.json").read_text()))
