"""Which voice speaks."""

import pytest

from babelcast.config import ConfigError
from translation_svc.segments import Tier
from translation_svc.voices.polly_voices import (
    Choice,
    PollyVoiceInfo,
    PollyVoices,
    languages_of,
    read_wanted,
)

FOUND = [
    PollyVoiceInfo("Lupe", ("es-US", "es-MX"), frozenset({"standard", "neural"})),
    PollyVoiceInfo("Enrique", ("es-ES",), frozenset({"standard"})),
    PollyVoiceInfo("Lucia", ("es-ES",), frozenset({"standard", "neural"})),
    PollyVoiceInfo("Sergio", ("es-ES",), frozenset({"neural", "generative"})),
    PollyVoiceInfo("Arlet", ("ca-ES",), frozenset({"neural"})),
    PollyVoiceInfo("Maxim", ("ru-RU",), frozenset({"standard"})),
    PollyVoiceInfo("Zhiyu", ("cmn-CN",), frozenset({"neural", "standard"})),
    PollyVoiceInfo("New", ("xh-ZA",), frozenset({"generative"})),
]


def _choose(language: str, tier: Tier, *, wanted: str = "", premium: str = "neural") -> Choice | None:
    voices = PollyVoices(FOUND, wanted=read_wanted(wanted), premium_engine=premium)
    return voices.choose(language, tier)


def test_the_tier_decides_on_the_engine() -> None:
    """Standard sessions get the cheap engine, premium ones the neural one, of the preferred voice."""
    assert _choose("es", Tier.STANDARD) == Choice("Lucia", "standard", "es-ES")
    assert _choose("es", Tier.PREMIUM) == Choice("Lucia", "neural", "es-ES")


def test_a_language_without_the_engine_takes_what_there_is() -> None:
    """Better another engine than no voice."""
    assert _choose("ca", Tier.STANDARD) == Choice("Arlet", "neural", "ca-ES")
    assert _choose("ru", Tier.PREMIUM) == Choice("Maxim", "standard", "ru-RU")
    assert _choose("xh", Tier.STANDARD) == Choice("New", "generative", "xh-ZA")
    assert _choose("gl", Tier.PREMIUM) is None


def test_the_deployment_names_its_voices() -> None:
    """A named voice speaks in both tiers, with the engine that it has; one that is not there is ignored."""
    assert _choose("es", Tier.STANDARD, wanted="es=Sergio") == Choice("Sergio", "neural", "es-ES")
    assert _choose("es", Tier.PREMIUM, wanted="es=Enrique") == Choice("Enrique", "standard", "es-ES")
    assert _choose("es", Tier.STANDARD, wanted="es=Nobody") == Choice("Lucia", "standard", "es-ES")


def test_premium_may_be_generative() -> None:
    """Where a voice has the engine; elsewhere the next best."""
    assert _choose("es", Tier.PREMIUM, premium="generative") == Choice("Sergio", "generative", "es-ES")
    assert _choose("ru", Tier.PREMIUM, premium="generative") == Choice("Maxim", "standard", "ru-RU")


def test_languages_have_the_names_that_we_use() -> None:
    """Polly's own codes are translated; every locale of a voice counts."""
    voices = PollyVoices(FOUND, wanted={})
    assert voices.languages == {"es", "ca", "ru", "zh", "xh"}
    assert voices.names("es") == ["Lucia", "Sergio", "Enrique", "Lupe", "Lupe"]
    assert languages_of("nb-NO") == ("no", "nb")
    assert languages_of("arb") == ("ar",)


@pytest.mark.parametrize("text", ["Lupe", "es=", "=Lupe", "es=Lu pe", "es-MX=Mia"])
def test_a_setting_that_makes_no_sense_is_told(text: str) -> None:
    """The message names the variable."""
    with pytest.raises(ConfigError, match="POLLY_VOICES"):
        read_wanted(text)
