"""What to decode next, and what becomes a segment: the decisions of a live stream, without I/O or clock.

The audio of an utterance (speech up to a closing pause) is decoded again and again while it grows. It
becomes one or more segments:

- at a pause: decoding starts early in the pause and counts if the pause lasts; shorter if a sentence ended;
- at the end of a sentence, as soon as two hypotheses show the same sentence with something after it;
- at a clause, or the longest gap between words, before a segment gets longer than allowed.

A segment's text never leaves words that were committed before, and each sample belongs to one segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import Samples
from transcription_svc.endpointing import Endpointer
from transcription_svc.engines.base import Hypothesis, SegmentResult, StreamOptions, Word
from transcription_svc.sentences import clause_end, cut_between, ends_sentence, sentence_end
from transcription_svc.stabilizer import Caption, Stabilizer

_MS = SAMPLE_RATE_HZ // 1000


@dataclass(frozen=True, slots=True)
class SegmentPolicy:
    """The times of a live stream, ms of audio."""

    preroll_ms: int = 300
    """Audio before the first voiced frame that is decoded with it; soft sounds begin words."""
    first_partial_ms: int = 500
    """Speech before the first partial result."""
    second_partial_ms: int = 400
    """Between the first and the second, so that words can be committed soon."""
    partial_ms: int = 700
    """Between partial results from then on."""
    hold_ms: int = 100
    """Pause after which no partial result is started: the end may be near."""
    early_close_ms: int = 200
    """Pause after which the utterance is decoded as if it had ended."""
    sentence_close_ms: int = 400
    """Pause that ends an utterance whose text ends a sentence."""
    close_ms: int = 650
    """Pause that ends any utterance."""
    cut_margin_ms: int = 1000
    """How long before the longest time of a segment a cut is looked for."""
    min_voiced_ms: int = 160
    """Voiced audio below which an utterance is a click, not speech."""


class TaskKind(Enum):
    """Why to decode."""

    PARTIAL = "partial"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of the stream to decode."""

    kind: TaskKind
    start: int
    end: int
    timed: bool
    context: str = ""


@dataclass(slots=True)
class _Segment:
    """The segment that is open."""

    start: int
    """First sample that is decoded."""
    speech_start: int
    stabilizer: Stabilizer
    next_partial: int
    """Position at which the next partial result is due."""
    partials: int = 0
    revision: int = 0
    closing: Hypothesis | None = None
    """What was decoded of the pause that is going on."""
    closing_end: int = 0
    sentence: int = 0
    """Words of the first sentence in the last hypothesis that had one."""
    shown: Caption | None = None


