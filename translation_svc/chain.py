"""A text's way along a route: sentence by sentence, step by step."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from babelcast.telemetry import tracing
from babelcast.telemetry.instruments import ENGINE, LANGUAGE, TRANSLATION_DURATION
from translation_svc import numerals, repairs
from translation_svc.cache import Cache, Keep, cache_key
from translation_svc.cost import Tally, Use, uncounted
from translation_svc.failures import EngineFailure, EngineMissing
from translation_svc.glossary import Glossary
from translation_svc.orthography import clean, finish, prepare
from translation_svc.placeholders import Span, apart, covered, mask, untouchable
from translation_svc.routes import Route, Step
from translation_svc.segments import Component
from translation_svc.sentences import split
from translation_svc.translators.base import MAX_WORDS, Translator
from translation_svc.turns import Urgency

log = logging.getLogger(__name__)

_CONTEXT_END = "\u241f"
"""Between a sentence and the one before it in the key of its translation."""


@dataclass(frozen=True, slots=True)
class _Way:
    """What all sentences of a text have in common."""

    route: Route
    target: str
    glossary: Glossary
    urgency: Urgency
    tally: Tally

    @property
    def source(self) -> str:
        return self.route[0].pair.source


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
        context: str = "",
    ) -> str:
        """`text` along `route`; `tally` is told what engines did for it. `context` is what was said before.

        Terms, addresses and numbers of `text` are in the translation, whatever engines do to them.

        Raises: EngineFailure.
        """
        if not route:
            return text
        way = _Way(route, target, glossary, urgency, tally)
        sentences = split(text, max_words=MAX_WORDS)
        contexts = [*(split(context, max_words=MAX_WORDS)[-1:] or [""]), *sentences]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._sentence(sentence, way, before))
                    for sentence, before in zip(sentences, contexts, strict=False)
                ]
        except* EngineFailure as failed:
            failure = failed
        else:
            return " ".join(filter(None, (task.result() for task in tasks)))
        raise next(error for error in failure.exceptions if isinstance(error, EngineFailure))

    async def _sentence(self, sentence: str, way: _Way, context: str) -> str:
        """The sentence with placeholders for what engines spoil; when that is not enough, for its numbers
        too; when a placeholder does not come back, in pieces around what must.
        """
        terms = way.glossary.spans(sentence, way.target)
        spans = [*terms, *untouchable(sentence)]
        spans += numerals.amounts(covered(sentence, spans), source=way.source, target=way.target)
        version = way.glossary.version if terms else ""
        masked = mask(sentence, spans)
        numbers = numerals.figures(masked.text)
        translated = await self._plain(masked.text, way, version, context)
        restored = masked.restore(translated)
        if restored is not None and not numerals.lost(numbers, masked.without(translated)):
            return restored
        spans += numerals.numbers(covered(sentence, spans), source=way.source, target=way.target)
        masked = mask(sentence, spans)
        if masked.complete:
            restored = masked.restore(await self._plain(masked.text, way, version, context))
            if restored is not None:
                return restored
        return await self._in_pieces(sentence, apart(spans), way, version)

    async def _in_pieces(self, sentence: str, spans: Sequence[Span], way: _Way, version: str) -> str:
        pieces: list[str] = []
        position = 0
        for span in (*spans, Span(len(sentence), len(sentence), "")):
            piece = sentence[position : span.start]
            words = piece.strip()
            if words:
                before, behind = piece[: piece.index(words)], piece[piece.index(words) + len(words) :]
                pieces += [before, await self._plain(words, way, version, ""), behind]
            else:
                pieces.append(piece)
            pieces.append(span.becomes)
            position = span.end
        return "".join(pieces)

    async def _plain(self, sentence: str, way: _Way, version: str, context: str) -> str:
        """`version` is that of the glossary, where the sentence has terms of it."""
        cleaned = clean(sentence)
        if not any(map(str.isalnum, cleaned)):
            return cleaned
        prepared = prepare(cleaned)
        text = prepared.text
        for position, step in enumerate(way.route):
            text = await self._step(text, step, way, version, context if position == 0 else "")
        return finish(text, prepared, language=way.target)

    async def _step(self, text: str, step: Step, way: _Way, version: str, context: str) -> str:
        engine = self._engine(step)
        before = clean(context) if engine.capabilities.takes_context else ""
        traced = {tracing.ENGINE: step.engine, tracing.LANGUAGE: step.pair.target}

        async def make() -> str:
            repaired = repairs.before(text, step)
            began_s = time.perf_counter()
            with tracing.stage(f"engine {step.engine}", attributes=traced):
                translated = await engine.translate(repaired, step.pair, urgency=way.urgency, context=before)
            labels = {ENGINE: step.engine, LANGUAGE: step.pair.target}
            TRANSLATION_DURATION.record(time.perf_counter() - began_s, labels)
            way.tally(Use(Component.TRANSLATION, step.engine, step.pair.target, len(repaired)))
            return repairs.after(translated, step)

        keep = Keep.EVERYWHERE if way.urgency is Urgency.FINAL else Keep.HERE
        asked = f"{before} {_CONTEXT_END} {text}" if before else text
        key = cache_key(step, asked, edition=self._edition(step), glossary=version)
        return await self._cache.get(key, make, keep=keep)

    async def _warm_step(self, step: Step) -> None:
        await self._engine(step).warm(step.pair)

    def _engine(self, step: Step) -> Translator:
        engine = self._engines.get(step.engine)
        if engine is None:
            raise EngineMissing(step.engine, "it is not configured")
        return engine
