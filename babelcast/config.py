"""Configuration: frozen dataclasses filled from environment variables, once, in a composition root.

A field `max_listeners_per_session: int = 500` is read from MAX_LISTENERS_PER_SESSION. Constraints come from
`Annotated[int, msgspec.Meta(ge=1)]`; a field's docs from `field(metadata={"help": ...})` through `setting`.
"""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    ConfigT = TypeVar("ConfigT", bound=DataclassInstance)
else:
    ConfigT = TypeVar("ConfigT")

ValueT = TypeVar("ValueT")


class ConfigError(Exception):
    """One or more environment variables are not valid; the message names each."""


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """A configuration field as documentation shows it."""

    variable: str
    default: str
    help: str


def setting(default: ValueT, description: str) -> ValueT:
    """A dataclass field with a default and a one-line description (unit included)."""
    # dataclasses.field is typed as returning the default's type for the same reason
    made: ValueT = dataclasses.field(default=default, metadata={"help": description})
    return made


def load(config: type[ConfigT], environ: Mapping[str, str]) -> ConfigT:
    """Fill `config` from `environ`. Empty values count as absent.

    Raises: ConfigError naming every variable that does not fit.
    """
    found: dict[str, object] = {}
    wrong: list[str] = []
    kinds = typing.get_type_hints(config, include_extras=True)
    for field in dataclasses.fields(config):
        text = environ.get(field.name.upper(), "")
        if not text:
            continue
        try:
            found[field.name] = msgspec.convert(text, kinds[field.name], strict=False)
        except msgspec.ValidationError as error:
            wrong.append(f"{field.name.upper()}: {error}")
    if wrong:
        raise ConfigError("; ".join(wrong))
    return config(**found)


def settings(config: type[ConfigT]) -> Iterator[Setting]:
    """The documented settings of `config`, in order."""
    for field in dataclasses.fields(config):
        default = "" if field.default is dataclasses.MISSING else str(field.default)
        yield Setting(field.name.upper(), default, field.metadata.get("help", ""))
