"""The second half of the way: sentences into captions and voices, over as many streams as it takes."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from babelcast.bus.base import Topic
from babelcast.channel import Channel, ChannelClosed
from babelcast.errors import BabelcastError, InvalidParameter, ServiceUnavailable, is_moving
from babelcast.event.v1 import event_pb2 as event
from babelcast.session.v1 import session_pb2 as session_api
from babelcast.telemetry import tracing
from babelcast.telemetry.instruments import (
    KIND,
    LANGUAGE,
    TRANSCRIPT_FORWARDING,
    TRANSCRIPTS_FORWARDED,
    VOICE_LAG,
)
from babelcast.translation.v1 import translation_pb2 as api
from gateway import measuring, messages
from gateway.backoff import Backoff
from gateway.captions import OpenCaption
from gateway.fanout import Demand
from gateway.handover import Handover
from gateway.pacing import Newest
from gateway.playout import Playout
from gateway.publisher import Publisher
from gateway.sentences import Sentence, Sentences, Waiting, elapsed_ms
from gateway.streams import Stations, TranslationStream

MAX_WAITING_SEGMENTS = 64
LATE_MS = 180_000
"""So much of what was said is translated for those who come late to a language."""
LATE_ANSWER_S = 10.0
# Policy: those said first are left out.
MAX_LATE = 256
LAG_MS = 60_000
"""No language is ever so far behind."""
PARTIAL_INTERVAL_S = 0.5
"""Partial captions of a language come no more often: nobody reads faster, and each is work for engines."""

log = logging.getLogger(__name__)


class Translating:
    """Keeps the sentences that languages still wait for and sends them again when a stream breaks."""

    def __init__(
        self,
        session: session_api.Session,
        *,
        stations: Stations,
        publisher: Publisher,
        demand: Callable[[Topic], Demand],
        clock_ms: Callable[[], int],
        on_usage: Callable[[Iterable[api.Usage]], None],
    ) -> None:
        """`demand` says what the listeners of a topic want made; `on_usage` hears what engines did for it."""
        self._session = session
        self._stations = stations
        self._publisher = publisher
        self._demand = demand
        self._clock_ms = clock_ms
        self._on_usage = on_usage
        self._sentences = Sentences()
        self._playout = Playout()
        self.lags: dict[str, int] = {}
        """Language -> from the end of the newest sentence until its voice is heard, or its caption seen where
        there is no voice, ms."""
        self._lag_of: dict[str, int] = {}
        self._backoff = Backoff()
        self._moves = False  # whether the last stream ended because its replica was about to stop
        # Policy: a final waits for room, a partial is left out when half is taken.
        self._requests: Channel[api.StreamingTranslateRequest] = Channel(MAX_WAITING_SEGMENTS)
        self._partials: Newest[api.Segment] = Newest(PARTIAL_INTERVAL_S)
        self._asked: tuple[int, str, list[str]] | None = None
        self._captions: dict[str, OpenCaption] = {}
        self._late: Channel[tuple[Sentence, str]] = Channel(MAX_LATE)
        self._late_answered = asyncio.Event()

    def go_on(self, handover: Handover) -> None:
        """Begin where another owner stopped; called before `run`."""
        for sentence in handover.sentences:
            self._sentences.add(sentence)
        for language, caption in handover.captions.items():
            shown = tuple(caption.text.split())
            self._captions[language] = OpenCaption(segment=caption.segment, shown=shown, before=shown)
        for voice in handover.voices:
            self._playout.add(voice.language, duration_ms=voice.duration_ms, now_ms=voice.published_ms)
        for sentence in self._sentences.unanswered():
            # opens the stream, which then asks for all that are unanswered
            self._requests.send_dropping_oldest(_request(sentence.request()))

    def owe(self, sentence: Sentence) -> None:
        """Let every language that is listened to wait for a sentence."""
        for language in self._publisher.targets():
            demand = self._demand(self._publisher.topic(language))
            sentence.waiting[language] = Waiting(speak=demand.voice, opus=demand.opus)
            sentence.asked.add(language)

    async def final(self, sentence: Sentence) -> None:
        """Take a sentence for the languages that wait for it; one that is known stays as it is."""
        known = self._sentences.get(sentence.segment)
        if known is None:
            self._sentences.add(sentence)
            self._partials.clear()
            known = sentence
        if known.waiting:
            await self._requests.send(_request(known.request()))
        else:
            known.received_s = None

    def partial(self, segment: int, revision: int, text: str) -> None:
        """Take the part of an open sentence that will stay; shown, never spoken. Newer ones replace it."""
        languages = self._publisher.targets()
        if languages and self._asked != (segment, text, languages):
            self._asked = (segment, text, languages)
            targets = [api.Target(language=language) for language in languages]
            self._partials.put(api.Segment(segment=segment, revision=revision, text=text, targets=targets))

    def expect(self) -> None:
        """Let the engines of the languages that are listened to be made ready."""
        languages = self._publisher.targets()
        if languages and self._has_room():
            expected = api.ExpectedTargets(languages=languages)
            self._requests.send_dropping_oldest(api.StreamingTranslateRequest(expected=expected))

    def catch_up(self, languages: Collection[str]) -> None:
        """Let those who begin to listen in languages that nobody listened in read what was said last. It is
        translated after live work, a sentence at a time, and not spoken.
        """
        if self._late.closed:
            return
        for sentence in self._sentences.since(self._clock_ms() - LATE_MS):
            for language in languages:
                if language != self._publisher.source and language not in sentence.asked:
                    self._late.send_dropping_oldest((sentence, language))

    def revise(self, segment: int, text: str) -> Sentence:
        """Correct a sentence, which is then to be taken by `revised`; it is shown again in every language,
        not spoken again.

        A language that has not heard it yet still will, corrected.

        Raises: InvalidParameter when it is not remembered, ServiceUnavailable when the talk is ending.
        """
        if self._requests.closed:
            raise ServiceUnavailable("The talk is ending.")
        sentence = self._sentences.revise(segment, text=text, languages=self._publisher.targets())
        if sentence is None:
            raise InvalidParameter("segmentId", "there is no such sentence.")
        return sentence

    async def revised(self, sentence: Sentence) -> None:
        """Take a sentence that was corrected."""
        if sentence.waiting:
            await self._requests.send(_request(sentence.request()))

    def close(self) -> None:
        """No more sentences; `run` returns when all are answered."""
        self._late.close()
        self._requests.close()

    async def run(self) -> None:
        """Go until closed. The stream is opened when there is somebody who listens."""
        async with asyncio.TaskGroup() as group:
            pacing = group.create_task(self._send_partials(), name="send-partials")
            catching_up = group.create_task(self._send_late(), name="send-late")
            await self._interpret()
            pacing.cancel()
            catching_up.cancel()

    async def _send_partials(self) -> None:
        while True:
            partial = await self._partials.take()
            if self._has_room():
                self._requests.send_dropping_oldest(_request(partial))

    async def _send_late(self) -> None:
        async for sentence, language in self._late:
            known = self._sentences.get(sentence.segment) is sentence
            if not known or language in sentence.asked or language not in self._publisher.targets():
                continue
            sentence.asked.add(language)
            sentence.waiting[language] = Waiting(speak=False, opus=False, late=True)
            self._late_answered.clear()
            try:
                await self._requests.send(_request(sentence.request(only=language)))
            except ChannelClosed:
                return
            with contextlib.suppress(TimeoutError):  # its stream broke, or others are in its way
                async with asyncio.timeout(LATE_ANSWER_S):
                    await self._late_answered.wait()

    async def _interpret(self) -> None:
        try:
            first = await self._requests.receive()
        except ChannelClosed:
            return
        while not await self._converse(first):
            if not self._moves:
                await self._publisher.notice("translation", self._publisher.targets(), degraded=True)

    async def _converse(self, first: api.StreamingTranslateRequest) -> bool:
        try:
            async with await self._open() as stream, asyncio.TaskGroup() as group:
                group.create_task(self._send(stream, first), name="send-segments")
                async for response in stream:
                    await self._on_response(response)
                if not self._requests.closed:
                    raise ServiceUnavailable("Translation ended before the talk did.")
        except* BabelcastError as broken:
            self._moves = any(map(is_moving, broken.exceptions))
            if self._moves:
                log.info("translation moves to another replica")
                self._backoff.reset()
            else:
                log.warning("translation stream broke", extra={"why": str(broken.exceptions[0])})
                if isinstance(error := broken.exceptions[0], BabelcastError):
                    measuring.broke("translation", "running", error)
        else:
            return True
        return False

    async def _open(self) -> TranslationStream:
        settings = self._session.settings
        config = api.StreamConfig(
            session_id=self._session.session_id,
            source_language=settings.source_language,
            quality_tier=messages.quality_tier(settings.quality_tier),
            glossary=[
                api.GlossaryEntry(term=entry.term, translations=entry.translations)
                for entry in settings.glossary
            ],
        )
        while True:
            await self._backoff.wait()
            try:
                return await self._stations.translate(config)
            except BabelcastError as error:
                log.warning("translation stream not opened", extra={"code": error.code})
                moves = is_moving(error)
            if not moves:
                await self._publisher.notice("translation", self._publisher.targets(), degraded=True)
            # its sentences are among the unanswered; full, it would hold up transcription
            self._requests.clear()

    async def _send(self, stream: TranslationStream, first: api.StreamingTranslateRequest) -> None:
        expected = api.ExpectedTargets(languages=self._publisher.targets())
        await stream.send(api.StreamingTranslateRequest(expected=expected))
        # Every sentence in the channel is among the unanswered ones too, so the channel starts empty.
        self._requests.clear()
        unanswered = [_request(sentence.request()) for sentence in self._sentences.unanswered()]
        if not unanswered and first.HasField("segment") and not first.segment.is_final:
            unanswered = [first]
        for request in unanswered:
            await stream.send(self._timed(request))
            self._forwarded(request)
        async for request in self._requests:
            await stream.send(self._timed(request))
            self._forwarded(request)
        await stream.send(api.StreamingTranslateRequest(end=api.EndOfSegments()))

    def _timed(self, request: api.StreamingTranslateRequest) -> api.StreamingTranslateRequest:
        """A request, with how late its segment and the voices of its languages are at this moment."""
        sentence = self._sentences.get(request.segment.segment) if request.segment.is_final else None
        if sentence is not None:
            now_ms = self._clock_ms()
            request.segment.ended_ago_ms = elapsed_ms(sentence.spoken_end_ms, now_ms)
            for target in request.segment.targets:
                target.unplayed_ms = self._playout.unplayed_ms(target.language, now_ms=now_ms)
        return request

    def _forwarded(self, request: api.StreamingTranslateRequest) -> None:
        """Count a text that went; a final one when it goes for the first time."""
        if not request.HasField("segment"):
            return
        if not request.segment.is_final:
            TRANSCRIPTS_FORWARDED.add(1, {KIND: "partial"})
            return
        sentence = self._sentences.get(request.segment.segment)
        if sentence is not None and sentence.received_s is not None:
            TRANSCRIPTS_FORWARDED.add(1, {KIND: "final"})
            TRANSCRIPT_FORWARDING.record(time.perf_counter() - sentence.received_s)
            sentence.received_s = None

    async def _on_response(self, response: api.StreamingTranslateResponse) -> None:
        self._backoff.reset()
        self._on_usage(response.usage)
        if response.traceparent:
            with tracing.under(response.traceparent):
                await self._on_answer(response)
        else:
            await self._on_answer(response)

    async def _on_answer(self, response: api.StreamingTranslateResponse) -> None:
        if response.HasField("translation"):
            await self._on_translation(response.translation)
        elif response.HasField("speech"):
            await self._on_speech(response.speech)
        elif response.HasField("spoken_over"):
            await self._on_spoken_over(response.spoken_over)
        elif response.HasField("failure") and response.failure.is_final:
            await self._on_failure(response.failure)

    async def _on_translation(self, answer: api.Translation) -> None:
        sentence = self._sentences.get(answer.segment)
        if not answer.is_final:
            if sentence is None:  # else it comes too late
                await self._partial_caption(answer)
            return
        waiting = sentence.waiting.get(answer.language) if sentence else None
        if sentence is None or waiting is None or answer.revision != sentence.revision:
            return
        if waiting.text is None:
            await self._final_caption(answer.language, answer.text, sentence, late=waiting.late)
            waiting.text = answer.text
            waiting.translated_ms = elapsed_ms(sentence.spoken_end_ms, self._clock_ms())
            if not waiting.speak:
                self._lag(answer.language, answer.segment, waiting.translated_ms)
        if not waiting.speak:
            sentence.answered(answer.language, waiting)
        if waiting.late:
            self._late_answered.set()
        await self._publisher.notice("translation", [answer.language], degraded=False)

    async def _on_speech(self, answer: api.Speech) -> None:
        heard = [*self._awaiting_voice(answer.language, (answer.segment, *answer.merged))]
        said = [(sentence, waiting) for sentence, waiting in heard if waiting.text is not None]
        if not said:
            return
        now_ms = self._clock_ms()
        unplayed_ms = self._playout.unplayed_ms(answer.language, now_ms=now_ms)
        spoken = _spoken(said, answer, now_ms=now_ms, unplayed_ms=unplayed_ms)
        await self._publisher.voice(answer.language, spoken)
        self._playout.add(answer.language, duration_ms=answer.duration_ms, now_ms=now_ms)
        self._lag(answer.language, spoken.segment, spoken.timing.heard_ms)
        VOICE_LAG.record(spoken.timing.heard_ms / 1000, {LANGUAGE: answer.language})
        for sentence, waiting in heard:
            if waiting.text is None:
                waiting.speak = False  # corrected meanwhile: it is shown as corrected, not spoken again
            else:
                sentence.answered(answer.language, waiting)
        await self._publisher.notice("speech", [answer.language], degraded=False)

    async def _on_spoken_over(self, answer: api.SpokenOver) -> None:
        for sentence, waiting in self._awaiting_voice(answer.language, (answer.segment,)):
            if waiting.text is not None:
                await self._publisher.spoken_over(answer.language, answer.segment)
                sentence.answered(answer.language, waiting)

    def _awaiting_voice(self, language: str, segments: Iterable[int]) -> Iterator[tuple[Sentence, Waiting]]:
        """Those of the segments whose voice a language still waits for."""
        for number in segments:
            sentence = self._sentences.get(number)
            waiting = sentence.waiting.get(language) if sentence else None
            if sentence is not None and waiting is not None and waiting.speak:
                yield sentence, waiting

    async def _on_failure(self, failure: api.Failure) -> None:
        sentence = self._sentences.get(failure.segment)
        waiting = sentence.waiting.get(failure.language) if sentence else None
        if sentence is None or waiting is None or failure.revision != sentence.revision:
            return
        speech = failure.component == api.COMPONENT_SPEECH
        if not speech and waiting.text is None:
            # better the speaker's own words than a hole in the captions
            await self._final_caption(failure.language, sentence.text, sentence, late=waiting.late)
        sentence.answered(failure.language, waiting)
        if waiting.late:
            self._late_answered.set()
        component = "speech" if speech else "translation"
        await self._publisher.notice(component, [failure.language], degraded=True)

    def _lag(self, language: str, segment: int, lag_ms: int) -> None:
        """Take note of a sentence's lag, unless it was said long ago: corrected, or for late comers."""
        if segment > self._lag_of.get(language, -1) and lag_ms < LAG_MS:
            self.lags[language] = lag_ms
            self._lag_of[language] = segment

    def _has_room(self) -> bool:
        return len(self._requests) < MAX_WAITING_SEGMENTS // 2 and not self._requests.closed

    async def _partial_caption(self, answer: api.Translation) -> None:
        open_caption = self._captions.setdefault(answer.language, OpenCaption())
        text = open_caption.show(answer.segment, answer.text)
        if text is not None:
            await self._publisher.caption(
                answer.language,
                event.Caption(segment=answer.segment, revision=answer.revision, text=text, is_final=False),
            )

    async def _final_caption(self, language: str, text: str, sentence: Sentence, *, late: bool) -> None:
        caption = event.Caption(
            segment=sentence.segment,
            revision=sentence.revision,
            text=text,
            source_text=sentence.text,
            is_final=True,
            late=late,
            spoken_end_ms=sentence.spoken_end_ms,
        )
        await self._publisher.final_caption(
            language,
            caption,
            start_ms=sentence.start_ms,
            end_ms=sentence.end_ms,
            said_ms=sentence.spoken_end_ms,
        )


