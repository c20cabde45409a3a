"""What every side of the port of translators does, and must."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from babelcast.errors import ErrorCode
from tests.aws_local import REGION
from translation_svc.aws import AwsSettings
from translation_svc.failures import EngineFailure
from translation_svc.translators.amazon import AmazonTranslator
from translation_svc.translators.apertium import ApertiumTranslator, installed_modes
from translation_svc.translators.base import MAX_WORDS, Pair, Translator
from translation_svc.translators.bergamot import BergamotTranslator
from translation_svc.translators.models import installed_models
from translation_svc.translators.scripted import ScriptedTranslator
from translation_svc.turns import Urgency
from translation_svc.worker import Deadlines

if TYPE_CHECKING:
    from tests.aws_local import AwsLocal

PAIRS = {
    "bergamot": Pair("en", "pt"),
    "apertium": Pair("pt", "es"),
    "amazon": Pair("en", "pt"),
    "scripted": Pair("en", "pt"),
}
LONG = {
    "en": (
        "When we came to the village that my grandmother had left as a child, the church was "
        "closed, the school had no windows, the two shops sold wine and nails, nobody knew her "
        "name, the river was lower than she had told us, and my father, who never spoke about "
        "these things, sat down on a wall and said that he remembered every house, every dog, the "
        "smell of the ovens in the morning and the long way home."
    ),
    "pt": (
        "Quando chegamos à aldeia que a minha avó tinha deixado em criança, a igreja estava "
        "fechada, a escola não tinha janelas, as duas lojas vendiam vinho e pregos, ninguém sabia "
        "o seu nome, o rio era mais baixo do que ela nos tinha contado, e o meu pai, que nunca "
        "falava destas coisas, sentou-se num muro e disse que se lembrava de cada casa, de cada "
        "cão, do cheiro dos fornos pela manhã e do longo caminho para casa."
    ),
}
DEADLINES = Deadlines(start_s=60, call_s=30)


def _make(name: str) -> Translator:
    if name == "bergamot":
        return BergamotTranslator(installed_models(None), deadlines=DEADLINES)
    if name == "apertium":
        return ApertiumTranslator(installed_modes(Path("/usr/share/apertium/modes")), deadlines=DEADLINES)
    if name == "scripted":
        return ScriptedTranslator(delay_s=0.01)
    return AmazonTranslator(settings=AwsSettings(region=REGION, call_timeout_s=20))


@pytest.fixture(
    params=[
        pytest.param("bergamot", marks=pytest.mark.engines),
        pytest.param("apertium", marks=pytest.mark.engines),
        "amazon",
        "scripted",
    ]
)
async def translator(request: pytest.FixtureRequest, aws: "AwsLocal") -> AsyncIterator[Translator]:
    """Each side, warm."""
    async with contextlib.aclosing(_make(request.param)) as made:
        await made.warm(PAIRS[made.name])
        yield made


@pytest.fixture
def pair(translator: Translator) -> Pair:
    """A direction that it has."""
    return PAIRS[translator.name]


async def _say(translator: Translator, text: str, pair: Pair) -> str:
    return await translator.translate(text, pair, urgency=Urgency.FINAL)


async def test_it_says_what_it_has(translator: Translator, pair: Pair) -> None:
    """Directions are known once it is warm, none from a language into itself."""
    assert pair in translator.pairs
    assert all(one.source != one.target for one in translator.pairs)


async def test_the_same_sentence_has_the_same_translation(translator: Translator, pair: Pair) -> None:
    """A translation is not empty, and repeating a segment gives it again."""
    first = await _say(translator, "A casa.", pair)
    assert first.strip()
    assert await _say(translator, "A casa.", pair) == first


async def test_placeholders_come_through(translator: Translator, pair: Pair) -> None:
    """What must not be translated stands in the translation."""
    assert "Xq1" in await _say(translator, "O Xq1.", pair)


async def test_a_long_sentence_is_translated_whole(translator: Translator, pair: Pair) -> None:
    """Nothing is cut off of a sentence near the limit of words."""
    text = LONG[pair.source]
    assert 0.75 * MAX_WORDS < len(text.split()) <= MAX_WORDS
    assert len((await _say(translator, text, pair)).split()) > 0.8 * len(text.split())


async def test_sentences_at_once_get_their_own_answers(translator: Translator, pair: Pair) -> None:
    """Whoever asks while others do gets the answer to the own question."""
    texts = [f"O Xq{number}." for number in range(1, 9)]
    answers = await asyncio.gather(*(_say(translator, text, pair) for text in texts))
    assert all(f"Xq{number}" in answer for number, answer in enumerate(answers, start=1))


async def test_a_direction_that_it_lacks_is_a_failure(translator: Translator, pair: Pair) -> None:
    """It fails by name, and others are translated as before."""
    with pytest.raises(EngineFailure) as raised:
        await _say(translator, "A casa.", Pair("xx", "yy"))
    assert raised.value.code in ErrorCode
    assert await _say(translator, "A casa.", pair)


async def test_who_goes_away_harms_nobody(translator: Translator, pair: Pair) -> None:
    """After a cancelled sentence the next one gets its own answer."""
    asked = asyncio.create_task(_say(translator, "O Xq1.", pair))
    await asyncio.sleep(0)
    asked.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asked
    assert "Xq2" in await _say(translator, "O Xq2.", pair)


async def test_it_can_be_closed_twice(translator: Translator) -> None:
    """Closing is idempotent."""
    await translator.aclose()
    await translator.aclose()
