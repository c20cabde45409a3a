"""Protobuf messages to values and back."""

from babelcast import languages
from babelcast.errors import InvalidParameter
from babelcast.translation.v1 import translation_pb2 as pb
from translation_svc.cost import Usage
from translation_svc.glossary import Glossary
from translation_svc.segments import (
    MAX_TEXT_CHARACTERS,
    Answer,
    Component,
    Prosody,
    Segment,
    Speech,
    SpokenOver,
    Target,
    Tier,
    Translation,
)

_COMPONENTS = {
    Component.TRANSLATION: pb.COMPONENT_TRANSLATION,
    Component.SPEECH: pb.COMPONENT_SPEECH,
}


def read_glossary(config: pb.StreamConfig) -> Glossary:
    """The stream's glossary."""
    return Glossary({entry.term: dict(entry.translations) for entry in config.glossary})


def read_tier(config: pb.StreamConfig) -> Tier:
    """The session's tier; what is not known counts as standard."""
    return Tier.PREMIUM if config.quality_tier == Tier.PREMIUM.value else Tier.STANDARD


def read_segment(message: pb.Segment) -> Segment:
    """A segment, each language at most once (the last mention counts).

    Raises: InvalidParameter for a text that is too long, InvalidLanguage for a target that is no code.
    """
    if len(message.text) > MAX_TEXT_CHARACTERS:
        raise InvalidParameter("text", f"a segment has at most {MAX_TEXT_CHARACTERS:,} characters")
    targets = (
        Target(
            languages.normalise(target.language, parameter="targets"),
            target.speak,
            target.opus,
            max(target.unplayed_ms, 0) / 1000,
        )
        for target in message.targets
    )
    return Segment(
        number=message.segment,
        revision=message.revision,
        text=message.text,
        is_final=message.is_final,
        targets=tuple({target.language: target for target in targets}.values()),
        prosody=_read_prosody(message.prosody) if message.HasField("prosody") else Prosody(),
        ended_ago_s=max(message.ended_ago_ms, 0) / 1000,
        traceparent=message.traceparent if message.is_final else "",
    )


def write_answer(answer: Answer) -> pb.StreamingTranslateResponse:
    """An answer as the stream's message."""
    response = _answer(answer)
    response.traceparent = answer.traceparent
    return response


def _answer(answer: Answer) -> pb.StreamingTranslateResponse:
    if isinstance(answer, Translation):
        return pb.StreamingTranslateResponse(
            translation=pb.Translation(
                segment=answer.segment,
                revision=answer.revision,
                language=answer.language,
                text=answer.text,
                is_final=answer.is_final,
            )
        )
    if isinstance(answer, Speech):
        return pb.StreamingTranslateResponse(
            speech=pb.Speech(
                segment=answer.segment,
                language=answer.language,
                pcm=answer.clip.pcm,
                sample_rate_hz=answer.clip.sample_rate_hz,
                opus=answer.opus,
                duration_ms=answer.clip.duration_ms,
                merged=answer.merged,
                pace=answer.pace,
            )
        )
    if isinstance(answer, SpokenOver):
        return pb.StreamingTranslateResponse(
            spoken_over=pb.SpokenOver(segment=answer.segment, language=answer.language)
        )
    return pb.StreamingTranslateResponse(
        failure=pb.Failure(
            segment=answer.segment,
            revision=answer.revision,
            language=answer.language,
            component=_COMPONENTS[answer.component],
            reason=answer.reason.value,
            is_final=answer.is_final,
        )
    )


def write_usage(usage: Usage) -> pb.Usage:
    """What an engine did, and what that cost."""
    use = usage.use
    return pb.Usage(
        component=_COMPONENTS[use.component],
        engine=use.engine,
        language=use.language,
        characters=use.characters,
        cost_usd=usage.cost_usd,
    )


def _read_prosody(message: pb.Prosody) -> Prosody:
    return Prosody(
        volume_db=message.volume_db,
        rate=message.rate or 1.0,
        emotion=message.emotion or "neutral",
        intensity=message.intensity,
    )
