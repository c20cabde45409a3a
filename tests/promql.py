"""What a PromQL expression names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import promql_parser as promql

_VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}
"""Grafana puts these in."""


@dataclass(frozen=True, slots=True)
class Named:
    """The metrics of an expression, and the labels that it asks of each."""

    metrics: set[str] = field(default_factory=set)
    labels: dict[str, set[str]] = field(default_factory=dict)
    """By metric: what its selectors match on, and what aggregations around it keep."""
    values: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """By metric and label: what it is compared with; patterns that are plain alternatives are taken apart."""


def plain(expression: str) -> str:
    """Without Grafana's variables."""
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def named(expression: str) -> Named:
    """What `expression` names.

    Raises: ValueError when it is no PromQL.
    """
    found = Named()
    _visit(promql.parse(plain(expression)), frozenset(), found)
    return found


def _visit(node: object, kept: frozenset[str], found: Named) -> None:
    """Go down; `kept` are the labels that an aggregation around here groups by."""
    match node:
        case promql.AggregateExpr():
            by = node.modifier.labels if node.modifier and _groups(node.modifier) else []
            _visit(node.expr, kept | set(by), found)
        case promql.VectorSelector():
            _note(node, kept, found)
        case promql.MatrixSelector():
            _note(node.vector_selector, kept, found)
        case promql.BinaryExpr():
            _visit(node.lhs, kept, found)
            _visit(node.rhs, kept, found)
        case promql.Call():
            for argument in node.args:
                _visit(argument, kept, found)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            _visit(node.expr, kept, found)


def _groups(modifier: promql.AggModifier) -> bool:
    return modifier.type == promql.AggModifierType.By


def _note(selector: promql.VectorSelector, kept: frozenset[str], found: Named) -> None:
    assert selector.name, f"{selector} names no metric"
    found.metrics.add(selector.name)
    labels = found.labels.setdefault(selector.name, set())
    labels |= kept
    for matcher in selector.matchers.matchers:
        labels.add(matcher.name)
        found.values.setdefault((selector.name, matcher.name), set()).update(_alternatives(matcher.value))


def _alternatives(pattern: str) -> Iterator[str]:
    for one in pattern.split("|"):
        if re.fullmatch(r"[\w./-]+", one):
            yield one
