"""Two voices in one."""

import pytest

from tests.unit.translation_svc.conftest import FakeVoice
from translation_svc.failures import EngineDied
from translation_svc.segments import Prosody, Tier
from translation_svc.voices.tiered import TieredVoice


class BetterVoice(FakeVoice):
    """A voice of one language."""

    languages = frozenset({"es"})

    def names(self, language: str) -> list[str]:
        return [f"better-{language}"] if language in self.languages else []


@pytest.fixture
def better() -> FakeVoice:
    """It speaks one language."""
    return BetterVoice()


async def _speak(voice: TieredVoice, language: str, tier: Tier) -> int:
    return (await voice.speak("Hola", language=language, prosody=Prosody(), tier=tier)).characters


async def test_premium_sessions_hear_the_better_voice_where_there_is_one(
    voice: FakeVoice, better: FakeVoice
) -> None:
    """All others hear the usual one."""
    tiered = TieredVoice(usual=voice, better=better)
    for language, tier in (("es", Tier.PREMIUM), ("pt", Tier.PREMIUM), ("es", Tier.STANDARD)):
        assert await _speak(tiered, language, tier) == 4
    assert [language for language, _, _ in better.said] == ["es"]
    assert [language for language, _, _ in voice.said] == ["pt", "es"]
    assert tiered.languages == voice.languages
    assert tiered.names("es") == ["fake-es", "better-es"]
    assert tiered.names("pt") == ["fake-pt"]


async def test_all_sessions_may_hear_the_better_voice(voice: FakeVoice, better: FakeVoice) -> None:
    """Where it has the language; it is loaded beforehand then."""
    tiered = TieredVoice(usual=voice, better=better, for_all=True)
    for language, tier in (("es", Tier.PREMIUM), ("pt", Tier.PREMIUM), ("es", Tier.STANDARD)):
        assert await _speak(tiered, language, tier) == 4
    assert [language for language, _, _ in better.said] == ["es", "es"]
    assert [language for language, _, _ in voice.said] == ["pt"]
    assert tiered.names("es") == ["better-es", "fake-es"]
    assert tiered.names("pt") == ["fake-pt"]


async def test_a_voice_that_was_chosen_is_heard(voice: FakeVoice, better: FakeVoice) -> None:
    """Whoever names one of the usual voices does not want the better one."""
    tiered = TieredVoice(usual=voice, better=better, for_all=True, kept={"es"})
    assert await _speak(tiered, "es", Tier.PREMIUM) == 4
    assert better.said == []
    assert tiered.names("es") == ["fake-es", "better-es"]


async def test_the_usual_voice_stands_in_for_the_better_one(voice: FakeVoice, better: FakeVoice) -> None:
    """A failure costs the quality, not the voice."""
    better.failure = EngineDied("better")
    tiered = TieredVoice(usual=voice, better=better)
    assert await _speak(tiered, "es", Tier.PREMIUM) == 4
    voice.failure = EngineDied("usual")
    with pytest.raises(EngineDied):
        await _speak(tiered, "es", Tier.PREMIUM)
