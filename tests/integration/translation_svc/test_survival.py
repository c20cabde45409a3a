"""What the real chain of engines leaves of terms, numbers, addresses and money."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig
from translation_svc.glossary import Glossary
from translation_svc.numerals import figures, lost
from translation_svc.turns import Urgency

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module")]

LANGUAGES = ["es", "fr", "pt", "it", "ca", "gl"]
VERBATIM = {
    "Call us at +1 555 0100.": "+1 555 0100",
    "My number is +44 20 7946 0958, extension 12.": "+44 20 7946 0958",
    "See https://example.org/a?b=c for details.": "https://example.org/a?b=c",
    "Everything is on www.example.org, as always.": "www.example.org",
    "The manual is at docs.example.org/3/index.html today.": "docs.example.org/3/index.html",
    "Write to a.b@example.org today.": "a.b@example.org",
    "Ask @ada about it.": "@ada",
    "We will read everything under #opensource.": "#opensource",
    "The deadline is 2026-11-23.": "2026-11-23",
    "The version is 2.10.3.": "2.10.3",
    "The score was 16:9.": "16:9",
}
MONEY = {
    "It costs $3.50 a piece.": "$3,50",
    "I paid £1,500 for 2 tickets.": "£1.500",
    "Their budget is $1.2 billion.": "$1,2",
    "The price went up by 12% to $4.20 in 2024.": "$4,20",
    "A ticket to Tokyo costs ¥120,000 now.": "¥120.000",
}
NUMBERS = [
    "The total is 1,234.56 euros.",
    "We meet at 10:30 a.m. on Monday.",
    "We meet at 10:30 p.m. on Monday.",
    "The gate closes at 12:15 a.m. tonight.",
    "The meeting is at 7 p.m.",
    "More than 50% of them agreed.",
    "It took 3.5 million years.",
    "She finished 1st, and he came 22nd.",
    "The 21st century began in 2001.",
    "Room 101 is on the 4th floor.",
    "Last year, more than 12,000 people came.",
    "The train leaves at 14:05 from platform 9.",
    "The price rose from €20 to €25.99.",
    "We need 0.75 litres of water.",
    "In 1999, there were 300,000 students.",
    "It weighs 2.5 kg and measures 30 x 40 cm.",
    "The temperature fell to -12.5 degrees.",
    "About 1/3 of the voters stayed home.",
    "He was born on 5 May 1821.",
    "Chapters 3 to 5 are new.",
    "The file is 1,048,576 bytes long.",
    "It opens at 9 and closes at 17:30.",
    "On 12/25/2026 we are closed.",
    "Flight 370 left gate 12B at 06:45.",
]
TERMS = ["Kubernetes", "machine learning", "Babelcast", "North Pier", "Dr. Nowak"]
FRAMES = [
    "{} is the best that we have.",
    "We have been using {} for three years.",
    "The people behind {} did not expect that.",
    "{}'s new version came out last week.",
    "Do you prefer {} or {other}?",
    "The problem with {} is that nobody understands it.",
    "First comes {}, then {other}, and finally the coffee.",
    "I don't think we should talk about {} today, but about {other}.",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app() -> AsyncIterator[TranslationApp]:
    """One service for all: loading the engines takes seconds."""
    app = TranslationApp(TranslationConfig(translation_bind="127.0.0.1:0"))
    await app.start()
    yield app
    await app.aclose()


async def _translate(app: TranslationApp, text: str, target: str, glossary: Glossary | None = None) -> str:
    return await app.interpreter.translate(
        text, source="en", target=target, glossary=glossary or Glossary(), urgency=Urgency.FINAL
    )


@pytest.mark.parametrize("target", LANGUAGES)
async def test_numbers_addresses_and_money_survive_the_real_chain(app: TranslationApp, target: str) -> None:
    """Forty sentences, each language, up to four engines one after the other."""
    for text, kept in (VERBATIM | MONEY).items():
        assert kept in await _translate(app, text, target), text
    for text in NUMBERS:
        translated = await _translate(app, text, target)
        assert not lost(figures(text), translated), f"{text} -> {translated}"


@pytest.mark.parametrize("target", LANGUAGES)
async def test_terms_come_through_the_real_chain(app: TranslationApp, target: str) -> None:
    """At every place of a sentence, alone and with another."""
    translations = {"Dr. Nowak": "Dra. Nowak", "machine learning": "Qualia"}
    glossary = Glossary({term: {target: translations.get(term, term)} for term in TERMS})
    for frame in FRAMES:
        for position, term in enumerate(TERMS):
            text = frame.format(term, other=TERMS[position - 1])
            answer = await _translate(app, text, target, glossary)
            assert translations.get(term, term) in answer, text
