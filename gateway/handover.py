"""Where a talk is, read from what its owner published before it went away. Pure.

The log is the topic of the source language: each final text is there before it is translated, with who is
owed a translation. What the topic of a language does not have yet is still owed; what it has is not made
again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from babelcast.event.v1 import event_pb2 as event
from babelcast.transcription.v1 import transcription_pb2 as transcription_api
from gateway.sentences import Sentence, Waiting, elapsed_ms

NEVER_GIVEN: Final = 1_000_000
"""Segments of an owner that found no log count from so many for each owner before it: none comes twice."""


@dataclass(frozen=True, slots=True)
class Log:
    """The history of the source language's topic, put together."""

    finals: Mapping[int, event.Transcript]
    """The newest revision of each segment that is final, by number, in order."""
    open: event.Transcript | None
    """The segment that was being said, as it was shown last."""
    checkpoint: event.Checkpoint | None
    """The newest."""
    interrupted: bool
    """Whether its listeners were told that transcription is gone."""
    owed_at_ms: Mapping[str, int]
    """When each language was owed something last, epoch ms."""
    traceparents: Mapping[int, str] = field(default_factory=dict)
    """The trace contexts of final segments that are traced, by number."""

    @property
    def next_segment(self) -> int | None:
        """The first number that no final text has; None when nothing is known."""
        known = [number + 1 for number in self.finals]
        if self.checkpoint is not None:
            known.append(self.checkpoint.next_segment)
        return max(known, default=None)


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice that listeners may still be hearing."""

    language: str
    duration_ms: int
    published_ms: int


@dataclass(frozen=True, slots=True)
class Handover:
    """What an owner begins with."""

    next_segment: int = 0
    checkpoint: event.Checkpoint | None = None
    open: event.Transcript | None = None
    sentences: Sequence[Sentence] = ()
    """All that are remembered, in order; their `waiting` are what is still owed."""
    captions: Mapping[str, event.Caption] = field(default_factory=dict)
    """How far the captions of the open segment had come, by language."""
    voices: Sequence[Voice] = ()
    degraded: frozenset[tuple[str, str]] = frozenset()
    """Component and language of which listeners were told that they are out of order."""
    interrupted: frozenset[str] | None = None
    """The languages that were told that transcription is; None when it was not."""


def read_log(history: Iterable[event.Broadcast]) -> Log:
    """Put the history of the source language's topic together."""
    finals: dict[int, event.Transcript] = {}
    open_segment: event.Transcript | None = None
    checkpoint: event.Checkpoint | None = None
    interrupted = False
    owed_at_ms: dict[str, int] = {}
    traceparents: dict[int, str] = {}
    for broadcast in history:
        if broadcast.HasField("checkpoint"):
            checkpoint = broadcast.checkpoint
        elif broadcast.HasField("notice"):
            interrupted = broadcast.notice.degraded
        elif broadcast.HasField("transcript") and not broadcast.transcript.is_final:
            open_segment = broadcast.transcript
        elif broadcast.HasField("transcript"):
            transcript = broadcast.transcript
            finals[transcript.segment] = transcript
            if broadcast.traceparent:
                traceparents[transcript.segment] = broadcast.traceparent
            if transcript.sentence.HasField("checkpoint"):
                checkpoint = transcript.sentence.checkpoint
            for owed in transcript.sentence.owed:
                owed_at_ms[owed.language] = broadcast.timestamp_ms
    finals = dict(sorted(finals.items()))
    log = Log(finals, open_segment, checkpoint, interrupted, owed_at_ms, traceparents)
    if open_segment is not None and open_segment.segment < (log.next_segment or 0):
        return replace(log, open=None)
    return log


