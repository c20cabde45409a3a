"""Which of Amazon's regional languages stands for a language."""

from collections.abc import Iterable, Mapping
from typing import Final

from babelcast.config import ConfigError

# https://docs.aws.amazon.com/transcribe/latest/APIReference/API_streaming_StartStreamTranscription.html
# The first of each language is used unless the configuration names another.
_STREAMED: Final = """
af-ZA ar-SA ar-AE ca-ES cs-CZ da-DK de-DE de-CH el-GR en-US en-GB en-AU en-IN en-IE en-NZ en-ZA en-AB en-WL
es-US es-ES eu-ES fa-IR fi-FI fr-FR fr-CA gl-ES he-IL hi-IN hr-HR id-ID it-IT ja-JP ko-KR lv-LV ms-MY nl-NL
no-NO pl-PL pt-BR pt-PT ro-RO ru-RU sk-SK so-SO sr-RS sv-SE th-TH tl-PH uk-UA vi-VN zh-CN zh-TW zh-HK zu-ZA
"""


def language_of(locale: str) -> str:
    """ISO 639-1 code of a locale."""
    return locale.split("-", 1)[0].lower()


def parse_locales(text: str) -> Mapping[str, str]:
    """Amazon's code for each language, with the choices of `text`, e.g. "en-GB, pt-PT".

    Raises: ConfigError for a locale that Amazon does not transcribe live.
    """
    chosen = [part.strip().replace("_", "-") for part in text.split(",") if part.strip()]
    known = {locale.lower(): locale for locale in _STREAMED.split()}
    wrong = [locale for locale in chosen if locale.lower() not in known]
    if wrong:
        raise ConfigError(
            f"TRANSCRIPTION_LOCALES: {', '.join(wrong)} is not one of {', '.join(known.values())}"
        )
    return _by_language([*(known[locale.lower()] for locale in chosen), *known.values()])


def stability_level(min_stability: float) -> str:
    """Amazon's level for a stability between 0.70 and 0.95.

    "high" marks words as stable soonest and changes least, at some cost in accuracy.
    """
    if min_stability >= 0.9:  # noqa: PLR2004 - thirds of the range, near enough
        return "high"
    return "medium" if min_stability >= 0.8 else "low"  # noqa: PLR2004


def _by_language(locales: Iterable[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for locale in locales:
        found.setdefault(language_of(locale), locale)
    return found
