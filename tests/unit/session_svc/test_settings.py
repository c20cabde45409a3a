"""What a speaker may choose."""

import pytest

from babelcast.errors import BabelcastError, InvalidLanguage, InvalidParameter
from session_svc.model import GlossaryTerm, Settings
from session_svc.settings import MAX_GLOSSARY_TERMS, checked


def test_tags_become_languages_and_zeros_defaults() -> None:
    """What is not given in protobuf is 0, and means the protocol's default."""
    settings = Settings(
        "en-US", min_stability=0, max_buffer_timeout_s=0, glossary=(GlossaryTerm("cat", {"es-MX": "gato"}),)
    )
    assert checked(settings) == Settings(
        "en", min_stability=0.85, max_buffer_timeout_s=5, glossary=(GlossaryTerm("cat", {"es": "gato"}),)
    )


@pytest.mark.parametrize("value", [0.7, 0.95])
def test_bounds_are_included(value: float) -> None:
    """The protocol's bounds are themselves allowed."""
    assert checked(Settings("en", min_stability=value)).min_stability == value


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (Settings("e"), InvalidLanguage),
        (Settings("en", min_stability=0.69), InvalidParameter),
        (Settings("en", min_stability=0.96), InvalidParameter),
        (Settings("en", min_stability=float("nan")), InvalidParameter),
        (Settings("en", max_buffer_timeout_s=1.9), InvalidParameter),
        (Settings("en", max_buffer_timeout_s=float("inf")), InvalidParameter),
        (Settings("en", glossary=(GlossaryTerm("cat", {"!": "gato"}),)), InvalidLanguage),
        (Settings("en", glossary=(GlossaryTerm(" ", {"es": "gato"}),)), InvalidParameter),
        (Settings("en", glossary=(GlossaryTerm("cat", {"es": "x" * 101}),)), InvalidParameter),
        (Settings("en", glossary=(GlossaryTerm("cat", {}),) * (MAX_GLOSSARY_TERMS + 1)), InvalidParameter),
    ],
)
def test_what_is_refused(settings: Settings, error: type[BabelcastError]) -> None:
    """Each setting has its bounds."""
    with pytest.raises(error):
        checked(settings)