def _request(segment: api.Segment) -> api.StreamingTranslateRequest:
    return api.StreamingTranslateRequest(segment=segment)


def _spoken(
    said: Sequence[tuple[Sentence, Waiting]], answer: api.Speech, *, now_ms: int, unplayed_ms: int
) -> event.TranslatedAudio:
    """The sentences that one speech says, the first of which gives the numbers."""
    first, waiting = said[0]
    synthesized_ms = elapsed_ms(first.spoken_end_ms, now_ms)
    return event.TranslatedAudio(
        segment=first.segment,
        merged=[sentence.segment for sentence, _ in said[1:]],
        text=" ".join(waiting.text or "" for _, waiting in said),
        source_text=" ".join(sentence.text for sentence, _ in said),
        pcm=answer.pcm,
        sample_rate_hz=answer.sample_rate_hz,
        opus=answer.opus,
        duration_ms=answer.duration_ms,
        pace=answer.pace or 1.0,
        dynamics=first.spoken_dynamics(),
        timing=event.Timing(
            transcribed_ms=first.transcribed_ms,
            translated_ms=waiting.translated_ms,
            synthesized_ms=synthesized_ms,
            spoken_end_ms=first.spoken_end_ms,
            heard_ms=synthesized_ms + unplayed_ms,
        ),
    )
