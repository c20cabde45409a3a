"""What a next owner reads from what was published, wherever that stopped."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from babelcast.event.v1 import event_pb2 as event
from babelcast.transcription.v1 import transcription_pb2 as stt
from gateway.handover import NEVER_GIVEN, Handover, hand_over, read_log
from gateway.sentences import Sentence, Waiting

LANGUAGES = ("es", "fr")
SOURCE = "en"


@dataclass(slots=True)
class Owner:
    """Publishes as an owner does: each step is one message on one topic."""

    sent: list[tuple[str, event.Broadcast]] = field(default_factory=list)
    sentences: dict[int, Sentence] = field(default_factory=dict)

    def publish(self, language: str, **payload: object) -> None:
        """Append to a topic."""
        self.sent.append((language, event.Broadcast(timestamp_ms=len(self.sent), **payload)))  # type: ignore[arg-type]

    def say(self, segment: int, owed: Sequence[tuple[str, bool]], *, partial: bool) -> None:
        """A sentence, perhaps shown before it was final."""
        if partial:
            self.publish(SOURCE, transcript=event.Transcript(segment=segment, stable_text="So", text="So it"))
        sentence = Sentence(
            segment=segment,
            revision=1,
            text=f"Sentence {segment}.",
            dynamics=stt.Dynamics(volume_db=-3, rate=1.25, energy=0.5, emotion="calm", intensity=0.25),
            spoken_end_ms=0,
            transcribed_ms=7,
            start_ms=100 * segment,
            end_ms=100 * segment + 100,
            waiting={language: Waiting(speak=speak, opus=True) for language, speak in owed},
        )
        self.sentences[segment] = sentence
        self.log(sentence, event.Checkpoint(next_segment=segment + 1, audio_sequence=segment + 1))

    def log(self, sentence: Sentence, checkpoint: event.Checkpoint | None) -> None:
        """Put a revision into the log."""
        self.publish(
            SOURCE,
            transcript=event.Transcript(
                segment=sentence.segment,
                revision=sentence.revision,
                text=sentence.text,
                is_final=True,
                start_ms=sentence.start_ms,
                end_ms=sentence.end_ms,
                sentence=sentence.logged(checkpoint),
            ),
        )

    def caption(self, segment: int, language: str) -> None:
        """Answer with text."""
        sentence = self.sentences[segment]
        waiting = sentence.waiting[language]
        waiting.text = f"{language}:{sentence.text}"
        self.publish(
            language,
            caption=event.Caption(
                segment=segment, revision=sentence.revision, text=waiting.text, is_final=True
            ),
        )
        if not waiting.speak:
            del sentence.waiting[language]

    def voice(self, segment: int, language: str) -> None:
        """Answer with sound."""
        self.publish(language, audio=event.TranslatedAudio(segment=segment, duration_ms=50))
        del self.sentences[segment].waiting[language]

    def taken_over(self) -> Handover:
        """What a next owner finds."""
        topics = {name: [b for language, b in self.sent if language == name] for name in (*LANGUAGES, SOURCE)}
        log = read_log(topics.pop(SOURCE))
        return hand_over(log, topics, source=SOURCE, epoch=2)


@st.composite
def talks(draw: st.DrawFn) -> Owner:
    """Sentences, and answers in each language in the order of the sentences, up to anywhere."""
    owner = Owner()
    owner.publish(SOURCE, checkpoint=event.Checkpoint())
    for segment in range(draw(st.integers(0, 6))):
        owed = [(language, draw(st.booleans())) for language in LANGUAGES if draw(st.booleans())]
        owner.say(segment, owed, partial=draw(st.booleans()))
    for language in LANGUAGES:
        waiting = [n for n, sentence in owner.sentences.items() if language in sentence.waiting]
        for segment in waiting[: draw(st.integers(0, len(waiting)))]:
            owner.caption(segment, language)
        voices = [
            n
            for n in waiting
            if (wait := owner.sentences[n].waiting.get(language)) is not None
            and wait.text is not None
            and wait.speak
        ]
        for segment in voices[: draw(st.integers(0, len(voices)))]:
            owner.voice(segment, language)
    return owner


@given(talks())
def test_exactly_what_has_not_come_is_owed(owner: Owner) -> None:
    """Wherever an owner stopped, its sentences are all known, and wait for what it waited for itself."""
    handover = owner.taken_over()
    for before, after in zip(owner.sentences.values(), handover.sentences, strict=True):
        assert {n: (w.speak, w.opus, w.text) for n, w in after.waiting.items()} == {
            n: (w.speak, w.opus, w.text) for n, w in before.waiting.items()
        }
        assert (after.segment, after.text, after.dynamics) == (before.segment, before.text, before.dynamics)
        assert (after.start_ms, after.end_ms) == (before.start_ms, before.end_ms)
    assert handover.next_segment == len(owner.sentences)
    assert handover.checkpoint is not None
    assert handover.checkpoint.audio_sequence == len(owner.sentences)
    assert handover.open is None


@given(talks(), st.data())
def test_a_correction_counts(owner: Owner, data: st.DataObject) -> None:
    """A corrected sentence has its last text, and is owed to those who got it before, without voice."""
    if not owner.sentences:
        return
    segment = data.draw(st.sampled_from(sorted(owner.sentences)))
    sentence = owner.sentences[segment]
    sentence.revision, sentence.text = 2, "Corrected."
    still = sentence.waiting
    sentence.waiting = {
        language: Waiting(speak=language in still and still[language].speak, opus=True)
        for language in LANGUAGES
    }
    owner.log(sentence, None)
    after = owner.taken_over().sentences[segment]
    assert (after.revision, after.text) == (2, "Corrected.")
    assert {n: w.speak for n, w in after.waiting.items()} == {n: w.speak for n, w in sentence.waiting.items()}
    for language in LANGUAGES:
        owner.caption(segment, language)
    after = owner.taken_over().sentences[segment]
    assert set(after.waiting) == {name for name, wait in sentence.waiting.items() if wait.speak}


def test_the_open_segment_as_it_was_shown() -> None:
    """Its words in the source language, and how far its captions had come."""
    owner = Owner()
    owner.say(0, [], partial=True)
    owner.publish("es", caption=event.Caption(segment=0, text="Pues"))
    owner.publish(SOURCE, transcript=event.Transcript(segment=1, revision=4, text="And", stable_text="An"))
    owner.publish("fr", caption=event.Caption(segment=1, text="Et"))
    handover = owner.taken_over()
    assert handover.open is not None
    assert (handover.open.segment, handover.open.revision) == (1, 4)
    assert {language: caption.text for language, caption in handover.captions.items()} == {"fr": "Et"}
    owner.publish(SOURCE, transcript=event.Transcript(segment=3, text="A number without words."))
    assert owner.taken_over().next_segment == 3


def test_what_is_merged_or_left_out_is_answered() -> None:
    """And a voice that failed does not come after a later one."""
    owner = Owner()
    for segment in range(5):
        owner.say(segment, [("es", True)], partial=False)
        owner.caption(segment, "es")
    owner.publish("es", audio=event.TranslatedAudio(segment=1, merged=[2]))
    owner.publish("es", spoken_over=event.SpokenOver(segment=3))
    assert [s.segment for s in owner.taken_over().sentences if s.waiting] == [4]


def test_what_listeners_were_told_of_stations() -> None:
    """What is degraded still, by language; transcription apart."""
    owner = Owner()
    for language, component, degraded in (
        ("es", "speech", True),
        ("es", "translation", True),
        ("es", "translation", False),
        ("fr", "transcription", True),
        (SOURCE, "transcription", True),
    ):
        owner.publish(language, notice=event.ServiceNotice(component=component, degraded=degraded))
    handover = owner.taken_over()
    assert handover.degraded == {("speech", "es")}
    assert handover.interrupted == frozenset({"fr", SOURCE})
    assert Owner().taken_over().interrupted is None


def test_an_owner_that_finds_nothing_gives_numbers_of_its_own() -> None:
    """When the bus has forgotten all, segments are not called as others were."""
    assert Owner().taken_over().next_segment == NEVER_GIVEN
    assert Owner().taken_over().checkpoint is None


def test_what_is_owed_goes_on_in_the_trace_of_its_sentence() -> None:
    """As the log tells; sentences that were not traced are not."""
    owner, traced = Owner(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    for segment in (1, 2):
        owner.say(segment, [("es", False)], partial=False)
    history = [broadcast for language, broadcast in owner.sent if language == SOURCE]
    history[0].traceparent = traced
    log = read_log(history)
    found = hand_over(log, {"es": []}, source=SOURCE, epoch=2).sentences
    assert [sentence.traceparent for sentence in found] == [traced, ""]
    assert [sentence.request().traceparent for sentence in found] == [traced, ""]
