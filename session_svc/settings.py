"""What a speaker may choose at creation."""

from babelcast import languages
from babelcast.errors import InvalidParameter
from session_svc.model import GlossaryTerm, Settings

MIN_STABILITY = (0.70, 0.95)
MAX_BUFFER_TIMEOUT_S = (2.0, 10.0)
MAX_GLOSSARY_TERMS = 500
MAX_TERM_CHARS = 100


def checked(settings: Settings) -> Settings:
    """The settings with language codes normalised and 0 taken as "not given".

    Raises: InvalidLanguage, InvalidParameter.
    """
    return Settings(
        source_language=languages.normalise(settings.source_language, parameter="sourceLanguage"),
        quality_tier=settings.quality_tier,
        partial_results=settings.partial_results,
        min_stability=_within("minStability", settings.min_stability or 0.85, MIN_STABILITY),
        max_buffer_timeout_s=_within(
            "maxBufferTimeout", settings.max_buffer_timeout_s or 5.0, MAX_BUFFER_TIMEOUT_S
        ),
        glossary=_checked_glossary(settings.glossary),
    )


def _within(parameter: str, value: float, bounds: tuple[float, float]) -> float:
    lowest, highest = bounds
    if not lowest <= value <= highest:
        raise InvalidParameter(parameter, f"it must be {lowest:g} to {highest:g}.")
    return value


def _checked_glossary(glossary: tuple[GlossaryTerm, ...]) -> tuple[GlossaryTerm, ...]:
    if len(glossary) > MAX_GLOSSARY_TERMS:
        raise InvalidParameter("glossary", f"it may have {MAX_GLOSSARY_TERMS} terms.")
    for entry in glossary:
        for text in (entry.term, *entry.translations.values()):
            if not text.strip() or len(text) > MAX_TERM_CHARS:
                raise InvalidParameter("glossary", f"a term has 1 to {MAX_TERM_CHARS} characters.")
    return tuple(
        GlossaryTerm(
            entry.term,
            {
                languages.normalise(language, parameter="glossary"): text
                for language, text in entry.translations.items()
            },
        )
        for entry in glossary
    )
