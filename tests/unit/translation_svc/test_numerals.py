"""Numbers that a translation keeps or loses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.numerals import amounts, figures, localised, lost, numbers


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("It is 1,234.56 long.", "Mide 1.234,56."),
        ("It is 1,234 long.", "Mide 1234."),
        ("It is 1,234 long.", "Il mesure 1\u202f234."),
        ("On 2026-11-23.", "El 23/11/2026."),
        ("At 10:30 a.m.", "A las 10.30."),
        ("At 10:30 p.m.", "A les 22.30."),
        ("At 10:30 p.m.", "A las 10:30 de la noche."),
        ("At 7 PM.", "Às 19h."),
        ("At 12:15 am.", "A las 0:15."),
        ("The 21st century.", "El siglo XXI."),
        ("The 21st century.", "Le XXIe siècle."),
        ("The 4th floor.", "El 4º piso."),
        ("It costs €20.", "Cuesta 20 euros."),
        ("It grew by 5%.", "Creció un 5 %."),
        ("At -12.5 degrees, +3.", "A -12,5 grados, +3."),
        ("B12, H2O and the A380.", "Vitaminas."),
        ("No number.", "2 números."),
    ],
)
def test_what_counts_as_kept(text: str, translated: str) -> None:
    """As the language writes it."""
    assert not lost(figures(text), translated)


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("It is 1,234.56 long.", "Mide 1.234."),
        ("In 1999.", "En 1998."),
        ("2 and 2.", "2 y."),
        ("At 10:30 p.m.", "A las 10:30."),
        ("At 12:15 a.m.", "A las 12:15."),
        ("The 21st century.", "El siglo XX."),
        ("It costs €20.", "Cuesta 20."),
        ("It grew by 5%.", "Creció 5."),
        ("At -12.5 degrees.", "A 12,5 grados."),
        ("At 13 p.m.", "A las 14."),
    ],
)
def test_what_counts_as_lost(text: str, translated: str) -> None:
    """Digits, signs, and the half of the day."""
    assert lost(figures(text), translated)


@pytest.mark.parametrize(
    ("text", "target", "written"),
    [
        ("1,234.56", "es", ["1.234,56"]),
        ("1,234.56", "zh", ["1,234.56"]),
        ("12,000 and 0.5", "fr", ["12.000", "0,5"]),
        ("2.10.3 on 2026-11-23 at 10:30", "it", ["2.10.3", "2026-11-23", "10:30"]),
        ("10:30 p.m. or 10:30 a.m. or 7 p.m.", "es", ["22:30", "10:30", "19:00"]),
        ("12 a.m., 12 p.m.", "es", ["0:00", "12:00"]),
        ("the 21st, 2nd", "fr", ["21e", "2e"]),
        ("the 3rd", "de", ["3."]),
        ("1/3 or 16:9", "es", ["1/3", "16:9"]),
        ("50% of €1.5", "pt", ["50%", "€1,5"]),
    ],
)
def test_how_numbers_are_written_in_another_language(text: str, target: str, written: list[str]) -> None:
    """With its decimal sign; dates, times and versions as they are."""
    assert [span.becomes for span in numbers(text, source="en", target=target)] == written


def test_the_point_of_one_language_is_the_comma_of_the_other() -> None:
    """Both ways."""
    assert localised("1.234,5", source="es", target="en") == "1,234.5"
    assert localised("1.234,5", source="es", target="pt") == "1.234,5"


def test_sums_of_money_stay_together() -> None:
    """With the sign where it was."""
    text = "US$1,500.50, £3, 20 ¥ and €5."
    spans = amounts(text, source="en", target="es")
    assert [span.becomes for span in spans] == ["US$1.500,50", "£3", "20 ¥"]


@given(st.text(alphabet="0123456789.,:/-+%€$ apm.sthx", max_size=40))
def test_a_text_keeps_its_own_numbers_but_for_times_of_the_day(text: str) -> None:
    """An echo loses nothing."""
    echo = text + " p.m."
    assert not lost(figures(text), echo)


@given(st.text(max_size=60), st.sampled_from(["es", "en", "fr", "de"]))
def test_spans_lie_within_the_text(text: str, target: str) -> None:
    """Whatever is in it."""
    for span in (*numbers(text, source="en", target=target), *amounts(text, source="en", target=target)):
        assert 0 <= span.start < span.end <= len(text)
        assert span.becomes