class Segmenter:
    """Drives one stream. Feed `hear`, run what `next_task` asks for, give the outcome to `take`."""

    def __init__(self, options: StreamOptions, policy: SegmentPolicy | None = None) -> None:
        self._options = options
        self._policy = policy or SegmentPolicy()
        self._endpointer = Endpointer()
        self._segment: _Segment | None = None
        self._boundary = 0
        self._number = options.first_segment
        self._ended = False
        self._context = ""
        self.partial_ms: float = self._policy.partial_ms
        """Time between partial results; raised under load."""

    @property
    def position(self) -> int:
        """Samples heard."""
        return self._endpointer.position

    @property
    def keep_from(self) -> int:
        """Samples before this are not needed any more."""
        if self._segment is not None:
            return self._segment.start
        return max(self._boundary, self.position - (self._policy.preroll_ms + 200) * _MS)

    @property
    def in_speech(self) -> bool:
        """Whether a segment is open."""
        return self._segment is not None

    @property
    def waiting(self) -> bool:
        """Whether the next frame must wait for the text of the pause that is going on."""
        pause = self._endpointer.silence_ms
        return (
            self._segment is not None
            and self._segment.closing is None
            and pause >= self._policy.sentence_close_ms
        )

    def hear(self, probability: float) -> list[SegmentResult]:
        """Take the next frame; returns what it makes final."""
        self._endpointer.hear(probability)
        utterance = self._endpointer.utterance
        if utterance is None:
            return []
        if self._segment is None:
            self._open(max(self._boundary, utterance.start - self._policy.preroll_ms * _MS), utterance.start)
        segment = self._opened
        if utterance.voiced_end > segment.closing_end:
            segment.closing = None
        return self._close_if_over()

    def end(self) -> list[SegmentResult]:
        """No more frames come; returns what that makes final."""
        self._ended = True
        return self._close_if_over() if self._segment is not None else []

    def next_task(self) -> Task | None:
        """What to decode now, if anything."""
        segment, utterance = self._segment, self._endpointer.utterance
        if segment is None or utterance is None:
            return None
        pause = self._endpointer.silence_ms
        if self._ended or pause >= self._policy.early_close_ms:
            if segment.closing is not None:
                return None
            return Task(TaskKind.CLOSING, segment.start, self.position, timed=False, context=self._context)
        if self.position < segment.next_partial or pause >= self._policy.hold_ms:
            return None
        long = self.position - segment.speech_start >= self._cut_from
        return Task(
            TaskKind.PARTIAL,
            segment.start,
            self.position,
            timed=long or segment.sentence > 0,
            context=self._context,
        )

    def take(self, task: Task, hypothesis: Hypothesis, samples: Samples) -> list[SegmentResult]:
        """Take what `task` gave; `samples` is the audio it was about. Returns the results to send."""
        segment = self._opened
        words = [word.text for word in hypothesis.words]
        # only the end of the utterance if nobody spoke on meanwhile, else one more partial hypothesis
        if task.kind is TaskKind.CLOSING and self._voiced_end <= task.end:
            segment.closing, segment.closing_end = hypothesis, task.end
            closed = self._close_if_over()
            if self._segment is None:
                return closed
        segment.partials += 1
        wait_ms = self._policy.second_partial_ms if segment.partials == 1 else self.partial_ms
        segment.next_partial = task.end + int(wait_ms * _MS)
        if not words:
            return []
        stabilizer = segment.stabilizer
        sentence = sentence_end(stabilizer.merge(words))
        caption = stabilizer.update(words, commit_at_most=sentence or None)
        cut = self._cut_after(task, hypothesis, sentence)
        segment.sentence = sentence
        if not sentence and task.kind is TaskKind.CLOSING and ends_sentence(words[-1]):
            segment.sentence = len(stabilizer.words)
        if cut:
            return self._cut(task, hypothesis.words, cut, samples)
        return self._partial(segment, caption)

    @property
    def _opened(self) -> _Segment:
        if self._segment is None:
            raise RuntimeError("no segment is open")
        return self._segment

    @property
    def _voiced_end(self) -> int:
        utterance = self._endpointer.utterance
        return utterance.voiced_end if utterance is not None else 0

    @property
    def _cut_from(self) -> int:
        return int(self._options.max_segment_s * SAMPLE_RATE_HZ) - self._policy.cut_margin_ms * _MS

    def _open(self, start: int, speech_start: int) -> None:
        self._segment = _Segment(
            start=start,
            speech_start=speech_start,
            stabilizer=Stabilizer(min_stability=self._options.min_stability),
            next_partial=speech_start + self._policy.first_partial_ms * _MS,
        )

    def _cut_after(self, task: Task, hypothesis: Hypothesis, sentence: int) -> int:
        """Number of words of the hypothesis that become a segment now, 0 for none."""
        segment, stabilizer = self._opened, self._opened.stabilizer
        if not hypothesis.timed:
            return 0
        cut = 0
        if sentence and sentence == segment.sentence and stabilizer.agreed(sentence):
            cut = sentence + stabilizer.shift
        elif task.end - segment.speech_start >= self._cut_from:
            cut = clause_end(hypothesis.words, at_least=stabilizer.committed + stabilizer.shift)
        return cut if 0 < cut < len(hypothesis.words) else 0

    def _cut(self, task: Task, words: Sequence[Word], count: int, samples: Samples) -> list[SegmentResult]:
        """Make the first words final and go on with the rest."""
        segment = self._opened
        stabilizer = segment.stabilizer
        at = task.start + cut_between(samples, words[count - 1], words[count])
        spoken_end = task.start + int(words[count - 1].end_s * SAMPLE_RATE_HZ)
        kept = count - stabilizer.shift
        text = " ".join(stabilizer.words[:kept])
        final = self._final(segment, text, end=min(at, max(spoken_end, segment.speech_start)))
        rest = task.start + int(words[count].start_s * SAMPLE_RATE_HZ)
        self._boundary = at
        self._segment = _Segment(
            start=at,
            speech_start=max(at, rest),
            stabilizer=stabilizer.split(kept),
            next_partial=segment.next_partial,
            partials=segment.partials,
        )
        return [final]

    def _close_if_over(self) -> list[SegmentResult]:
        segment = self._opened
        hypothesis = segment.closing
        if hypothesis is None:
            return []
        said = [word.text for word in hypothesis.words]
        pause = self._endpointer.silence_ms
        enough = self._policy.close_ms
        if not said or ends_sentence(said[-1]):
            enough = self._policy.sentence_close_ms
        if pause < enough and not self._ended:
            return []
        return self._close(segment, said)

    def _close(self, segment: _Segment, said: Sequence[str]) -> list[SegmentResult]:
        utterance = self._endpointer.utterance
        end = self._voiced_end
        clicked = utterance is not None and utterance.voiced < self._policy.min_voiced_ms * _MS
        text = "" if clicked else segment.stabilizer.finish(said)
        if not text and segment.shown is not None:
            # listeners have seen text of this segment, so it must end with some
            text = segment.shown.stable_text or segment.shown.text
        self._endpointer.close()
        self._boundary = end
        self._segment = None
        return [self._final(segment, text, end=end)] if text else []

    def _partial(self, segment: _Segment, caption: Caption) -> list[SegmentResult]:
        if not self._options.partial_results or caption == segment.shown:
            return []
        segment.shown = caption
        result = SegmentResult(
            segment=self._number,
            revision=segment.revision,
            text=caption.text,
            stable_text=caption.stable_text,
            is_final=False,
            stability=caption.stability,
            start=segment.speech_start,
            end=max(segment.speech_start, self._voiced_end),
        )
        segment.revision += 1
        return [result]

    def _final(self, segment: _Segment, text: str, *, end: int) -> SegmentResult:
        self._context = text
        self._number += 1
        return SegmentResult(
            segment=self._number - 1,
            revision=segment.revision,
            text=text,
            stable_text=text,
            is_final=True,
            stability=1.0,
            start=segment.speech_start,
            end=max(end, segment.speech_start),
        )
