"""What several languages have in common is done once, and what is known costs nothing."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from translation_svc.cache import Cache
from translation_svc.chain import Chain
from translation_svc.cost import Use
from translation_svc.glossary import Glossary
from translation_svc.interpreter import EngineInterpreter
from translation_svc.routes import Routes, Step
from translation_svc.segments import Component
from translation_svc.translators.base import Pair
from translation_svc.turns import Urgency

if TYPE_CHECKING:
    from tests.unit.translation_svc.conftest import FakeTranslator, FakeVoice

TERMS = Glossary({"world": {"es": "Mundo", "fr": "Monde", "pt": "Mundo"}})


async def _translate(
    interpreter: EngineInterpreter,
    *targets: str,
    glossary: Glossary,
    urgency: Urgency = Urgency.FINAL,
) -> list[Use]:
    uses: list[Use] = []
    await asyncio.gather(
        *(
            interpreter.translate(
                "Hello world.",
                source="en",
                target=target,
                glossary=glossary,
                urgency=urgency,
                tally=uses.append,
            )
            for target in targets
        )
    )
    return uses


@pytest.mark.parametrize("glossary", [Glossary(), TERMS])
async def test_shared_steps_run_once(
    interpreter: EngineInterpreter, model: "FakeTranslator", rules: "FakeTranslator", glossary: Glossary
) -> None:
    """English into three languages at once: each step of the tree is one call, and paid for once."""
    uses = await _translate(interpreter, "pt", "es", "fr", glossary=glossary)
    assert [pair for _, pair, _ in model.calls] == [Pair("en", "pt")]
    assert [pair for _, pair, _ in rules.calls] == [Pair("pt", "es"), Pair("es", "fr")]
    assert sorted(use.language for use in uses) == ["es", "fr", "pt"]
    assert {use.component for use in uses} == {Component.TRANSLATION}


@pytest.mark.parametrize("urgency", Urgency)
async def test_what_is_known_costs_nothing(
    interpreter: EngineInterpreter, model: "FakeTranslator", rules: "FakeTranslator", urgency: Urgency
) -> None:
    """No call, no use, for whichever session asks."""
    await _translate(interpreter, "es", glossary=Glossary(), urgency=urgency)
    calls = len(model.calls) + len(rules.calls)
    assert await _translate(interpreter, "es", glossary=Glossary()) == []
    assert len(model.calls) + len(rules.calls) == calls == 2


async def test_another_glossary_is_another_question(
    interpreter: EngineInterpreter, model: "FakeTranslator"
) -> None:
    """Where it has a term of the sentence; where it has none, sessions share."""
    await _translate(interpreter, "pt", glossary=TERMS)
    await _translate(interpreter, "pt", glossary=Glossary({"world": {"pt": "Planeta"}}))
    assert len(model.calls) == 2
    await _translate(interpreter, "pt", glossary=Glossary())
    await _translate(interpreter, "pt", glossary=Glossary({"bread": {"pt": "pão"}}))
    assert len(model.calls) == 3


async def test_editions_are_told_apart(
    model: "FakeTranslator", rules: "FakeTranslator", voice: "FakeVoice"
) -> None:
    """Engines whose data differ do not take each other's answers from one cache."""
    cache = Cache(capacity=100, ttl_s=60)
    routes = Routes.between({"bergamot": model.pairs})

    def edition(name: str) -> Chain:
        def of(step: Step) -> str:
            return f"{name} {step.engine}"

        return Chain({"bergamot": model, "apertium": rules}, cache, edition=of)

    for name in ("old", "new", "new"):
        interpreter = EngineInterpreter(routes=routes, chain=edition(name), voice=voice)
        await _translate(interpreter, "pt", glossary=Glossary())
    assert len(model.calls) == 2