def hand_over(
    log: Log, topics: Mapping[str, Sequence[event.Broadcast]], *, source: str, epoch: int
) -> Handover:
    """Where the talk is. `topics` are the histories of the languages, the source's own not among them;
    `epoch` is that of the owner to come.
    """
    answers = {language: _answers(history) for language, history in topics.items()}
    interrupted = {language for language, answer in answers.items() if answer.told.get("transcription")}
    if log.interrupted:
        interrupted.add(source)
    next_segment = log.next_segment
    if next_segment is None:
        next_segment = NEVER_GIVEN * max(0, epoch - 1)
    if log.open is not None:
        next_segment = max(next_segment, log.open.segment)
    return Handover(
        next_segment=next_segment,
        checkpoint=log.checkpoint,
        open=log.open,
        sentences=[
            _sentence(transcript, answers, log.traceparents.get(number, ""))
            for number, transcript in log.finals.items()
        ],
        captions={
            language: answer.partial
            for language, answer in answers.items()
            if answer.partial is not None and answer.partial.segment >= next_segment
        },
        voices=[
            Voice(language, broadcast.audio.duration_ms, broadcast.timestamp_ms)
            for language, history in topics.items()
            for broadcast in history
            if broadcast.HasField("audio")
        ],
        degraded=frozenset(
            (component, language)
            for language, answer in answers.items()
            for component, degraded in answer.told.items()
            if degraded and component != "transcription"
        ),
        interrupted=frozenset(interrupted) or None,
    )


@dataclass(slots=True)
class _Answers:
    """What a language has got."""

    captions: dict[int, tuple[event.Caption, int]] = field(default_factory=dict)
    """Final ones by segment, with when they were published (epoch ms)."""
    partial: event.Caption | None = None
    voiced: int = -1
    """The last segment that was spoken, or left out."""
    told: dict[str, bool] = field(default_factory=dict)
    """Whether a component was said to be out of order."""


def _answers(history: Iterable[event.Broadcast]) -> _Answers:
    answers = _Answers()
    for broadcast in history:
        match broadcast.WhichOneof("payload"):
            case "caption" if broadcast.caption.is_final:
                answers.captions[broadcast.caption.segment] = (broadcast.caption, broadcast.timestamp_ms)
            case "caption":
                answers.partial = broadcast.caption
            case "audio":
                answers.voiced = max(answers.voiced, broadcast.audio.segment, *broadcast.audio.merged)
            case "spoken_over":
                answers.voiced = max(answers.voiced, broadcast.spoken_over.segment)
            case "notice":
                answers.told[broadcast.notice.component] = broadcast.notice.degraded
    return answers


def _sentence(transcript: event.Transcript, answers: Mapping[str, _Answers], traceparent: str) -> Sentence:
    said = transcript.sentence
    how = said.dynamics
    sentence = Sentence(
        segment=transcript.segment,
        revision=transcript.revision,
        text=transcript.text,
        dynamics=transcription_api.Dynamics(
            volume_db=how.volume,
            rate=how.rate,
            energy=how.energy,
            emotion=how.emotion,
            intensity=how.intensity,
        ),
        spoken_end_ms=said.spoken_end_ms,
        transcribed_ms=said.transcribed_ms,
        start_ms=transcript.start_ms,
        end_ms=transcript.end_ms,
        asked={owed.language for owed in said.owed}
        | {language for language, answer in answers.items() if transcript.segment in answer.captions},
        traceparent=traceparent,
    )
    for owed in said.owed:
        waiting = _still_owed(sentence, owed, answers.get(owed.language, _Answers()))
        if waiting is not None:
            sentence.waiting[owed.language] = waiting
    return sentence


def _still_owed(sentence: Sentence, owed: event.Owed, answers: _Answers) -> Waiting | None:
    waiting = Waiting(speak=owed.speak, opus=owed.opus)
    caption, published_ms = answers.captions.get(sentence.segment, (None, 0))
    if caption is not None and caption.revision >= sentence.revision:
        waiting.text = caption.text
        waiting.translated_ms = elapsed_ms(sentence.spoken_end_ms, published_ms)
    # voices of a language come in order: one before the last that was heard has failed, and comes no more
    if sentence.segment <= answers.voiced:
        waiting.speak = False
    return waiting if waiting.text is None or waiting.speak else None
