"""What engines charge."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.config import ConfigError
from babelcast.prices import load, published

OWN = """
source = "our contract"
as_of = "2026-01"

[speech]
polly-neural = { usd = 12.0, per = 1_000_000, unit = "character" }
in-house = { usd = 0.5, per = 1000, unit = "character" }
"""


def test_the_table_says_where_it_is_from() -> None:
    """Source and date stand with the prices, and every engine is charged by a known unit."""
    table = published()
    assert table.source
    assert table.as_of
    assert {price.unit for price in table.transcription.values()} == {"second"}
    assert {price.unit for price in (table.translation | table.speech).values()} == {"character"}


@pytest.mark.parametrize(
    ("service", "engine", "amount", "usd"),
    [
        ("transcription", "amazon-transcribe", 3600, 1.44),
        ("translation", "amazon", 1_000_000, 15.0),
        ("speech", "polly-standard", 500_000, 2.0),
        ("speech", "polly-neural", 1_000, 0.016),
        ("translation", "bergamot", 1_000_000, 0.0),
        ("speech", "espeak-ng", 1_000_000, 0.0),
    ],
)
def test_prices_are_per_unit(service: str, engine: str, amount: float, usd: float) -> None:
    """Amounts are charged in proportion, and what runs here costs nothing."""
    assert published().usd(service, engine, amount) == pytest.approx(usd)  # type: ignore[arg-type]


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_costs_add_up(first: int, second: int) -> None:
    """It does not matter in how many parts work is told."""
    usd = published().usd
    parts = usd("speech", "polly-neural", first) + usd("speech", "polly-neural", second)
    assert parts == pytest.approx(usd("speech", "polly-neural", first + second))


def test_a_deployment_has_its_own_prices(tmp_path: Path) -> None:
    """Its entries take the place of the package's; the others stay."""
    path = tmp_path / "prices.toml"
    path.write_text(OWN)
    own = load(str(path))
    assert own.usd("speech", "polly-neural", 1_000_000) == 12
    assert own.usd("speech", "in-house", 1_000) == 0.5
    assert own.usd("translation", "amazon", 1_000_000) == 15
    assert own.source == "our contract"
    assert load("") is published()


@pytest.mark.parametrize(
    "text",
    [
        "[speech",
        "[speech]\nx = 3",
        '[speech]\nx = { usd = -1.0, per = 1, unit = "character" }',
        '[speech]\nx = { usd = 1.0, per = 0, unit = "character" }',
        '[voices]\nx = { usd = 1.0, per = 1, unit = "character" }',
    ],
)
def test_a_table_that_makes_no_sense_is_told(text: str, tmp_path: Path) -> None:
    """The message names the variable and the file."""
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"PRICES_FILE: .*prices\.toml"):
        load(str(path))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Rather than going on with other prices."""
    with pytest.raises(ConfigError, match="PRICES_FILE"):
        load(str(tmp_path / "none.toml"))
