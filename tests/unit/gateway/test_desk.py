"""What can be spoken and heard, asked of services that are not always there."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from babelcast.errors import InvalidLanguage, ServiceUnavailable, UnsupportedLanguage
from gateway.desk import LANGUAGES_FRESH_S, Languages
from gateway.streams import Stations


class Services:
    """Both services' answers, counted; `away` says that they cannot be reached."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0
        self.sources = ["en", "es", "ja"]

    async def source_languages(self) -> Sequence[str]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise ServiceUnavailable("Away.")
        return self.sources

    async def target_languages(self) -> dict[str, Sequence[str]]:
        await asyncio.sleep(0)
        return {"en": ["es", "fr"], "xx": ["en"]}


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def languages_of(services: Services, clock: Clock) -> Languages:
    """The languages of those services."""
    return Languages(cast("Stations", services), clock=clock)


async def test_many_ask_at_once_and_the_services_once() -> None:
    """Until the answer is too old."""
    services, clock = Services(), Clock()
    languages = languages_of(services, clock)
    await asyncio.gather(*(languages.target("es", source="en") for _ in range(20)))
    assert services.asked == 1
    clock.now_s = LANGUAGES_FRESH_S
    services.sources = ["en"]
    assert await languages.sources() == ["en"]
    assert services.asked == 2


async def test_while_they_are_away_the_last_answer_counts() -> None:
    """A listener can join a talk in a language that is known, though its service restarts."""
    services, clock = Services(), Clock()
    languages = languages_of(services, clock)
    services.away = True
    with pytest.raises(ServiceUnavailable):
        await languages.sources()
    services.away = False
    assert await languages.source("en-GB") == "en"
    services.away = True
    clock.now_s = LANGUAGES_FRESH_S
    assert await languages.target("fr_CA", source="en") == "fr"
    assert services.asked == 3
    assert await languages.source("es") == "es"
    assert services.asked == 3


async def test_targets_are_those_of_what_can_be_spoken() -> None:
    """Each source is heard in itself; without a route it is heard in nothing else."""
    languages = languages_of(Services(), Clock())
    assert await languages.targets() == {"en": ["es", "fr"], "es": (), "ja": ()}
    assert await languages.target("ja", source="ja") == "ja"
    with pytest.raises(UnsupportedLanguage) as refused:
        await languages.target("en", source="ja")
    assert refused.value.details["available"] == ["ja"]
    for tag in ("", "e", "12", "en us", "x" * 40):
        with pytest.raises(InvalidLanguage):
            await languages.source(tag)
