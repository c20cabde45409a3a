"""Amazon Polly."""
# ruff: noqa: N803, D102 - calls and their parameters are named and described by AWS

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence, Set
from typing import Final, NotRequired, Protocol, TypedDict

import aiohttp
from botocore.exceptions import BotoCoreError, ConnectTimeoutError, ReadTimeoutError

from babelcast.pcm import SAMPLE_RATE_HZ
from translation_svc.aws import AwsClient, AwsSettings, error_code
from translation_svc.failures import EngineFailure, EngineMissing, EngineRefused
from translation_svc.loudness import finished, from_pcm
from translation_svc.segments import Clip, Prosody, Tier
from translation_svc.sentences import split
from translation_svc.ssml import delivery, polly_ssml
from translation_svc.voices.polly_voices import Choice, PollyVoiceInfo, PollyVoices

log = logging.getLogger(__name__)

MAX_BILLED_CHARACTERS: Final = 3_000
MAX_CHARACTERS: Final = 6_000
"""SynthesizeSpeech's limits on a text, without and with markup."""
MAX_SOUND_BYTES: Final = 600 * SAMPLE_RATE_HZ * 2
"""Polly ends a sound after 10 minutes; more than that is not its answer."""
_BODY_ATTEMPTS: Final = 2
_READ_BYTES: Final = 64 * 1024
_MAX_PAGES: Final = 20
_MAX_WORDS: Final = 400


class Body(Protocol):
    """A body that comes in pieces."""

    def iter_chunks(self, chunk_size: int) -> AsyncIterator[bytes]: ...

    def close(self) -> None: ...


class _Voice(TypedDict):
    Id: str
    LanguageCode: str
    AdditionalLanguageCodes: NotRequired[Sequence[str]]
    SupportedEngines: NotRequired[Sequence[str]]


class _Voices(TypedDict):
    Voices: NotRequired[Sequence[_Voice]]
    NextToken: NotRequired[str]


class _Sound(TypedDict):
    AudioStream: Body
    ContentType: NotRequired[str]
    RequestCharacters: NotRequired[int]


class PollyClient(Protocol):
    """What is used of aiobotocore's client."""

    async def describe_voices(
        self, *, IncludeAdditionalLanguageCodes: bool, NextToken: str = ...
    ) -> _Voices: ...

    async def synthesize_speech(
        self,
        *,
        Engine: str,
        LanguageCode: str,
        OutputFormat: str,
        SampleRate: str,
        Text: str,
        TextType: str,
        VoiceId: str,
    ) -> _Sound: ...


class PollyVoice:
    """Speaks every language that Polly has a voice for in this region.

    The voices are read when first needed and kept while the process lives. Markup that Polly refuses is left
    out, and the plain text spoken. A sound that breaks off is asked for once more. Loudness is brought to
    that of all our voices, plus the speaker's own gain.
    """

    name = "polly"

    def __init__(
        self,
        *,
        settings: AwsSettings,
        wanted: Mapping[str, str] | None = None,
        premium_engine: str = "neural",
    ) -> None:
        """`wanted` is language to voice id; `premium_engine` is what premium sessions get first."""
        self.client: AwsClient[PollyClient] = AwsClient("polly", engine=self.name, settings=settings)
        self._wanted = wanted or {}
        self._premium_engine = premium_engine
        self._reading = asyncio.Lock()
        self._voices: PollyVoices | None = None

    @property
    def languages(self) -> Set[str]:
        """The languages with a voice; none before they are read."""
        return self._voices.languages if self._voices is not None else frozenset()

    def names(self, language: str) -> list[str]:
        """The voices of a language, best first; none before they are read."""
        return self._voices.names(language) if self._voices is not None else []

    async def warm(self) -> None:
        """Read what voices there are, which also tells whether the credentials are good."""
        await self._known()

    async def speak(self, text: str, *, language: str, prosody: Prosody, tier: Tier = Tier.STANDARD) -> Clip:
        """Text as sound, at the loudness of all voices plus the gain asked for."""
        choice = (await self._known()).choose(language, tier)
        if choice is None:
            raise EngineMissing(self.name, f"no voice for {language}")
        sounds: list[bytes] = []
        characters = 0
        for piece in speakable(text, prosody, engine=choice.engine):
            pcm, billed = await self._say(piece, choice, prosody)
            sounds.append(pcm)
            characters += billed
        pcm = await asyncio.to_thread(levelled, b"".join(sounds), delivery(prosody).volume_db)
        return Clip(pcm, SAMPLE_RATE_HZ, engine=f"{self.name}-{choice.engine}", characters=characters)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()

    async def _known(self) -> PollyVoices:
        async with self._reading:
            if self._voices is None:
                found = await self.client.call("polly:DescribeVoices", _describe)
                self._voices = PollyVoices(found, wanted=self._wanted, premium_engine=self._premium_engine)
            return self._voices

    async def _say(self, text: str, choice: Choice, prosody: Prosody) -> tuple[bytes, int]:
        """PCM and the characters that are charged for."""
        ssml = polly_ssml(text, prosody, engine=choice.engine)
        if ssml:
            try:
                return await self._whole(ssml, "ssml", choice)
            except EngineFailure as failure:
                if error_code(failure) != "InvalidSsmlException":
                    raise
            log.warning("markup refused", extra={"engine": self.name, "voice": choice.voice})
        return await self._whole(text, "text", choice)

    async def _whole(self, text: str, kind: str, choice: Choice) -> tuple[bytes, int]:
        async def make(client: PollyClient) -> tuple[bytes, int]:
            billed = 0
            for attempt in range(_BODY_ATTEMPTS):
                answer = await client.synthesize_speech(
                    Engine=choice.engine,
                    LanguageCode=choice.locale,
                    OutputFormat="pcm",
                    SampleRate=str(SAMPLE_RATE_HZ),
                    Text=text,
                    TextType=kind,
                    VoiceId=choice.voice,
                )
                billed += answer.get("RequestCharacters", len(text))
                try:
                    pcm = await _read(answer)
                except (ReadTimeoutError, ConnectTimeoutError):
                    raise
                except (BotoCoreError, aiohttp.ClientError):  # it broke off
                    if attempt + 1 == _BODY_ATTEMPTS:
                        raise
                else:
                    return pcm, billed
            raise AssertionError  # the last attempt returns or raises

        return await self.client.call("polly:SynthesizeSpeech", make)


