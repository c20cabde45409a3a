"""What to decode next, and what becomes a segment: the decisions of a live stream, without I/O or clock.

The audio of an utterance (speech up to a closing pause) is decoded again and again while it grows. It
becomes one or more segments:

- at a pause: decoding starts early in it and counts if the pause proves long enough, even if speech has gone
  on meanwhile; the longer the segment and the more finished its text, the shorter the pause that ends it;
- at the end of a sentence, as soon as two hypotheses show the same sentence with something after it;
- at the end of a text that does not grow any more although speech goes on: Whisper has stopped listening;
- from about half its longest time on at a breath after a clause, or at the end of a clause that two
  hypotheses show; later at any breath;
- at its longest short pause, else at a clause or a dip between words, before it gets too long.

What nothing credible is heard in is left out; what was shown of it without a promise is taken off the
screen, and its number goes to the next segment. A segment's text never leaves words that were committed
before. Each voiced sample belongs to one segment: where speech is cut, the next segment starts where the
last one ends, or after the pause between them. It is decoded with the last words before the cut, which the
decoder is told, so that it hears what follows as what goes on.
"""

import dataclasses
from collections.abc import Sequence

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import FRAME_SAMPLES, Samples
from transcription_svc.closing import enough_ms
from transcription_svc.context import Context, last_words, says_again
from transcription_svc.cutting import best_cut, cut_between, longest_pause, quietest
from transcription_svc.endpointing import Endpointer, Pause, Utterance
from transcription_svc.engines.base import Hypothesis, SegmentResult, StreamOptions, Word
from transcription_svc.open_segment import OpenSegment, Task, TaskKind
from transcription_svc.segment_policy import SegmentPolicy, due
from transcription_svc.sentences import clause_end, ends_clause, ends_text, sentence_end
from transcription_svc.stabilizer import Caption, Stabilizer
from transcription_svc.words import join, key

_MS = SAMPLE_RATE_HZ // 1000


