"""Lag of voices over a simulated talk."""

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from bench.quality.engine_thread import MAKING_S, Said
from bench.quality.lag import PAUSE_S, RECOGNISED_AFTER_S, Spoken, lengthened, outcome, row
from translation_svc.cost import Tally, uncounted
from translation_svc.glossary import Glossary
from translation_svc.segments import Clip, Prosody, Tier
from translation_svc.turns import Urgency

if TYPE_CHECKING:
    from bench.quality.engine_thread import EngineThread


class Engines:
    """Gives texts back, and a voice of ten characters a second."""

    def warm(self, source: str, target: str | None) -> None:
        return None

    async def translate(
        self,
        text: str,
        *,
        source: str,
        target: str,
        glossary: Glossary,
        urgency: Urgency,
        tally: Tally = uncounted,
        context: str = "",
    ) -> str:
        await asyncio.sleep(MAKING_S)
        return text

    async def speak(
        self,
        text: str,
        *,
        language: str,
        prosody: Prosody,
        tier: Tier = Tier.STANDARD,
        tally: Tally = uncounted,
    ) -> Clip:
        await asyncio.sleep(MAKING_S)
        return Clip(b"\0\x20" * round(100 * len(text) / (prosody.rate * prosody.pace)), 1_000)


def _talk(*, source_s: float) -> list[Spoken]:
    """A minute of sentences that take 4 s in translation."""
    text = "four words of text".ljust(40, "s")
    return lengthened([Spoken(Said(text, text, 4.0), source_s)], seconds=60)


def test_a_talk_is_repeated_until_it_is_long_enough() -> None:
    """Whole segments, with the pauses between them."""
    assert len(_talk(source_s=2.8)) == 20


def test_a_voice_that_fits_is_as_late_as_recognition() -> None:
    """With and without the governor."""
    found = outcome(_talk(source_s=4.0), cast("EngineThread", Engines()), "es")
    assert found.ratio == pytest.approx(4.0 / 4.2)
    assert found.without.most_s == pytest.approx(RECOGNISED_AFTER_S)
    assert found.governed.most_s == pytest.approx(RECOGNISED_AFTER_S + 2 * MAKING_S, abs=0.15)
    assert (found.merged, found.spoken_over, set(found.paces)) == (0, 0, {1.0})


def test_a_voice_that_does_not_fit_is_later_and_later_or_left_out() -> None:
    """Without the governor by all that is too much, with it never by more than 8 s."""
    talk = _talk(source_s=2.5 - PAUSE_S)
    found = outcome(talk, cast("EngineThread", Engines()), "es")
    assert found.without.most_s == pytest.approx(RECOGNISED_AFTER_S + 1.5 * (len(talk) - 1))
    assert found.governed.most_s <= 8.1
    assert 0.1 < found.spoken_over <= 0.3
    assert found.words_spoken_over == pytest.approx(found.spoken_over)
    assert row("es", found)[:2] == ["es", "1.60"]
