"""The talk so far as its owner keeps it: what was said, and which languages still wait for it. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from babelcast.event.v1 import event_pb2 as event
from babelcast.transcription.v1 import transcription_pb2 as transcription_api
from babelcast.translation.v1 import translation_pb2 as translation_api
from gateway.continuity import join, same_words, without_repeated

REMEMBER = 500
LONGEST_MS = 24 * 3_600_000


def elapsed_ms(since_ms: int, now_ms: int) -> int:
    """The time between, held to what a message can carry: the wall clock may jump in the middle of a talk."""
    return max(0, min(now_ms - since_ms, LONGEST_MS))


@dataclass(slots=True)
class Waiting:
    """One language that still has to get a sentence."""

    speak: bool
    opus: bool
    text: str | None = None  # once its caption was published
    translated_ms: int = 0
    late: bool = False
    """Whether nobody listened in the language when it was said."""


@dataclass(slots=True)
class Sentence:
    """One final segment. Times are epoch ms; `transcribed_ms` counts from `spoken_end_ms`."""

    segment: int
    revision: int
    text: str
    dynamics: transcription_api.Dynamics
    spoken_end_ms: int
    transcribed_ms: int
    start_ms: int
    end_ms: int
    waiting: dict[str, Waiting] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    """The languages that waited for it at any time."""
    traceparent: str = ""
    """Its trace context; empty when it is not traced."""
    received_s: float | None = None
    """When its text came, on the clock that its way to translation is timed by; None once it went there."""

    def logged(self, checkpoint: event.Checkpoint | None = None) -> event.Sentence:
        """What a next owner needs of it; with how far the talk is, in a text that is new."""
        return event.Sentence(
            dynamics=self.spoken_dynamics(),
            spoken_end_ms=self.spoken_end_ms,
            transcribed_ms=self.transcribed_ms,
            owed=[
                event.Owed(language=language, speak=wait.speak, opus=wait.opus)
                for language, wait in self.waiting.items()
            ],
            checkpoint=checkpoint,
        )

    def spoken_dynamics(self) -> event.SpokenDynamics:
        """How it was said, as listeners are told."""
        how = self.dynamics
        return event.SpokenDynamics(
            volume=how.volume_db,
            rate=how.rate,
            energy=how.energy,
            emotion=how.emotion,
            intensity=how.intensity,
        )

    def answered(self, language: str, waiting: Waiting) -> None:
        """A language got what it waited for. When the sentence was corrected while that was published, the
        language still gets the correction, but is not spoken to twice.
        """
        current = self.waiting.get(language)
        if current is waiting:
            del self.waiting[language]
        elif current is not None:
            current.speak = False

    def request(self, only: str = "") -> translation_api.Segment:
        """What translation is asked for: the languages that still wait, or one of them."""
        return translation_api.Segment(
            segment=self.segment,
            revision=self.revision,
            text=self.text,
            is_final=True,
            targets=[
                translation_api.Target(language=language, speak=wait.speak, opus=wait.opus)
                for language, wait in self.waiting.items()
                if only in {"", language}
            ],
            prosody=translation_api.Prosody(
                volume_db=self.dynamics.volume_db,
                rate=self.dynamics.rate,
                emotion=self.dynamics.emotion,
                intensity=self.dynamics.intensity,
            ),
            traceparent=self.traceparent,
        )


class Sentences:
    """The last REMEMBER final segments, by number; older ones are given up."""

    def __init__(self) -> None:
        self._by_segment: dict[int, Sentence] = {}

    def add(self, sentence: Sentence) -> None:
        """Remember a sentence."""
        self._by_segment[sentence.segment] = sentence
        while len(self._by_segment) > REMEMBER:
            del self._by_segment[next(iter(self._by_segment))]

    def get(self, segment: int) -> Sentence | None:
        """A sentence that is remembered."""
        return self._by_segment.get(segment)

    def since(self, spoken_ms: int) -> Iterator[Sentence]:
        """Sentences that were said since a moment, epoch ms, in order."""
        return (
            sentence for sentence in tuple(self._by_segment.values()) if sentence.spoken_end_ms >= spoken_ms
        )

    def unanswered(self) -> Iterator[Sentence]:
        """Sentences for which a language still waits, in order."""
        return (sentence for sentence in tuple(self._by_segment.values()) if sentence.waiting)

    def revise(self, segment: int, *, text: str, languages: Iterable[str]) -> Sentence | None:
        """Correct a sentence; `languages` get it anew, those that still waited for its voice with it.

        None when it is not remembered.
        """
        sentence = self._by_segment.get(segment)
        if sentence is None:
            return None
        sentence.revision += 1
        sentence.text = text
        still = sentence.waiting
        sentence.waiting = {
            name: Waiting(speak=name in still and still[name].speak, opus=name in still and still[name].opus)
            for name in {*languages, *still}
        }
        return sentence


@dataclass(frozen=True, slots=True)
class Shown:
    """A result as it is to be shown."""

    revision: int
    text: str
    stable_text: str


@dataclass(slots=True)
class OpenSegment:
    """The segment being spoken, as it was shown: revisions count up and stable text is never taken back.

    A transcription stream that was reopened starts its own counting and may hear the words differently, or
    end the segment before all the words that were shown; what listeners have been shown is kept here.
    """

    number: int = -1
    revision: int = -1
    stable_text: str = ""
    repeated: str = ""
    """Words of the segment before that the next one is going to repeat."""
    last: Shown | None = None

    def go_on(self, shown: event.Transcript) -> None:
        """Begin with what another owner has shown of the segment."""
        self.number, self.revision, self.stable_text = shown.segment, shown.revision, shown.stable_text
        self.last = Shown(shown.revision, shown.text, shown.stable_text)

    def show(self, result: transcription_api.TranscriptResult) -> Shown | None:
        """How to show `result`; None when there is nothing in it that was not shown."""
        if result.segment != self.number:
            self.number, self.revision, self.stable_text, self.last = result.segment, -1, "", None
        return self._final(result.text) if result.is_final else self._partial(result)

    def _partial(self, result: transcription_api.TranscriptResult) -> Shown | None:
        heard = without_repeated(self.repeated, result.text)
        text = join(self.stable_text, heard.text)
        if (self.repeated and heard.left) or text.left:
            return None  # it has not come as far as what was shown
        if not text.text and (self.last is None or not self.last.text):
            return None  # there is nothing to take off
        stable = join(self.stable_text, without_repeated(self.repeated, result.stable_text).text)
        if not stable.left and text.text.startswith(stable.text):
            self.stable_text = stable.text
        if self.last == Shown(self.revision, text.text, self.stable_text):
            return None
        return self._shown(text.text)

    def _final(self, heard: str) -> Shown | None:
        rest = without_repeated(self.repeated, heard)
        # the final result may correct signs and capitals, not words
        kept = same_words(self.stable_text, rest.text)
        text = rest if kept else join(self.stable_text, rest.text)
        self.repeated = "" if kept and rest.text else text.left
        if not text.text:
            return None
        self.stable_text = text.text
        return self._shown(text.text)

    def _shown(self, text: str) -> Shown:
        self.revision += 1
        self.last = Shown(self.revision, text, self.stable_text)
        return self.last