def speakable(text: str, prosody: Prosody, *, engine: str) -> Iterator[str]:
    """The text in pieces that Polly takes at once, as few as may be, cut between sentences where it can."""
    piece = ""
    for sentence in _short_enough(text, prosody, engine=engine):
        longer = f"{piece} {sentence}" if piece else sentence
        if piece and not _fits(longer, prosody, engine=engine):
            yield piece
            longer = sentence
        piece = longer
    if piece:
        yield piece


def levelled(pcm: bytes, gain_db: float) -> bytes:
    """Polly's PCM without the silence at its end, at the usual loudness plus a gain."""
    samples = from_pcm(pcm[: len(pcm) // 2 * 2])
    return finished(samples, from_hz=SAMPLE_RATE_HZ, to_hz=SAMPLE_RATE_HZ, gain_db=gain_db)


def _short_enough(text: str, prosody: Prosody, *, engine: str) -> Iterator[str]:
    """Sentences, and of those that are too long the halves, cut at a blank if there is one."""
    for sentence in split(text, max_words=_MAX_WORDS):
        rest = [sentence]
        while rest:
            part = rest.pop(0)
            if _fits(part, prosody, engine=engine):
                yield part
                continue
            middle = part.find(" ", len(part) // 2)
            middle = middle if middle > 0 else len(part) // 2
            rest[:0] = [half for half in (part[:middle].strip(), part[middle:].strip()) if half]


def _fits(text: str, prosody: Prosody, *, engine: str) -> bool:
    return (
        len(text) <= MAX_BILLED_CHARACTERS and len(polly_ssml(text, prosody, engine=engine)) <= MAX_CHARACTERS
    )


async def _read(answer: _Sound) -> bytes:
    body = answer["AudioStream"]
    try:
        if answer.get("ContentType", "") not in ("audio/pcm", "application/octet-stream"):
            raise EngineRefused(PollyVoice.name, f"its answer is {answer.get('ContentType', 'of no type')}")
        sound = bytearray()
        async for chunk in body.iter_chunks(_READ_BYTES):
            sound += chunk
            if len(sound) > MAX_SOUND_BYTES:
                raise EngineRefused(PollyVoice.name, "its answer does not end")
        return bytes(sound)
    finally:
        body.close()


async def _describe(client: PollyClient) -> list[PollyVoiceInfo]:
    found: list[PollyVoiceInfo] = []
    page = await client.describe_voices(IncludeAdditionalLanguageCodes=True)
    for _ in range(_MAX_PAGES):
        found += map(_voice, page.get("Voices", ()))
        token = page.get("NextToken")
        if not token:
            break
        page = await client.describe_voices(IncludeAdditionalLanguageCodes=True, NextToken=token)
    if not found:
        raise EngineRefused(PollyVoice.name, "its list of voices is empty")
    return found


def _voice(voice: _Voice) -> PollyVoiceInfo:
    locales = (voice.get("LanguageCode", ""), *voice.get("AdditionalLanguageCodes", ()))
    return PollyVoiceInfo(
        voice.get("Id", ""), locales, frozenset(voice.get("SupportedEngines", ("standard",)))
    )
