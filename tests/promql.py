"""What a PromQL expression names, and which labels its answer has."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import promql_parser as promql

_VARIABLES: Final = {"$__rate_interval": "5m"}
"""Grafana puts these in."""
_FILTERS: Final = {"and", "unless"}
"""Operators whose right side leaves no trace in the answer."""

LabelsOf = Callable[[str], set[str]]
"""All labels of a metric."""


@dataclass(frozen=True, slots=True)
class Named:
    """The metrics of an expression, and what it asks of their labels."""

    labels: dict[str, set[str]] = field(default_factory=dict)
    """By metric: what selectors match on, and what aggregations keep."""
    values: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """By metric and label: what it is compared with. Patterns that are plain alternatives are taken apart,
    others are left out.
    """


def parsed(expression: str) -> promql.Expr:
    """`expression`, Grafana's variables filled in.

    Raises: ValueError when it is no PromQL.
    """
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    return promql.parse(expression)


def named(expression: str) -> Named:
    """What `expression` names."""
    found = Named()
    _visit(parsed(expression), frozenset(), found)
    return found


def _visit(node: object, kept: frozenset[str], found: Named) -> None:
    """Go down; `kept` are the labels that aggregations around here group by."""
    match node:
        case promql.AggregateExpr():
            _visit(node.expr, kept | _grouped(node), found)
        case promql.VectorSelector():
            _note(node, kept, found)
        case promql.MatrixSelector():
            _note(node.vector_selector, kept, found)
        case promql.BinaryExpr():
            on = _matched_on(node)
            _visit(node.lhs, kept | on, found)
            _visit(node.rhs, on if str(node.op) in _FILTERS else kept | on, found)
        case promql.Call():
            for argument in node.args:
                _visit(argument, kept, found)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            _visit(node.expr, kept, found)


def answered(node: promql.Expr, labels_of: LabelsOf) -> set[str]:
    """The labels of what an expression answers."""
    match node:
        case promql.AggregateExpr():
            return set(_grouped(node))
        case promql.VectorSelector():
            return labels_of(node.name or "")
        case promql.MatrixSelector():
            return labels_of(node.vector_selector.name or "")
        case promql.BinaryExpr():
            left, right = (answered(side, labels_of) for side in (node.lhs, node.rhs))
            return right if isinstance(node.lhs, promql.NumberLiteral) else left
        case promql.Call():
            inner: set[str] = set()
            for argument in node.args:
                inner |= answered(argument, labels_of)
            return inner - {"le"} if node.func.name == "histogram_quantile" else inner
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return answered(node.expr, labels_of)
    return set()


def _grouped(node: promql.AggregateExpr) -> frozenset[str]:
    if node.modifier is None or node.modifier.type != promql.AggModifierType.By:
        return frozenset()
    return frozenset(node.modifier.labels)


def _matched_on(node: promql.BinaryExpr) -> frozenset[str]:
    matching = node.modifier.matching if node.modifier else None
    if matching is None or matching.type != promql.LabelModifierType.Include:
        return frozenset()
    return frozenset(matching.labels)


def _note(selector: promql.VectorSelector, kept: frozenset[str], found: Named) -> None:
    assert selector.name, f"{selector} names no metric"
    labels = found.labels.setdefault(selector.name, set())
    labels |= kept
    for matcher in selector.matchers.matchers:
        labels.add(matcher.name)
        found.values.setdefault((selector.name, matcher.name), set()).update(_alternatives(matcher.value))


def _alternatives(pattern: str) -> Iterator[str]:
    for one in pattern.split("|"):
        if re.fullmatch(r"[\w-]+", one):
            yield one
