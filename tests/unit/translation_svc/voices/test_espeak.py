"""The choice among espeak-ng's voices."""

import pytest

from babelcast.config import ConfigError
from translation_svc.voices.espeak import EspeakVoice, read_wanted
from translation_svc.voices.espeak_worker import VOICES
from translation_svc.worker import Deadlines


def test_the_deployment_chooses_the_voice() -> None:
    """The one it names comes first, in that language only."""
    voice = EspeakVoice(deadlines=Deadlines(), wanted=read_wanted("es=es+m3, pt=pt+f2"))
    assert voice.names("es")[0] == "es+m3"
    assert voice.names("pt")[0] == "pt+f2"
    assert voice.names("fr") == list(VOICES["fr"])
    assert sorted(voice.names("es")) == sorted(VOICES["es"])
    assert voice.names("xx") == []


@pytest.mark.parametrize("text", ["es=fr+f2", "es", "xx=es+f2", "es=../../etc", "=es+f2"])
def test_a_voice_that_is_not_there_is_named(text: str) -> None:
    """With what there is; nothing but the list gets to the library."""
    with pytest.raises(ConfigError, match="ESPEAK_VOICES"):
        read_wanted(text)


def test_nothing_said_means_nothing_chosen() -> None:
    """Empty parts do not count."""
    assert read_wanted(" , ") == {}
