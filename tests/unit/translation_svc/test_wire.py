"""Messages and values."""

import pytest

from babelcast.errors import ErrorCode, InvalidLanguage, InvalidParameter
from babelcast.translation.v1 import translation_pb2 as pb
from translation_svc.segments import Clip, Component, Failure, Prosody, Segment, Speech, Target, Translation
from translation_svc.wire import read_glossary, read_segment, write_answer


def test_a_segment_is_read_whole() -> None:
    """Language tags become codes; a language named twice counts once."""
    message = pb.Segment(
        segment=7,
        revision=2,
        text="Hi.",
        is_final=True,
        targets=[pb.Target(language="es-MX"), pb.Target(language="ES", speak=True, opus=True)],
        prosody=pb.Prosody(volume_db=3, rate=1.2, emotion="excited", intensity=0.5),
    )
    assert read_segment(message) == Segment(
        7, 2, "Hi.", True, (Target("es", speak=True, opus=True),), Prosody(3, 1.2, "excited", 0.5)
    )


def test_unset_prosody_is_the_usual_one() -> None:
    """Whether the message or its fields are missing."""
    assert read_segment(pb.Segment()).prosody == Prosody()
    assert read_segment(pb.Segment(prosody=pb.Prosody())).prosody == Prosody()


def test_too_much_text_is_refused() -> None:
    """2,000 characters are not too much."""
    assert len(read_segment(pb.Segment(text="a" * 2_000)).text) == 2_000
    with pytest.raises(InvalidParameter):
        read_segment(pb.Segment(text="a" * 2_001))


def test_a_target_that_is_no_language_is_refused() -> None:
    """Not passed on."""
    with pytest.raises(InvalidLanguage):
        read_segment(pb.Segment(targets=[pb.Target(language="!")]))


def test_the_glossary_is_read() -> None:
    """Term by term."""
    config = pb.StreamConfig(glossary=[pb.GlossaryEntry(term="cat", translations={"es": "GATO"})])
    assert read_glossary(config).terms == {"cat": {"es": "GATO"}}


def test_answers_are_written_whole() -> None:
    """Each kind in its own field."""
    translation = write_answer(Translation(1, 2, "es", "Hola.", is_final=True)).translation
    assert translation == pb.Translation(segment=1, revision=2, language="es", text="Hola.", is_final=True)
    speech = write_answer(Speech(1, "es", Clip(b"\0\0" * 160, 16_000), b"OggS")).speech
    assert (speech.duration_ms, speech.sample_rate_hz, len(speech.pcm), speech.opus) == (
        10,
        16_000,
        320,
        b"OggS",
    )
    failure = write_answer(
        Failure(1, 2, "es", Component.SPEECH, ErrorCode.SERVICE_UNAVAILABLE, is_final=True)
    ).failure
    assert (failure.component, failure.reason) == (pb.COMPONENT_SPEECH, "SERVICE_UNAVAILABLE")
