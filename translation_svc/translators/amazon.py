"""Amazon Translate."""
# ruff: noqa: N803, D102 - calls and their parameters are named and described by AWS

import logging
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final, NotRequired, Protocol, TypedDict

from translation_svc.aws import AwsClient, AwsSettings, error_code
from translation_svc.failures import EngineFailure, EngineRefused
from translation_svc.translators.base import Capabilities, Pair
from translation_svc.turns import Urgency

log = logging.getLogger(__name__)

MAX_TEXT_BYTES: Final = 10_000
"""TranslateText's limit, in UTF-8."""
_PAGE: Final = 500
_MAX_PAGES: Final = 20
_CODES: Final[Mapping[str, str]] = {"nb": "no", "nn": "no", "fil": "tl", "iw": "he", "in": "id"}
"""Codes of ours that Amazon Translate has under another name. It takes all others as they are: `pt` is
Brazilian, `zh` simplified, `es` and `fr` those of Spain and France."""


class _Language(TypedDict):
    LanguageCode: NotRequired[str]


class _Languages(TypedDict):
    Languages: NotRequired[Sequence[_Language]]
    NextToken: NotRequired[str]


class _Translated(TypedDict):
    TranslatedText: NotRequired[str]


class TranslateClient(Protocol):
    """What is used of aiobotocore's client."""

    async def translate_text(
        self, *, Text: str, SourceLanguageCode: str, TargetLanguageCode: str, TerminologyNames: Sequence[str]
    ) -> _Translated: ...

    async def list_languages(self, *, MaxResults: int, NextToken: str = ...) -> _Languages: ...


class AmazonTranslator:
    """Translates between all languages that Amazon Translate lists, each pair in one step.

    The list is read by `warm_all` and kept while the process lives. A session's glossary reaches it as
    placeholders, like every other engine; a deployment's own terminology is Amazon's custom terminology, kept
    there under `terminology`. Without it in the account, that is logged once and sentences go without.
    """

    name = "amazon"
    capabilities = Capabilities(is_charged=True)

    def __init__(self, *, settings: AwsSettings, terminology: str = "") -> None:
        self.client: AwsClient[TranslateClient] = AwsClient("translate", engine=self.name, settings=settings)
        self._terminologies = [terminology] if terminology else []
        self._pairs: frozenset[Pair] = frozenset()

    @property
    def pairs(self) -> Set[Pair]:
        """Every pair of the languages listed; none before they are."""
        return self._pairs

    async def warm_all(self) -> None:
        """Read what languages there are, which also tells whether the credentials are good.

        Raises: EngineFailure.
        """
        if not self._pairs:
            codes = await self.client.call("translate:ListLanguages", _languages)
            self._pairs = frozenset(_pairs(codes))

    async def warm(self, pair: Pair) -> None:  # noqa: ARG002 - nothing is loaded for a pair
        """Know the languages."""
        await self.warm_all()

    async def translate(
        self,
        text: str,
        pair: Pair,
        *,
        urgency: Urgency,
        context: str = "",  # noqa: ARG002 - it takes none
    ) -> str:
        """One sentence; a longer text than Amazon takes at once goes in pieces."""
        pieces = [await self._piece(piece, pair, urgency) for piece in pieces_of(text, MAX_TEXT_BYTES)]
        return " ".join(pieces)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()

    async def _piece(self, text: str, pair: Pair, urgency: Urgency) -> str:
        try:
            return await self._ask(text, pair, urgency)
        except EngineFailure as failure:
            if error_code(failure) != "ResourceNotFoundException" or not self._terminologies:
                raise
        log.error("there is no such custom terminology", extra={"engine": self.name})
        self._terminologies = []
        return await self._ask(text, pair, urgency)

    async def _ask(self, text: str, pair: Pair, urgency: Urgency) -> str:
        terminologies = list(self._terminologies)

        async def make(client: TranslateClient) -> _Translated:
            return await client.translate_text(
                Text=text,
                SourceLanguageCode=_CODES.get(pair.source, pair.source),
                TargetLanguageCode=_CODES.get(pair.target, pair.target),
                TerminologyNames=terminologies,
            )

        answer = await self.client.call("translate:TranslateText", make, urgency=urgency)
        translated = answer.get("TranslatedText")
        if not isinstance(translated, str):  # what botocore makes of an answer that is no JSON
            raise EngineRefused(self.name, "its answer holds no text")
        return translated


def pieces_of(text: str, max_bytes: int) -> Iterator[str]:
    """Parts of at most `max_bytes` of UTF-8, cut at a blank where there is one."""
    while len(text.encode()) > max_bytes:
        head = text.encode()[:max_bytes].decode(errors="ignore")
        blank = head.rfind(" ") if text[len(head)] != " " else len(head)
        cut = blank if blank > 0 else len(head)
        yield text[:cut]
        text = text[cut:].lstrip(" ")
    if text:
        yield text


async def _languages(client: TranslateClient) -> Set[str]:
    codes: set[str] = set()
    page = await client.list_languages(MaxResults=_PAGE)
    for _ in range(_MAX_PAGES):
        codes.update(language.get("LanguageCode", "auto") for language in page.get("Languages", ()))
        token = page.get("NextToken")
        if not token:
            break
        page = await client.list_languages(MaxResults=_PAGE, NextToken=token)
    if not codes:
        raise EngineRefused(AmazonTranslator.name, "its list of languages is empty")
    return codes


def _pairs(codes: Set[str]) -> Iterator[Pair]:
    """All directions between languages; regional variants (`es-MX`) and `auto` are none."""
    plain = {code for code in codes if "-" not in code and code != "auto"}
    known = plain | {ours for ours, theirs in _CODES.items() if theirs in plain}
    for source in known:
        for target in known:
            if _CODES.get(source, source) != _CODES.get(target, target):
                yield Pair(source, target)
