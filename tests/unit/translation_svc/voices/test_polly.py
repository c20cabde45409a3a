"""Amazon Polly's adapter against a server that checks signatures, keeps its rules and misbehaves."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.aws_local import MS_PER_CHARACTER, REGION, Fault
from translation_svc.aws import AwsSettings
from translation_svc.failures import (
    EngineBusy,
    EngineFailure,
    EngineForbidden,
    EngineMissing,
    EngineRefused,
    EngineTimedOut,
)
from translation_svc.loudness import from_pcm, integrated_loudness
from translation_svc.segments import Clip, Prosody, Tier
from translation_svc.ssml import polly_ssml
from translation_svc.voices.polly import MAX_BILLED_CHARACTERS, MAX_CHARACTERS, PollyVoice, speakable

if TYPE_CHECKING:
    from tests.aws_local import AwsLocal

SPEAK = "polly:SynthesizeSpeech"
LIVELY = Prosody(volume_db=3, rate=1.25, emotion="emphatic", intensity=0.9)


@pytest.fixture
async def polly(aws: "AwsLocal") -> AsyncIterator[PollyVoice]:
    """The adapter, patient."""
    voice = PollyVoice(settings=AwsSettings(region=REGION, call_timeout_s=20))
    yield voice
    await voice.aclose()


@pytest.fixture
async def hasty(aws: "AwsLocal") -> AsyncIterator[PollyVoice]:
    """The adapter with a deadline of half a second."""
    voice = PollyVoice(settings=AwsSettings(region=REGION, call_timeout_s=0.5))
    await voice.warm()
    yield voice
    await voice.aclose()


async def _say(
    voice: PollyVoice,
    text: str = "Buenos días a todos.",
    *,
    language: str = "es",
    prosody: Prosody | None = None,
    tier: Tier = Tier.STANDARD,
) -> Clip:
    return await voice.speak(text, language=language, prosody=prosody or Prosody(), tier=tier)


async def test_a_sentence_is_spoken(polly: PollyVoice, aws: "AwsLocal") -> None:
    """As long as the server made it, at the loudness of all voices, and with what it is charged for."""
    clip = await _say(polly)
    assert clip.duration_ms == pytest.approx(20 * MS_PER_CHARACTER, abs=5)
    assert integrated_loudness(from_pcm(clip.pcm), 16_000) == pytest.approx(-20, abs=1)
    assert (clip.engine, clip.characters) == ("polly-standard", 20)
    assert aws.asked[-1][1]["TextType"] == "text"
    assert not aws.rejected


async def test_the_speaker_s_loudness_is_kept(polly: PollyVoice) -> None:
    """The gain is applied to the samples."""
    soft = await _say(polly, prosody=Prosody(volume_db=-6))
    assert integrated_loudness(from_pcm(soft.pcm), 16_000) == pytest.approx(-26, abs=1)


async def test_voices_are_read_once_and_from_all_pages(polly: PollyVoice, aws: "AwsLocal") -> None:
    """At least two voices for a language where Polly has them."""
    assert not polly.languages
    assert not polly.names("es")
    await polly.warm()
    await _say(polly)
    assert polly.languages == {"en", "es", "pt", "ru", "ca", "nb", "no"}
    assert len(polly.names("es")) >= 2
    assert aws.count("polly:DescribeVoices") == 2


@pytest.mark.parametrize(
    ("language", "tier", "engine"),
    [
        ("es", Tier.STANDARD, "standard"),
        ("es", Tier.PREMIUM, "neural"),
        ("ca", Tier.STANDARD, "neural"),
        ("ru", Tier.PREMIUM, "standard"),
    ],
)
async def test_the_server_takes_the_markup_of_every_engine(
    polly: PollyVoice, aws: "AwsLocal", language: str, tier: Tier, engine: str
) -> None:
    """What a voice is told is what its engine knows; a lively sentence is quicker by all."""
    clip = await _say(polly, "Hola <b> & 'tú'.", language=language, prosody=LIVELY, tier=tier)
    name, asked = aws.asked[-1]
    assert (name, asked["Engine"], asked["TextType"]) == (SPEAK, engine, "ssml")
    assert clip.engine == f"polly-{engine}"
    assert clip.characters == len("Hola <b> & 'tú'.")
    assert clip.duration_ms < 0.9 * clip.characters * MS_PER_CHARACTER


async def test_generative_voices_get_plain_text(aws: "AwsLocal") -> None:
    """They know none of the markup."""
    voice = PollyVoice(settings=AwsSettings(region=REGION, call_timeout_s=20), premium_engine="generative")
    clip = await _say(voice, language="en", prosody=LIVELY, tier=Tier.PREMIUM)
    assert clip.engine == "polly-generative"
    assert aws.asked[-1][1]["TextType"] == "text"
    await voice.aclose()


async def test_markup_that_is_refused_is_left_out(polly: PollyVoice, aws: "AwsLocal") -> None:
    """The sentence is spoken plainly rather than not at all."""
    aws.fail(SPEAK, Fault.INVALID_SSML)
    clip = await _say(polly, prosody=LIVELY)
    assert [asked["TextType"] for name, asked in aws.asked if name == SPEAK] == ["ssml", "text"]
    assert clip.duration_ms == pytest.approx(20 * MS_PER_CHARACTER, abs=5)


async def test_plain_text_that_is_refused_is_a_failure(polly: PollyVoice, aws: "AwsLocal") -> None:
    """There is nothing left to leave out."""
    aws.fail(SPEAK, Fault.INVALID_SSML)
    with pytest.raises(EngineRefused, match="InvalidSsml"):
        await _say(polly)


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.SERVER_ERROR, Fault.UNAVAILABLE, Fault.DISCONNECT])
async def test_two_failures_that_may_pass_are_not_noticed(
    polly: PollyVoice, aws: "AwsLocal", fault: Fault
) -> None:
    """Throttling, faults of the server and broken connections are tried again, up to three attempts."""
    aws.fail(SPEAK, fault, fault)
    assert (await _say(polly)).pcm
    assert aws.count(SPEAK) == 3


async def test_a_sound_that_breaks_off_is_asked_for_again(polly: PollyVoice, aws: "AwsLocal") -> None:
    """Nobody hears half a sentence; what is charged twice is counted twice."""
    aws.fail(SPEAK, Fault.CUT_BODY)
    clip = await _say(polly)
    assert clip.duration_ms == pytest.approx(20 * MS_PER_CHARACTER, abs=5)
    assert clip.characters == 40


@pytest.mark.parametrize(
    ("faults", "failure"),
    [
        ([Fault.THROTTLED] * 3, EngineBusy),
        ([Fault.SERVER_ERROR] * 3, EngineMissing),
        ([Fault.CUT_BODY] * 2, EngineMissing),
        ([Fault.EXPIRED], EngineForbidden),
        ([Fault.DENIED], EngineForbidden),
        ([Fault.WRONG_TYPE], EngineRefused),
        ([Fault.MALFORMED], EngineRefused),
        ([Fault.EMPTY], EngineRefused),
    ],
)
async def test_failures_have_names_and_pass(
    polly: PollyVoice, aws: "AwsLocal", faults: list[Fault], failure: type[EngineFailure]
) -> None:
    """A sentence fails by name after the attempts that make sense, and the next one is spoken."""
    aws.fail(SPEAK, *faults)
    with pytest.raises(failure):
        await _say(polly)
    assert aws.count(SPEAK) == len(faults)
    assert (await _say(polly)).pcm


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.SLOW_BODY])
async def test_a_call_ends_at_its_deadline(hasty: PollyVoice, aws: "AwsLocal", fault: Fault) -> None:
    """Neither silence nor a sound that trickles holds a sentence; the next one is spoken."""
    aws.fail(SPEAK, *[fault] * 3)
    with pytest.raises(EngineTimedOut):
        await _say(hasty)
    aws.faults.clear()
    assert (await _say(hasty)).pcm


async def test_a_language_without_a_voice_is_a_failure(polly: PollyVoice) -> None:
    """Its listeners keep their captions."""
    with pytest.raises(EngineMissing, match="no voice for gl"):
        await _say(polly, language="gl")


async def test_a_long_text_is_spoken_whole(polly: PollyVoice, aws: "AwsLocal") -> None:
    """What Polly would refuse goes in pieces cut between sentences, and comes as one sound."""
    text = " ".join(["Esta frase tiene unas cuantas palabras."] * 100)
    clip = await _say(polly, text, prosody=Prosody(rate=1.3))
    assert aws.count(SPEAK) == 2
    assert clip.characters == pytest.approx(len(text), abs=1)
    assert clip.duration_ms == pytest.approx(len(text) * MS_PER_CHARACTER / 1.3, rel=0.01)
    assert all(asked["Text"].endswith(".</prosody></speak>") for name, asked in aws.asked if name == SPEAK)


async def test_no_voices_is_a_failure_until_there_are(polly: PollyVoice, aws: "AwsLocal") -> None:
    """An empty list is not kept."""
    aws.fail("polly:DescribeVoices", Fault.EMPTY)
    with pytest.raises(EngineRefused, match="empty"):
        await polly.warm()
    assert (await _say(polly)).pcm


@given(
    text=st.text(alphabet=st.sampled_from('aé&"<. '), max_size=9_000).map(lambda text: text + "x"),
    engine=st.sampled_from(["standard", "neural", "generative"]),
)
def test_pieces_are_within_polly_s_limits(text: str, engine: str) -> None:
    """Neither limit is passed, however much escaping adds, and only blanks are lost."""
    pieces = list(speakable(text, LIVELY, engine=engine))
    for piece in pieces:
        assert 0 < len(piece) <= MAX_BILLED_CHARACTERS
        assert len(polly_ssml(piece, LIVELY, engine=engine)) <= MAX_CHARACTERS
    assert "".join("".join(pieces).split()) == "".join(text.split())
