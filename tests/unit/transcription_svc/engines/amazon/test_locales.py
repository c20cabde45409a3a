"""Amazon's regional languages."""

import pytest

from babelcast.config import ConfigError
from transcription_svc.engines.amazon.locales import parse_locales, stability_level
from transcription_svc.engines.amazon.transcriber import create_transcriber, regions


def test_each_language_has_a_locale() -> None:
    """Without a choice the first locale of each language stands for it."""
    found = parse_locales("")
    assert (found["en"], found["es"], found["pt"], found["fr"]) == ("en-US", "es-US", "pt-BR", "fr-FR")
    assert all(locale.startswith(f"{language}-") for language, locale in found.items())


def test_a_region_may_be_chosen() -> None:
    """Chosen locales replace the first ones, whatever their spelling."""
    found = parse_locales(" en-gb, es_ES,")
    assert (found["en"], found["es"], found["de"]) == ("en-GB", "es-ES", "de-DE")


@pytest.mark.parametrize("text", ["xx-YY", "en-US,eo", "en"])
def test_unknown_locales_are_named(text: str) -> None:
    """What Amazon does not transcribe live is refused before anything starts."""
    with pytest.raises(ConfigError, match="TRANSCRIPTION_LOCALES"):
        parse_locales(text)


def test_levels_follow_the_stability_wanted() -> None:
    """More stability never asks for a lower level."""
    levels = [stability_level(percent / 100) for percent in range(70, 96)]
    assert set(levels) == {"low", "medium", "high"}
    assert [levels.index(level) for level in ("low", "medium", "high")] == [0, 10, 20]


def test_regions_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A region without live transcription is refused with those that have it; an endpoint must be https."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert "eu-west-1" in regions()
    assert create_transcriber(region="").capabilities.name == "amazon-transcribe"
    with pytest.raises(ConfigError, match="eu-west-1"):
        create_transcriber(region="mars-north-1")
    assert create_transcriber(region="mars-north-1", endpoint="https://mars.example").capabilities.languages
    with pytest.raises(ConfigError, match="https"):
        create_transcriber(region="eu-west-1", endpoint="http://127.0.0.1:1")
