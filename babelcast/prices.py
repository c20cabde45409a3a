"""What engines charge: a table that comes with the package, and a deployment's own prices in its place."""

import functools
import importlib.resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from babelcast.config import ConfigError

Service = Literal["transcription", "translation", "speech"]


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many US dollars for so many units."""

    usd: Annotated[float, msgspec.Meta(ge=0)]
    per: Annotated[float, msgspec.Meta(gt=0)]
    unit: Literal["character", "second"]


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prices by service and engine. An engine that is not there costs nothing."""

    source: str = ""
    """Where the prices are from."""
    as_of: str = ""
    """When they were those."""
    transcription: dict[str, Price] = {}
    translation: dict[str, Price] = {}
    speech: dict[str, Price] = {}

    def usd(self, service: Service, engine: str, amount: float) -> float:
        """What `amount` of the engine's unit costs: characters, or seconds of speech."""
        table: dict[str, Price] = getattr(self, service)
        price = table.get(engine)
        return amount * price.usd / price.per if price is not None else 0.0

    def replaced_by(self, other: "Prices") -> "Prices":
        """These prices, and those of `other` in their place."""
        return Prices(
            source=other.source or self.source,
            as_of=other.as_of or self.as_of,
            transcription=self.transcription | other.transcription,
            translation=self.translation | other.translation,
            speech=self.speech | other.speech,
        )


@functools.cache
def published() -> Prices:
    """The table of the package."""
    text = importlib.resources.files("babelcast").joinpath("prices.toml").read_text(encoding="utf-8")
    return _read(text)


def load(path: str) -> Prices:
    """The package's table with the entries of the file `path` in their place; the former alone if empty.

    Raises: ConfigError when the file cannot be read or is no table of prices.
    """
    if not path:
        return published()
    try:
        return published().replaced_by(_read(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise ConfigError(f"PRICES_FILE: {path}: {error}") from error


def _read(text: str) -> Prices:
    return msgspec.toml.decode(text, type=Prices)
