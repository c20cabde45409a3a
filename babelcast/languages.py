"""Language codes: ISO 639-1 inside, BCP 47 tags accepted at the edge."""

import re

from babelcast.errors import InvalidLanguage

_TAG = re.compile(r"([a-z]{2,3})(?:[-_][A-Za-z0-9]{2,8})*", re.IGNORECASE)

NAMES = {
    "ca": "Catalan",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "gl": "Galician",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
}


def normalise(tag: str, *, parameter: str) -> str:
    """The primary language of a tag: "es-MX" → "es".

    Raises: InvalidLanguage naming `parameter` when it is no tag.
    """
    found = _TAG.fullmatch(tag)
    if found is None or len(tag) > 35:  # noqa: PLR2004 - RFC 5646 asks for at least 35 characters
        raise InvalidLanguage(parameter)
    return found[1].lower()
