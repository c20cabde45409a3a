"""Known faults."""

import pytest

from translation_svc import repairs
from translation_svc.routes import Step
from translation_svc.translators.base import Pair


@pytest.mark.parametrize(
    ("pair", "spoilt", "mended"),
    [
        ("pt-es", "La reunión es mañana de mañana.", "La reunión es mañana por la mañana."),
        ("pt-es", "Si usted quiera ayudar.", "Si usted quiere ayudar."),
        ("pt-es", "Y si pueda.", "Y si puede."),
        ("pt-es", "Toda semana vuelven.", "Cada semana vuelven."),
        ("pt-es", "Buen día, todos.", "Buenos días, todos."),
        ("pt-es", "Fue un buen día.", "Fue un buen día."),
        ("pt-es", "Como usted está?", "Cómo está usted?"),
        ("ca-it", "Se vi piace, venga.", "Per favore, venga."),
        ("ca-fr", "Comment vous est?", "Comment allez-vous?"),
        ("ca-fr", "Vous déjà a vu.", "Vous avez déjà vu."),
        ("ca-fr", "Je crois que vous est grand.", "Je crois que vous êtes grand."),
        ("ca-fr", "Il vous a dit.", "Il vous a dit."),
        ("pt-es", "Hemos tres gatos, y hemos visto dos.", "Tenemos tres gatos, y hemos visto dos."),
        ("es-gl", "Bo día a todos.", "Bos días a todos."),
    ],
)
def test_faults_of_a_step_are_mended(pair: str, spoilt: str, mended: str) -> None:
    """With the capital it had; and what only looks like one is left alone."""
    step = Step("apertium", Pair(*pair.split("-")))
    assert repairs.after(spoilt, step) == mended


def test_what_a_step_misreads_is_rewritten_before_it() -> None:
    """Brazilian clitics."""
    step = Step("apertium", Pair("pt", "es"))
    assert repairs.before("Ele vai nos mostrar.", step) == "Ele vai mostrar-nos."
    assert repairs.before("Ele vai nos carros.", step) == "Ele vai nos carros."


def test_a_step_without_known_faults_changes_nothing() -> None:
    """Neither before nor after."""
    step = Step("bergamot", Pair("en", "de"))
    assert repairs.after(repairs.before("a  b", step), step) == "a  b"
