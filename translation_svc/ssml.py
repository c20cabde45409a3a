"""Prosody as SSML. Pure: the same prosody and text give the same markup, and all text is escaped."""

from dataclasses import dataclass
from xml.sax.saxutils import escape as escape_xml

from translation_svc.segments import Prosody

MIN_RATE, MAX_RATE = 0.8, 1.5
"""Of a manner of speaking; the pace that keeps a voice close to its speaker comes on top."""
MIN_TOTAL_RATE, MAX_TOTAL_RATE = 0.5, 2.0
"""With the pace: what every engine takes and listeners still understand."""
MIN_VOLUME_DB, MAX_VOLUME_DB = -12.0, 6.0
POLLY_STANDARD = "standard"
_POLLY_ENGINES_WITH_RATE = {POLLY_STANDARD, "neural", "long-form"}
_MODERATE_INTENSITY, _STRONG_INTENSITY = 0.4, 0.8
_QUOTES = {'"': "&quot;", "'": "&apos;"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """Bounded speaking instructions: `rate` 1.0 and `pitch_percent` 0 are usual, `volume_db` is a gain."""

    rate: float
    pitch_percent: float
    range_percent: float
    volume_db: float


_EMOTIONS = {
    # pitch and pitch range in percent, rate as a factor: at full intensity
    "neutral": (0.0, 0.0, 1.0),
    "calm": (-6.0, -20.0, 0.95),
    "excited": (12.0, 40.0, 1.06),
    "emphatic": (4.0, 50.0, 0.97),
}


def escape(text: str) -> str:
    """Text that no SSML reader can take for markup; characters XML does not allow become blanks."""
    allowed = "".join(letter if _is_xml(letter) else " " for letter in text)
    return escape_xml(allowed, _QUOTES)


def delivery(prosody: Prosody) -> Delivery:
    """What a voice is asked for. Values out of bounds, or not numbers, go to the nearest that is fit."""
    pitch, span, factor = _EMOTIONS.get(prosody.emotion, _EMOTIONS["neutral"])
    intensity = _bounded(prosody.intensity, 0.0, 1.0, usual=0.0)
    rate = _bounded(prosody.rate or 1.0, MIN_RATE, MAX_RATE, usual=1.0) * (1 + (factor - 1) * intensity)
    manner = _bounded(rate, MIN_RATE, MAX_RATE, usual=1.0)
    pace = _bounded(prosody.pace or 1.0, MIN_TOTAL_RATE, MAX_TOTAL_RATE, usual=1.0)
    return Delivery(
        rate=_bounded(manner * pace, MIN_TOTAL_RATE, MAX_TOTAL_RATE, usual=1.0),
        pitch_percent=pitch * intensity,
        range_percent=span * intensity,
        volume_db=_bounded(prosody.volume_db, MIN_VOLUME_DB, MAX_VOLUME_DB, usual=0.0),
    )


def espeak_ssml(text: str, prosody: Prosody) -> str:
    """SSML for espeak-ng.

    It halves pitch and range percentages, hence twice the figure here. Volume is left out: espeak-ng takes
    decibels for percent, so the gain is applied to its samples.
    """
    asked = delivery(prosody)
    attributes = f'rate="{asked.rate:.0%}"'
    if asked.pitch_percent:
        attributes += f' pitch="{2 * asked.pitch_percent:+.0f}%"'
    if asked.range_percent:
        attributes += f' range="{2 * asked.range_percent:+.0f}%"'
    return f"<speak><prosody {attributes}>{escape(text)}</prosody></speak>"


def polly_ssml(text: str, prosody: Prosody, *, engine: str) -> str:
    """SSML that Amazon Polly's `engine` takes, or empty when plain text says the same.

    The standard engine knows rate, pitch and emphasis; neural and long-form voices know rate alone of these;
    generative ones nothing that is of use here. What an engine does not know, it refuses. Volume is left
    out: as with espeak-ng the gain is applied to the samples, which are brought to one loudness first.
    """
    if engine not in _POLLY_ENGINES_WITH_RATE:
        return ""
    asked = delivery(prosody)
    attributes = f' rate="{asked.rate:.0%}"' if round(asked.rate, 2) != 1 else ""
    emphasis = ""
    if engine == POLLY_STANDARD:
        if round(asked.pitch_percent):
            attributes += f' pitch="{asked.pitch_percent:+.0f}%"'
        emphasis = _emphasis(prosody)
    if not attributes and not emphasis:
        return ""
    marked = escape(text)
    if emphasis:
        marked = f'<emphasis level="{emphasis}">{marked}</emphasis>'
    if attributes:
        marked = f"<prosody{attributes}>{marked}</prosody>"
    return f"<speak>{marked}</speak>"


def _emphasis(prosody: Prosody) -> str:
    """The level of emphasis of an emphatic sentence, or empty."""
    if prosody.emotion != "emphatic" or not prosody.intensity >= _MODERATE_INTENSITY:
        return ""
    return "strong" if prosody.intensity >= _STRONG_INTENSITY else "moderate"


def _bounded(value: float, low: float, high: float, *, usual: float) -> float:
    return usual if value != value else min(max(value, low), high)  # noqa: PLR0124 - not a number


def _is_xml(letter: str) -> bool:
    """Whether XML 1.0 allows the character (section 2.2, Char)."""
    return (
        letter in "\t\n\r" or " " <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd" or letter > "\uffff"
    )
