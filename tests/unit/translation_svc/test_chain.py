"""Sentences on their way."""

import asyncio
import functools
from typing import TYPE_CHECKING

import pytest

from translation_svc.chain import Chain
from translation_svc.failures import EngineDied, EngineMissing
from translation_svc.glossary import Glossary
from translation_svc.routes import Step
from translation_svc.translators.base import MAX_WORDS, Capabilities, Pair
from translation_svc.turns import Urgency

if TYPE_CHECKING:
    from tests.unit.translation_svc.conftest import FakeTranslator

TO_PT = (Step("bergamot", Pair("en", "pt")),)
TO_ES = (*TO_PT, Step("apertium", Pair("pt", "es")))


PLAIN = Glossary()


async def _translate(chain: Chain, text: str, *, glossary: Glossary = PLAIN, target: str = "es") -> str:
    route = TO_ES if target == "es" else TO_PT
    return await chain.translate(text, route, target=target, glossary=glossary, urgency=Urgency.FINAL)


async def test_sentences_go_one_by_one_through_all_steps(chain: Chain, model: "FakeTranslator") -> None:
    """And come back in order."""
    assert await _translate(chain, "One. Two.") == "Es(pt(One.)) Es(pt(Two.))"
    assert [text for text, _, _ in model.calls] == ["One.", "Two."]


async def test_long_sentences_are_cut_for_the_engine(chain: Chain, model: "FakeTranslator") -> None:
    """At most MAX_WORDS at once, nothing lost."""
    await _translate(chain, " ".join(f"w{n}" for n in range(250)))
    assert [len(text.split()) for text, _, _ in model.calls] == [MAX_WORDS, MAX_WORDS, 250 - 2 * MAX_WORDS]


async def test_a_repeated_sentence_comes_from_the_cache(chain: Chain, model: "FakeTranslator") -> None:
    """Even as part of another text."""
    await _translate(chain, "Thank you.")
    await _translate(chain, "Thank you. Goodbye.")
    assert [text for text, _, _ in model.calls] == ["Thank you.", "Goodbye."]


async def test_addresses_and_terms_pass_untouched(chain: Chain, model: "FakeTranslator") -> None:
    """The engine sees placeholders."""
    glossary = Glossary({"world": {"es": "Mundo Feliz"}})
    answer = await _translate(chain, "Hello world at https://a.example/x_y.", glossary=glossary)
    assert answer == "Es(pt(Hello Mundo Feliz at https://a.example/x_y.))"
    assert [text for text, _, _ in model.calls] == ["Hello Xq1 at Xq2."]


async def test_terms_of_one_target_do_not_touch_another(chain: Chain, model: "FakeTranslator") -> None:
    """Portuguese has no translation for the term, so it is a word like others there."""
    glossary = Glossary({"world": {"es": "Mundo"}})
    assert await _translate(chain, "Hello world.", glossary=glossary, target="pt") == "Pt(Hello world.)"


async def test_a_lost_placeholder_costs_fluency_not_the_term(chain: Chain, model: "FakeTranslator") -> None:
    """What stands around it is translated by itself."""
    model.answer = lambda text, _pair: text.replace("Xq1", "")
    glossary = Glossary({"world": {"es": "Mundo"}})
    assert await _translate(chain, "Hello world.", glossary=glossary) == "Es(Hello.) Mundo."


@pytest.mark.parametrize("text", ["", "   ", "...", "?!"])
async def test_what_has_no_words_needs_no_engine(chain: Chain, model: "FakeTranslator", text: str) -> None:
    """It stays as it is."""
    assert await _translate(chain, text) == text.strip()
    assert model.calls == []


async def test_a_failure_of_one_sentence_is_the_text_s_failure(chain: Chain, rules: "FakeTranslator") -> None:
    """Raised as itself, not in a group."""
    rules.failures[Pair("pt", "es")] = EngineDied("apertium")
    with pytest.raises(EngineDied):
        await _translate(chain, "One. Two.")


async def test_a_step_of_an_engine_that_is_not_there_fails(chain: Chain) -> None:
    """By name."""
    route = (Step("amazon", Pair("en", "de")),)
    with pytest.raises(EngineMissing):
        await chain.translate("Hi.", route, target="de", glossary=Glossary(), urgency=Urgency.FINAL)


