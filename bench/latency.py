"""Lag at the listener: how long after the speaker a caption and a voice arrive, and where the time goes."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from babelcast.client import Speaker
from babelcast.errors import BabelcastError, ErrorCode
from babelcast.wav import Sound
from bench import measures
from bench.measures import Delay, Summary
from bench.talk import Talk, hold

CAPTION_LIMIT_S = 1.5
VOICE_MEDIAN_LIMIT_S = 1.5
VOICE_P95_LIMIT_S = 3.0
GROWTH_LIMIT_S = 0.5
STAGGER_S = 1.3
PROBE_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class LatencyOptions:
    """What is measured."""

    url: str
    token: str
    speech: Sound
    source_language: str
    target_languages: Sequence[str]
    sessions: int


@dataclass(frozen=True, slots=True)
class LatencyReport:
    """What came out; times in s, stages in ms."""

    sentences: int
    first_transcript: Summary
    first_caption: Summary
    voice: Summary
    voice_by_language: dict[str, Summary]
    stages_ms: dict[str, float]
    by_minute: list[tuple[int, Summary]]
    growth_s: float
    gaps: int
    lost: int
    """Voices that should have come and did not."""
    refused: str
    """The code with which one session more was refused; empty when it was accepted or not tried."""
    tried_one_more: bool
    problems: list[str]

    def shortfalls(self) -> list[str]:
        """What is not as it should be, one line each."""
        checks = [
            (self.first_caption.median_s <= CAPTION_LIMIT_S, "first captions come too late"),
            (self.voice.median_s <= VOICE_MEDIAN_LIMIT_S, "the voice's median lag is too long"),
            (self.voice.p95_s <= VOICE_P95_LIMIT_S, "the voice's p95 lag is too long"),
            (math.isnan(self.growth_s) or self.growth_s <= GROWTH_LIMIT_S, "the lag grows"),
            (self.gaps == 0, "voice messages are missing in the sequence"),
            (self.lost == 0, "sentences were not spoken"),
            (
                not self.tried_one_more or self.refused in {"", ErrorCode.SERVICE_UNAVAILABLE},
                f"one session more was refused with {self.refused}",
            ),
        ]
        return [text for fine, text in checks if not fine]


async def measure(options: LatencyOptions) -> LatencyReport:
    """Hold the talks, staggered, and try one session more while they run (when there are several).

    Raises: BabelcastError.
    """
    async with asyncio.TaskGroup() as group:
        talks = [
            group.create_task(_late_talk(options, number * STAGGER_S), name=f"talk-{number}")
            for number in range(options.sessions)
        ]
        probe = None
        if options.sessions > 1:
            after_s = options.sessions * STAGGER_S + PROBE_AFTER_S
            probe = group.create_task(_one_more(options, after_s), name="one-more")
    refused = probe.result() if probe is not None else ""
    return report([talk.result() for talk in talks], options.speech, refused=refused, tried=probe is not None)


def report(talks: Sequence[Talk], speech: Sound, *, refused: str = "", tried: bool = False) -> LatencyReport:
    """The figures of some talks of the same speech."""
    active = measures.activity(speech)
    transcripts: list[Delay] = []
    captions: list[Delay] = []
    voices: dict[str, list[Delay]] = {}
    lost = 0
    for talk in talks:
        spoken = measures.spans(talk, active)
        transcripts += measures.first_transcripts(talk, spoken)
        for heard in talk.listeners:
            captions += measures.first_captions(heard, spoken)
            voices.setdefault(heard.language, []).extend(measures.voice_lags(heard, spoken))
            lost += len(spoken.keys() - measures.voiced(heard))
    every_voice = [delay for delays in voices.values() for delay in delays]
    listeners = [heard for talk in talks for heard in talk.listeners]
    return LatencyReport(
        sentences=sum(len(talk.finals()) for talk in talks),
        first_transcript=Summary.of(delay.delay_s for delay in transcripts),
        first_caption=Summary.of(delay.delay_s for delay in captions),
        voice=Summary.of(delay.delay_s for delay in every_voice),
        voice_by_language={
            language: Summary.of(delay.delay_s for delay in delays) for language, delays in voices.items()
        },
        stages_ms=measures.stage_medians_ms(listeners),
        by_minute=measures.per_minute(every_voice),
        growth_s=measures.growth_s(every_voice),
        gaps=sum(len(heard.gaps) for heard in listeners),
        lost=lost,
        refused=refused,
        tried_one_more=tried,
        problems=sorted({problem for talk in talks for problem in talk.problems}),
    )


async def _late_talk(options: LatencyOptions, after_s: float) -> Talk:
    await asyncio.sleep(after_s)
    return await hold(
        options.url,
        token=options.token,
        speech=options.speech,
        source_language=options.source_language,
        target_languages=options.target_languages,
    )


async def _one_more(options: LatencyOptions, after_s: float) -> str:
    """The code with which a further session is refused; empty when it is accepted (it is ended at once)."""
    await asyncio.sleep(after_s)
    async with await Speaker.connect(options.url, token=options.token) as speaker:
        try:
            await speaker.create_session(options.source_language)
        except BabelcastError as error:
            return error.code
        await speaker.end("benchmark")
    return ""