class Segmenter:
    """Drives one stream. Feed `hear`, run what `next_task` asks for, give the outcome to `take`."""

    def __init__(self, options: StreamOptions, policy: SegmentPolicy | None = None) -> None:
        self._options = options
        self._policy = policy or SegmentPolicy()
        self._endpointer = Endpointer()
        self._segment: OpenSegment | None = None
        self._boundary = 0
        self._number = options.first_segment
        self._ended = False
        self._new_sentence = True
        self._revision = 0
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
    def waiting(self) -> bool:
        """Whether the next frame must wait for the text of the pause that is going on."""
        return (
            self._segment is not None
            and self._segment.closing is None
            and self._endpointer.silence_ms >= self._policy.sentence_close_ms
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
        finals = self._close_if_over()
        if self._segment is segment and utterance.voiced_end > segment.closing_end:
            segment.closing = None
        return finals

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
            return Task(TaskKind.CLOSING, segment.start, self._closing_end(utterance), prefix=segment.prefix)
        if pause >= self._policy.hold_ms:
            return None
        long = self.position >= segment.due.end
        cut = self._pause_to_cut(segment, utterance, long=long)
        if cut is not None:
            return Task(
                TaskKind.CUT,
                segment.start,
                (cut.start + cut.end) // 2,
                pause=cut,
                timed=True,
                prefix=segment.prefix,
            )
        if self.position < segment.next_partial:
            return None
        return Task(
            TaskKind.PARTIAL,
            segment.start,
            self.position,
            timed=long or segment.sentence > 0 or segment.clause > 0 or segment.stuck,
            thorough=long,
            prefix=segment.prefix,
        )

    def _closing_end(self, utterance: Utterance) -> int:
        """Where the audio ends that is decoded as the last of an utterance: the same place however late it is
        done, since Whisper may hear other words in the same speech with more silence behind it.
        """
        if self._ended:
            return self.position
        pause = -(-self._policy.early_close_ms * _MS // FRAME_SAMPLES) * FRAME_SAMPLES
        return min(self.position, utterance.voiced_end + pause)

    def take(self, task: Task, hypothesis: Hypothesis, samples: Samples) -> list[SegmentResult]:
        """Take what `task` gave; `samples` is the audio it was about. Returns the results to send."""
        segment = self._opened
        if says_again(segment.prefix, hypothesis.words):
            # asked again, now about the segment alone
            segment.start = max(self._boundary, segment.speech_start - self._policy.preroll_ms * _MS)
            segment.prefix = ()
            return []
        hypothesis = self._without_echo(segment, hypothesis)
        if task.pause is not None:
            return self._cut_at_pause(segment, hypothesis, task.pause, samples)
        words = self._spelt(hypothesis)
        if task.kind is TaskKind.CLOSING:
            segment.closing, segment.closing_end = words, task.end
            closed = self._close_if_over()
            if self._segment is not segment:
                return closed
            if self._voiced_end > task.end:
                segment.closing = None  # speech went on too soon: one more partial hypothesis
        segment.partials += 1
        segment.next_partial = task.end + int(self.partial_ms * _MS)
        if task.end < segment.due.end:
            segment.next_partial = min(segment.next_partial, segment.due.end)
        if not words:
            over = task.kind is TaskKind.PARTIAL and task.end >= segment.due.end
            return self._give_up(task, segment, samples) if over else []
        return self._update(task, segment, hypothesis, words, samples)

    def _update(
        self, task: Task, segment: OpenSegment, hypothesis: Hypothesis, words: Sequence[str], samples: Samples
    ) -> list[SegmentResult]:
        stabilizer = segment.stabilizer
        before = [key(word) for word in stabilizer.words]
        sentence = sentence_end(stabilizer.merge(words), self._options.language)
        firm = hypothesis.average_logprob >= self._policy.firm_logprob
        late = task.end >= segment.due.clause
        clause = clause_end(stabilizer.merge(words)) if late and not sentence else 0
        limit = self._committable(task, sentence) if firm else stabilizer.committed
        stabilizer.update(words, commit_at_most=limit)
        repeated = before == [key(word) for word in stabilizer.words]
        cut = self._cut_after(task, hypothesis, samples, sentence=sentence, clause=clause, repeated=repeated)
        if (sentence and sentence != segment.sentence) or (clause and clause != segment.clause):
            # a second look soon decides whether the sentence or clause has really ended
            soon = task.end + self._policy.eager_partial_ms * _MS
            segment.next_partial = min(segment.next_partial, soon)
        segment.sentence, segment.clause = sentence, clause
        segment.stuck = repeated
        if not stabilizer.committed and segment.partials < self._policy.eager_partials:
            segment.next_partial = task.end + self._policy.eager_partial_ms * _MS
        if not sentence and ends_text(words[-1]) and task.kind is TaskKind.CLOSING:
            segment.sentence = len(stabilizer.words)
        # but in a pause the end of the audio is mostly in the middle of a word
        in_pause = task.kind is TaskKind.CLOSING
        stabilizer.held_back = 0 if in_pause else self._policy.held_back(hypothesis.average_logprob)
        if cut:
            return self._cut(task, hypothesis, cut, samples)
        return self._partial(segment, stabilizer.caption())

    @property
    def _opened(self) -> OpenSegment:
        if self._segment is None:
            raise RuntimeError("no segment is open")
        return self._segment

    @property
    def _voiced_end(self) -> int:
        utterance = self._endpointer.utterance
        return utterance.voiced_end if utterance is not None else 0

    def _committable(self, task: Task, sentence: int) -> int | None:
        """How many words may be committed now; None for no limit."""
        segment = self._opened
        length = task.end - segment.speech_start
        choice = self._policy.cut_choice_ms * _MS
        if sentence or length < 2 * choice:
            return sentence or None
        return int(len(segment.stabilizer.words) * (1.0 - choice / length))

    def _pause_to_cut(self, segment: OpenSegment, utterance: Utterance, *, long: bool) -> Pause | None:
        """A short pause at which the segment is to end, although speech went on after it.

        In a segment that is `long` the longest one that leaves at least a third before it, else one that lies
        late enough, if the text before it has not been seen to go on.
        """
        if long:
            earliest = segment.speech_start + (self.position - segment.speech_start) // 3
            return longest_pause(utterance.pauses, earliest=earliest, refused=segment.refused_cuts)
        refused = segment.refused_cuts
        if self.position < segment.due.breath:
            refused = refused | segment.weak_cuts
        return longest_pause(utterance.pauses, earliest=segment.due.clause, refused=refused)

    def _cut_at_pause(
        self,
        segment: OpenSegment,
        hypothesis: Hypothesis,
        pause: Pause,
        samples: Samples,
    ) -> list[SegmentResult]:
        words = self._spelt(hypothesis)
        if not words and not segment.stabilizer.committed and self.position >= segment.due.end:
            finals = self._finish(segment, [], end=pause.start, voiced=0)
            self._open_after(pause)
            return finals
        if len(words) <= segment.stabilizer.committed:
            segment.refused_cuts.add(pause.start)  # what is committed reaches beyond the pause
            return []
        if self.position < segment.due.breath and not ends_clause(words[-1]):
            segment.weak_cuts.add(pause.start)
            return []
        finals = self._finish(segment, words, end=pause.start, voiced=pause.start - segment.speech_start)
        self._open_after(pause, self._context(segment, hypothesis, len(words), samples))
        return finals

    def _context(
        self, segment: OpenSegment, hypothesis: Hypothesis, count: int, samples: Samples
    ) -> Context | None:
        """What the next segment goes on from when this one ends after `count` words of a hypothesis."""
        if hypothesis.average_logprob < self._policy.firm_logprob:
            return None
        found = last_words(hypothesis.words[:count], samples, seconds=self._policy.context_ms / 1000)
        return Context(segment.start + found[0], found[1]) if found is not None else None

    def _give_up(self, task: Task, segment: OpenSegment, samples: Samples) -> list[SegmentResult]:
        """End a segment in which nothing credible is heard; without stable words its second half stays."""
        before = segment.speech_start - segment.start if segment.prefix else 0
        earliest = (before + len(samples)) // 2
        if segment.stabilizer.committed:
            earliest = len(samples) - self._policy.cut_margin_ms * _MS
        end, begin = self._endpointer.border(task.start + quietest(samples, earliest, len(samples)))
        finals = self._finish(segment, [], end=end, voiced=end - segment.speech_start)
        self._open(begin, begin)
        return finals

    def _without_echo(self, segment: OpenSegment, hypothesis: Hypothesis) -> Hypothesis:
        """The hypothesis without the end of the segment before, where the cut left some of its sound here."""
        words = hypothesis.words
        if segment.said_before and words and key(words[0].text) == segment.said_before:
            return dataclasses.replace(hypothesis, words=words[1:])
        return hypothesis

    def _spelt(self, hypothesis: Hypothesis) -> list[str]:
        """The words, with a capital where a sentence begins, and where it goes on as it was seen before."""
        words = [word.text for word in hypothesis.words]
        if words and self._new_sentence:
            words[0] = words[0][:1].upper() + words[0][1:]
        elif words and key(words[0]) == key(self._opened.goes_on_with):
            words[0] = self._opened.goes_on_with[:1] + words[0][1:]
        return words

    def _open(self, start: int, speech_start: int, prefix: tuple[Word, ...] = ()) -> None:
        self._segment = OpenSegment(
            start=start,
            speech_start=speech_start,
            due=due(self._policy, speech_start, longest_s=self._options.max_segment_s),
            stabilizer=Stabilizer(min_stability=self._options.min_stability),
            next_partial=speech_start + self._policy.first_partial_ms * _MS,
            prefix=prefix,
        )

    def _open_after(self, pause: Pause, context: Context | None = None) -> None:
        """What follows the pause is a new segment."""
        self._endpointer.split(pause)
        if context is not None:
            self._open(context.start, pause.end, context.words)
        else:
            self._open(max(self._boundary, pause.end - self._policy.preroll_ms * _MS), pause.end)

    def _cut_after(
        self,
        task: Task,
        hypothesis: Hypothesis,
        samples: Samples,
        *,
        sentence: int,
        clause: int,
        repeated: bool,
    ) -> int:
        """Number of words of the hypothesis that become a segment now, 0 for none."""
        segment, stabilizer = self._opened, self._opened.stabilizer
        words = hypothesis.words
        unsure = hypothesis.average_logprob < self._policy.sure_logprob
        if not hypothesis.timed or (unsure and not task.thorough):
            return 0
        keep = max(1, stabilizer.committed)  # what was promised stays in this segment
        if segment.sentence == sentence >= keep and stabilizer.agreed(sentence):
            count = sentence + stabilizer.shift
            return count if 0 < count < len(words) else 0
        if segment.clause == clause >= keep and stabilizer.agreed(clause):
            count = clause + stabilizer.shift
            end = task.start + int(words[count - 1].end_s * SAMPLE_RATE_HZ) if 0 < count < len(words) else 0
            if end >= segment.due.clause:
                return count
        if repeated:
            voiced = min(self._voiced_end, task.end) - task.start
            deaf_ms = (voiced - int(words[-1].end_s * SAMPLE_RATE_HZ)) / _MS
            whole = ends_text(words[-1].text)
            if deaf_ms >= (self._policy.deaf_sentence_ms if whole else self._policy.deaf_ms):
                return len(words)
        if task.end >= segment.due.end:
            return best_cut(words, samples, at_least=stabilizer.committed + stabilizer.shift)
        return 0

    def _cut(self, task: Task, hypothesis: Hypothesis, count: int, samples: Samples) -> list[SegmentResult]:
        """Make the first words final and go on with the rest."""
        segment, stabilizer = self._opened, self._opened.stabilizer
        words = hypothesis.words
        last = words[count - 1]
        # where no more words were heard, the next one begins somewhere behind the last
        following = words[count] if count < len(words) else Word("", last.end_s + 0.2, last.end_s + 0.2)
        at = task.start + cut_between(samples, last, following)
        kept = count - stabilizer.shift
        text = join(stabilizer.words[:kept])
        end, begin = self._endpointer.border(at)
        final = self._final(segment, text, end=end)
        self._boundary = at
        rest = stabilizer.split(kept)
        said = key(last.text)
        following_key = key(rest.words[0]) if rest.words else ""
        context = self._context(segment, hypothesis, count, samples) or Context(at, ())
        opened = OpenSegment(
            start=context.start,
            prefix=context.words,
            speech_start=begin,
            due=due(self._policy, begin, longest_s=self._options.max_segment_s),
            stabilizer=rest,
            next_partial=segment.next_partial,
            partials=segment.partials,
            goes_on_with=rest.words[0] if rest.words else "",
            said_before=said if said != following_key else "",
        )
        self._segment = opened
        return [final, *(self._partial(opened, rest.caption()) if rest.words else [])]

    def _close_if_over(self) -> list[SegmentResult]:
        """End the segment if the pause after what was decoded is long enough."""
        segment, utterance = self._opened, self._endpointer.utterance
        if segment.closing is None or utterance is None:
            return []
        if utterance.voiced_end <= segment.closing_end:
            enough = self._enough_ms(segment, utterance.voiced_end, segment.closing)
            if self._endpointer.silence_ms < enough and not self._ended:
                return []
            finals = self._finish(segment, segment.closing, end=utterance.voiced_end, voiced=utterance.voiced)
            self._endpointer.close()
            self._segment = None
            return finals
        pause = next((p for p in utterance.pauses if p.start < segment.closing_end <= p.end), None)
        if pause is None or pause.end - pause.start < _MS * self._enough_ms(
            segment, pause.start, segment.closing
        ):
            return []
        voiced = pause.start - segment.speech_start
        finals = self._finish(segment, segment.closing, end=pause.start, voiced=voiced)
        self._open_after(pause)
        return finals

    def _enough_ms(self, segment: OpenSegment, end: int, said: Sequence[str]) -> float:
        """How long a pause from `end` must be to end the segment."""
        return enough_ms(self._policy, length_ms=(end - segment.speech_start) / _MS, said=said)

    def _finish(
        self, segment: OpenSegment, said: Sequence[str], *, end: int, voiced: int
    ) -> list[SegmentResult]:
        """The final result of a segment that ends at a pause; none if nothing was said in it."""
        clicked = voiced < self._policy.min_voiced_ms * _MS
        text = "" if clicked else segment.stabilizer.finish(said)
        if not text and segment.shown is not None:
            # what was promised stays; what was only shown is taken off, and its number is free again
            text = segment.shown.stable_text
        self._boundary = end
        if text:
            return [self._final(segment, text, end=end)]
        return self._partial(segment, Caption("", "", 1.0)) if segment.shown is not None else []

    def _partial(self, segment: OpenSegment, caption: Caption) -> list[SegmentResult]:
        if not self._options.partial_results or caption == segment.shown:
            return []
        segment.shown = caption
        result = SegmentResult(
            segment=self._number,
            revision=self._revision,
            text=caption.text,
            stable_text=caption.stable_text,
            is_final=False,
            stability=caption.stability,
            start=segment.speech_start,
            end=max(segment.speech_start, self._voiced_end),
        )
        self._revision += 1
        return [result]

    def _final(self, segment: OpenSegment, text: str, *, end: int) -> SegmentResult:
        self._new_sentence = ends_text(text.rsplit(maxsplit=1)[-1])
        self._number, revision, self._revision = self._number + 1, self._revision, 0
        return SegmentResult(
            segment=self._number - 1,
            revision=revision,
            text=text,
            stable_text=text,
            is_final=True,
            stability=1.0,
            start=segment.speech_start,
            end=max(end, segment.speech_start),
        )
