"""Strategies that make any message of the protocol from its own schema."""

import types
import typing
from collections.abc import Callable, Mapping, Sequence

import msgspec
import pytest
from hypothesis import strategies as st

from babelcast.protocol.server_messages import ServerMessage

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FINITE_JSON_VALUES = JSON_VALUES.filter(lambda value: value not in (float("inf"), float("-inf")))

SIMPLE: dict[object, st.SearchStrategy[object]] = {
    str: st.text(),
    bool: st.booleans(),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    object: st.text() | st.integers(0, 1000) | st.lists(st.text(), max_size=3),
    msgspec.UnsetType: st.just(msgspec.UNSET),
}


def values(kind: object) -> st.SearchStrategy[object]:
    """Values of a field's type."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return structs(kind)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(values, args))
    if origin is typing.Literal:
        return st.sampled_from(args)
    if origin is Mapping:
        return st.dictionaries(values(args[0]), values(args[1]), max_size=4)
    if origin is Sequence:
        return st.lists(values(args[0]), max_size=4)
    raise NotImplementedError(f"no strategy for {kind}")


def structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[msgspec.Struct]:
    """Any `kind`."""
    hints = typing.get_type_hints(kind)
    fields = {field.name: values(hints[field.name]) for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **fields)


@pytest.fixture(scope="session")
def any_server_message() -> Callable[[type[ServerMessage]], st.SearchStrategy[msgspec.Struct]]:
    """Makes the strategy for one kind of server message."""
    return structs


@pytest.fixture(scope="session")
def json_values() -> st.SearchStrategy[object]:
    """Anything that JSON can say."""
    return FINITE_JSON_VALUES
