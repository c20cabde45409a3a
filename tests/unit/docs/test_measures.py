"""The tables of metrics."""

from babelcast.telemetry.catalogue import CATALOGUE
from docs import measures


def test_every_instrument_has_its_row_and_its_service() -> None:
    """Nothing is exported that the page does not explain."""
    assert [row[0] for row in measures.rows()] == [f"`{each.name}`" for each in CATALOGUE]
    assert all(row[5] for row in measures.rows())


def test_every_attribute_is_explained() -> None:
    """Who reads a label's name finds what its values mean."""
    used = {f"`{name}`" for each in CATALOGUE for name in each.attributes}
    assert {row[0] for row in measures.attribute_rows()} == used


def test_the_checklist_is_complete() -> None:
    """What operators are asked to watch has its place here, each name once."""
    names = [name for _, name, _, _ in measures.CHECKLIST]
    assert len(names) == len(set(names)) == 22
    assert {kind for kind, _, _, _ in measures.CHECKLIST} == {"latency", "errors", "throughput", "resources"}
    assert list(measures.checklist_rows())
