"""A text's way along a route: sentence by sentence, step by step."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from translation_svc import repairs
from translation_svc.cache import Cache, Keep, cache_key, version_of
from translation_svc.cost import Tally, Use, uncounted
from translation_svc.failures import EngineFailure, EngineMissing
from translation_svc.glossary import Glossary
from translation_svc.orthography import clean, finish, prepare
from translation_svc.placeholders import mask, untouchable
from translation_svc.routes import Route, Step
from translation_svc.segments import Component
from translation_svc.sentences import split
from translation_svc.translators.base import MAX_WORDS, Translator
from translation_svc.turns import Urgency

log = logging.getLogger(__name__)


class Chain:
    """Walks routes with the engines that their steps name.

    Every step's outcome is cached, so what several targets have in common is done once.
    """

    def __init__(
        self,
        engines: Mapping[str, Translator],
        cache: Cache,
        *,
        edition: Callable[[Step], str] = lambda _step: "",
    ) -> None:
        """`edition` tells what a step's answers depend on besides its engine and languages."""
        self._engines = engines
        self._cache = cache
        self._edition = edition

    async def warm(self, route: Route) -> None:
        """Start the engines of all steps, side by side. A failure is logged; sentences will meet it again."""
        outcomes = await asyncio.gather(*map(self._warm_step, route), return_exceptions=True)
        for step, outcome in zip(route, outcomes, strict=True):
            if isinstance(outcome, EngineFailure):
                log.warning("warming failed", extra={"engine": step.engine, "error": type(outcome).__name__})
            elif isinstance(outcome, BaseException):
                raise outcome

    async def translate(
        self,
        text: str,
        route: Route,
        *,
        target: str,
        glossary: Glossary,
        urgency: Urgency,
        tally: Tally = uncounted,
    ) -> str:
        """`text` along `route`; `tally` is told what engines did for it. Raises: EngineFailure."""
        if not route:
            return text
        sentences = split(text, max_words=MAX_WORDS)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(
                        self._sentence(
                            sentence, route, target=target, glossary=glossary, urgency=urgency, tally=tally
                        )
                    )
                    for sentence in sentences
                ]
        except* EngineFailure as failed:
            failure = failed
        else:
            return " ".join(filter(None, (task.result() for task in tasks)))
        raise next(error for error in failure.exceptions if isinstance(error, EngineFailure))

    async def _sentence(
        self,
        sentence: str,
        route: Route,
        *,
        target: str,
        glossary: Glossary,
        urgency: Urgency,
        tally: Tally,
    ) -> str:
        terms = glossary.spans(sentence, target)
        masked = mask(sentence, [*terms, *untouchable(sentence)])
        version = version_of(glossary.terms) if terms else ""
        translated = await self._plain(
            masked.text, route, target=target, urgency=urgency, tally=tally, version=version
        )
        restored = masked.restore(translated)
        if restored is None:  # an engine lost a placeholder: better a mistranslated term than a hole
            return await self._plain(sentence, route, target=target, urgency=urgency, tally=tally)
        return restored

    async def _plain(
        self,
        sentence: str,
        route: Route,
        *,
        target: str,
        urgency: Urgency,
        tally: Tally,
        version: str = "",
    ) -> str:
        """`version` is that of the glossary, where the sentence has terms of it."""
        cleaned = clean(sentence)
        if not any(map(str.isalnum, cleaned)):
            return cleaned
        prepared = prepare(cleaned)
        text = prepared.text
        for step in route:
            text = await self._step(text, step, urgency=urgency, tally=tally, version=version)
        return finish(text, prepared, language=target)

    async def _step(self, text: str, step: Step, *, urgency: Urgency, tally: Tally, version: str) -> str:
        async def make() -> str:
            repaired = repairs.before(text, step)
            translated = await self._engine(step).translate(repaired, step.pair, urgency=urgency)
            tally(Use(Component.TRANSLATION, step.engine, step.pair.target, len(repaired)))
            return repairs.after(translated, step)

        keep = Keep.EVERYWHERE if urgency is Urgency.FINAL else Keep.HERE
        key = cache_key(step, text, edition=self._edition(step), glossary=version)
        return await self._cache.get(key, make, keep=keep)

    async def _warm_step(self, step: Step) -> None:
        await self._engine(step).warm(step.pair)

    def _engine(self, step: Step) -> Translator:
        engine = self._engines.get(step.engine)
        if engine is None:
            raise EngineMissing(step.engine, "it is not configured")
        return engine
