"""What engines did, counted once."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.prices import published
from babelcast.telemetry import instruments
from translation_svc import cost
from translation_svc.cost import Meter, Usage, Use
from translation_svc.failures import EngineDied
from translation_svc.glossary import Glossary
from translation_svc.interpreter import EngineInterpreter
from translation_svc.segments import Component, Prosody
from translation_svc.translators.base import Pair
from translation_svc.turns import Urgency

if TYPE_CHECKING:
    from tests.unit.translation_svc.conftest import FakeTranslator

USES = st.builds(
    Use,
    st.sampled_from(Component),
    st.sampled_from(["amazon", "bergamot", "polly-neural"]),
    st.sampled_from(["es", "pt"]),
    st.integers(0, 10_000),
)


class Counter:
    """Takes what a metric would."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, dict[str, str]]] = []

    def add(self, amount: float, attributes: dict[str, str]) -> None:
        self.taken.append((amount, attributes))


def test_uses_are_added_up_until_they_are_told() -> None:
    """By engine and language, with their price, each once."""
    meter = Meter(published())
    for characters in (1_000, 500):
        meter.take(Use(Component.TRANSLATION, "amazon", "es", characters))
    meter.take(Use(Component.SPEECH, "polly-neural", "es", 2_000))
    meter.take(Use(Component.TRANSLATION, "bergamot", "pt", 100))
    meter.take(Use(Component.SPEECH, "", "fr", 0))
    assert meter.drain() == [
        Usage(Use(Component.TRANSLATION, "amazon", "es", 1_500), 0.0225),
        Usage(Use(Component.SPEECH, "polly-neural", "es", 2_000), 0.032),
        Usage(Use(Component.TRANSLATION, "bergamot", "pt", 100), 0.0),
    ]
    assert not meter.drain()


@given(st.lists(st.tuples(USES, st.booleans())))
def test_nothing_is_told_twice_or_lost(uses: list[tuple[Use, bool]]) -> None:
    """However often it is asked, the sums are what was done."""
    meter = Meter(published())
    told: list[Usage] = []
    for use, ask in uses:
        meter.take(use)
        if ask:
            told += meter.drain()
    told += meter.drain()
    assert sum(usage.use.characters for usage in told) == sum(use.characters for use, _ in uses)


def test_metrics_know_engines_and_no_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters and cost go to the operator by component, engine and language."""
    characters, usd = Counter(), Counter()
    monkeypatch.setattr(cost, "ENGINE_CHARACTERS", characters)
    monkeypatch.setattr(cost, "ENGINE_COST", usd)
    Meter(published()).take(Use(Component.SPEECH, "polly-standard", "es", 1_000))
    labels = {
        instruments.COMPONENT: "speech",
        instruments.ENGINE: "polly-standard",
        instruments.LANGUAGE: "es",
    }
    assert characters.taken == [(1_000, labels)]
    assert usd.taken == [(0.004, labels)]


async def _translate(interpreter: EngineInterpreter, target: str, tally: cost.Tally) -> str:
    return await interpreter.translate(
        "Hello you.", source="en", target=target, glossary=Glossary(), urgency=Urgency.FINAL, tally=tally
    )


async def test_shared_steps_are_counted_once(interpreter: EngineInterpreter) -> None:
    """What several targets have in common is charged to the first; what the cache knows, to nobody."""
    uses: list[Use] = []
    await asyncio.gather(*(_translate(interpreter, target, uses.append) for target in ("pt", "es", "fr")))
    assert sorted((use.engine, use.language) for use in uses) == [
        ("apertium", "es"),
        ("apertium", "fr"),
        ("bergamot", "pt"),
    ]
    assert {use.characters for use in uses if use.engine == "bergamot"} == {len("Hello you.")}
    await _translate(interpreter, "fr", uses.append)
    assert len(uses) == 3


async def test_what_failed_is_not_counted(interpreter: EngineInterpreter, model: "FakeTranslator") -> None:
    """Nobody pays for no answer."""
    uses: list[Use] = []
    model.failures[Pair("en", "pt")] = EngineDied("bergamot")
    with pytest.raises(EngineDied):
        await _translate(interpreter, "pt", uses.append)
    assert not uses


async def test_a_voice_that_is_no_longer_waited_for_is_counted(interpreter: EngineInterpreter) -> None:
    """The engine finishes what it began, and charges for it."""
    uses: list[Use] = []
    speaking = asyncio.create_task(
        interpreter.speak("Hola.", language="es", prosody=Prosody(), tally=uses.append)
    )
    await asyncio.sleep(0)
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    await asyncio.sleep(0)
    assert uses == [Use(Component.SPEECH, "fake", "es", len("Hola."))]
