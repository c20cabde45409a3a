"""Which of Amazon Polly's voices speaks a language. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from babelcast.config import ConfigError
from translation_svc.segments import Tier

ENGINES_BY_TIER: Final[Mapping[Tier, Sequence[str]]] = {
    Tier.STANDARD: ("standard", "neural", "long-form", "generative"),
    Tier.PREMIUM: ("neural", "standard", "generative", "long-form"),
}
"""Engines in the order in which a tier wants them. Neural voices are the best that obey the speaker's rate;
generative ones are dearer and slower, and used where a language has no others, or when asked for."""

PREFERRED: Final[Mapping[str, Sequence[str]]] = {
    "ca": ("Arlet",),
    "de": ("Vicki", "Daniel", "Marlene", "Hans"),
    "en": ("Joanna", "Matthew"),
    "es": ("Lucia", "Sergio", "Enrique"),
    "fr": ("Lea", "Remi", "Celine", "Mathieu"),
    "it": ("Bianca", "Adriano", "Carla", "Giorgio"),
    "nl": ("Laura", "Lotte", "Ruben"),
    "pl": ("Ola", "Ewa", "Jacek"),
    "pt": ("Camila", "Thiago", "Vitoria", "Ricardo"),
    "ru": ("Tatyana", "Maxim"),
}
"""Voices by language, the first one that the engine has. Other languages take the first of their region."""

_LANGUAGES = {"arb": "ar", "cmn": "zh", "nb": "no"}


@dataclass(frozen=True, slots=True)
class PollyVoiceInfo:
    """A voice as DescribeVoices tells of it."""

    id: str
    locales: tuple[str, ...]
    """Language codes, such as es-US, the voice's own first."""
    engines: frozenset[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """A voice, what drives it, and the locale that it is to speak."""

    voice: str
    engine: str
    locale: str


class PollyVoices:
    """The voices of a region and the deployment's preferences among them."""

    def __init__(
        self,
        voices: Iterable[PollyVoiceInfo],
        *,
        wanted: Mapping[str, str],
        premium_engine: str = "neural",
    ) -> None:
        """`wanted` is language to voice id; `premium_engine` is what Tier.PREMIUM asks for first."""
        self._wanted = wanted
        self._premium_engine = premium_engine
        self._by_language: dict[str, list[tuple[PollyVoiceInfo, str]]] = {}
        for voice in sorted(voices, key=lambda voice: (voice.locales, voice.id)):
            for locale in voice.locales:
                for language in languages_of(locale):
                    self._by_language.setdefault(language, []).append((voice, locale))

    @property
    def languages(self) -> frozenset[str]:
        """ISO 639-1 codes with a voice."""
        return frozenset(self._by_language)

    def names(self, language: str) -> list[str]:
        """The voices of a language, best first."""
        return [voice.id for voice, _ in self._ranked(language)]

    def choose(self, language: str, tier: Tier) -> Choice | None:
        """The voice for a language: the tier's engine decides first, then who is preferred."""
        engines = list(ENGINES_BY_TIER[tier])
        if tier is Tier.PREMIUM:
            engines = [self._premium_engine, *engines]
        ranked = self._ranked(language)
        if self._wanted.get(language):  # named by the deployment: with the best engine that this voice has
            ranked = [one for one in ranked if one[0].id == self._wanted[language]] or ranked
        for engine in engines:
            for voice, locale in ranked:
                if engine in voice.engines:
                    return Choice(voice.id, engine, locale)
        return None

    def _ranked(self, language: str) -> list[tuple[PollyVoiceInfo, str]]:
        order = (self._wanted.get(language, ""), *PREFERRED.get(language, ()))

        def rank(one: tuple[PollyVoiceInfo, str]) -> tuple[int, bool, str, str]:
            voice, locale = one
            place = order.index(voice.id) if voice.id in order else len(order)
            return place, locale != voice.locales[0], locale, voice.id

        return sorted(self._by_language.get(language, ()), key=rank)


def languages_of(locale: str) -> tuple[str, ...]:
    """Our codes for a locale of Polly's: `es-US` is `es`, `cmn-CN` is `zh`, `nb-NO` both `nb` and `no`."""
    primary = locale.split("-", 1)[0]
    ours = _LANGUAGES.get(primary, primary)
    return (ours, primary) if primary == "nb" else (ours,)


def read_wanted(text: str) -> dict[str, str]:
    """The setting `es=Lupe,fr=Remi` as language to voice. Raises: ConfigError for anything else."""
    wanted: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        language, _, voice = part.partition("=")
        if not language.strip().isalpha() or not voice.strip().isalnum():
            raise ConfigError(f"POLLY_VOICES: {part!r} is not like es=Lupe")
        wanted[language.strip().lower()] = voice.strip()
    return wanted