async def test_warming_starts_all_steps_and_survives_a_broken_one(
    chain: Chain, model: "FakeTranslator", rules: "FakeTranslator"
) -> None:
    """Sentences will meet the failure again."""
    rules.failures[Pair("pt", "es")] = EngineDied("apertium")
    await chain.warm(TO_ES)
    assert (model.warmed, rules.warmed) == ([Pair("en", "pt")], [Pair("pt", "es")])


async def test_cancelling_a_text_ends_its_sentences(chain: Chain, model: "FakeTranslator") -> None:
    """The flight itself goes on in the cache."""
    gate = model.gates[Pair("en", "pt")] = asyncio.Event()
    task = asyncio.create_task(_translate(chain, "One.", target="pt"))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    assert await _translate(chain, "One.", target="pt") == "Pt(One.)"
    assert len(model.calls) == 1


async def test_a_lost_number_is_asked_for_again_as_a_placeholder(
    chain: Chain, model: "FakeTranslator"
) -> None:
    """And is then written as the target language writes it."""
    model.answer = lambda text, _pair: text.replace("1,234.5", "many")
    assert await _translate(chain, "It is 1,234.5 long.") == "Es(It is 1.234,5 long.)"
    assert [text for text, _, _ in model.calls] == ["It is 1,234.5 long.", "It is Xq1 long."]


async def test_a_text_full_of_what_looks_like_placeholders_goes_in_pieces(chain: Chain) -> None:
    """There is none left to put."""
    glossary = Glossary({"world": {"es": "Mundo"}})
    answer = await _translate(chain, "Hello xq zx xk qz world.", glossary=glossary)
    assert answer == "Es(pt(Hello xq zx xk qz.)) Mundo."


async def test_a_term_at_the_beginning_takes_the_capital(chain: Chain, model: "FakeTranslator") -> None:
    """If its translation is in small letters, and the sentence began with one."""
    model.answer = lambda text, _pair: text
    chain_of = functools.partial(chain.translate, route=TO_PT, target="pt", urgency=Urgency.FINAL)
    glossary = Glossary({"machine learning": {"pt": "aprendizado"}, "eBay": {"pt": "eBay"}})
    assert await chain_of("Machine learning is fun.", glossary=glossary) == "Aprendizado is fun."
    assert await chain_of("machine learning is fun", glossary=glossary) == "aprendizado is fun"
    assert await chain_of("EBay is fun.", glossary=glossary) == "eBay is fun."
    assert await chain_of("example.org is fun.", glossary=glossary) == "example.org is fun."


async def test_nothing_is_done_to_a_text_that_stays_in_its_language(chain: Chain) -> None:
    """Not even its terms are replaced."""
    glossary = Glossary({"world": {"en": "earth", "*": "earth"}})
    text = "Hello  world, 7 p.m."
    answer = await chain.translate(text, (), target="en", glossary=glossary, urgency=Urgency.FINAL)
    assert answer == text


async def test_an_engine_that_takes_context_gets_the_sentence_before(
    chain: Chain, model: "FakeTranslator", rules: "FakeTranslator"
) -> None:
    """At the first step, for there the sentence before is in the engine's language."""
    model.capabilities = rules.capabilities = Capabilities(takes_context=True)
    ask = functools.partial(chain.translate, route=TO_ES, target="es", glossary=PLAIN, urgency=Urgency.FINAL)
    await ask("She sat down. It broke.", context="There was a chair. Old.")
    assert sorted(model.contexts) == ["Old.", "She sat down."]
    assert set(rules.contexts) == {""}
    await ask("It broke.", context="She sat down.")
    await ask("It broke.")
    assert model.contexts[2:] == [""]


async def test_an_engine_that_takes_no_context_gets_none(chain: Chain, model: "FakeTranslator") -> None:
    """So its answers are shared whatever was said before."""
    for context in ("", "One.", "Two."):
        await chain.translate(
            "It broke.", TO_PT, target="pt", glossary=PLAIN, urgency=Urgency.FINAL, context=context
        )
    assert model.contexts == [""]
