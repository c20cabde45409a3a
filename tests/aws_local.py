"""Amazon Translate and Polly on this machine: they check signatures and misbehave on demand."""

import asyncio
import functools
import json
import math
import os
import struct
import xml.etree.ElementTree as ET
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final, TypeVar

import botocore.session
import pytest
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader, create_loader
from botocore.retries.standard import ExponentialBackoff

ItemT = TypeVar("ItemT")

ACCESS_KEY, SECRET_KEY, TOKEN = "AKIDEXAMPLE", "not-a-real-secret", "session-token"
REGION: Final = "eu-west-1"
SAMPLE_RATE_HZ: Final = 16_000
MS_PER_CHARACTER: Final = 40
LANGUAGES: Final = ("auto", "ca", "de", "en", "es", "es-MX", "fr", "it", "ja", "no", "pl", "pt", "ru", "tl")
VOICES: Final = (
    ("Joanna", "en-US", ("neural", "standard", "generative")),
    ("Matthew", "en-US", ("neural", "standard")),
    ("Lucia", "es-ES", ("neural", "standard")),
    ("Sergio", "es-ES", ("neural",)),
    ("Enrique", "es-ES", ("standard",)),
    ("Lupe", "es-US", ("neural", "standard")),
    ("Camila", "pt-BR", ("neural", "standard")),
    ("Thiago", "pt-BR", ("neural",)),
    ("Tatyana", "ru-RU", ("standard",)),
    ("Maxim", "ru-RU", ("standard",)),
    ("Arlet", "ca-ES", ("neural",)),
    ("Liv", "nb-NO", ("standard",)),
    ("Ida", "nb-NO", ("neural",)),
)
_PAGE: Final = 8  # voices and languages come in pages, so that clients must turn them
_ALLOWED: Final[Mapping[str, Mapping[str, set[str]]]] = {
    "standard": {"speak": set(), "prosody": {"rate", "pitch", "volume"}, "emphasis": {"level"}},
    "neural": {"speak": set(), "prosody": {"rate", "volume"}},
    "generative": {"speak": set()},
}


class Fault(Enum):
    """What the next answer of an operation does instead of its work."""

    THROTTLED = auto()
    SERVER_ERROR = auto()
    UNAVAILABLE = auto()
    HANG = auto()
    SLOW_BODY = auto()
    """A piece now and then, never the end."""
    DISCONNECT = auto()
    """The connection ends without an answer."""
    CUT_BODY = auto()
    """The connection ends in the middle of the body."""
    MALFORMED = auto()
    """200 with a body that is no JSON."""
    WRONG_TYPE = auto()
    """200 with a page of a proxy."""
    EMPTY = auto()
    """200 with an answer without content."""
    EXPIRED = auto()
    DENIED = auto()
    INVALID_SSML = auto()


_ERRORS: Final = {
    Fault.THROTTLED: (400, "TooManyRequestsException"),
    Fault.SERVER_ERROR: (500, "InternalServerException"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailableException"),
    Fault.EXPIRED: (403, "ExpiredTokenException"),
    Fault.DENIED: (403, "AccessDeniedException"),
    Fault.INVALID_SSML: (400, "InvalidSsmlException"),
}


class Refusal(Exception):
    """An error of the service."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass(slots=True)
class AwsLocal:
    """Both services on one port, told apart by the signature's scope."""

    url: str = ""
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    """Operations that came with a good signature, and their parameters, faulty answers included."""
    rejected: list[str] = field(default_factory=list)
    """Why signatures were not good."""
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    terminologies: dict[str, Mapping[str, str]] = field(default_factory=dict)
    under_way: int = 0
    most_under_way: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Answers wait for it; set from the beginning."""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def fail(self, operation: str, *faults: Fault) -> None:
        """Let the next answers of an operation fail, one after the other."""
        self.faults[operation].extend(faults)

    async def until_under_way(self, number: int) -> None:
        """Wait until so many requests wait for the gate."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: self.under_way >= number)

    def count(self, operation: str) -> int:
        """How often an operation was asked for."""
        return sum(name == operation for name, _ in self.asked)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        body = await request.read()
        try:
            service = self._check_signature(request, body)
            operation, asked = _operation(service, request, body)
            self.asked.append((operation, asked))
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            async with self._changed:
                self._changed.notify_all()
            try:
                await self.gate.wait()
                return await self._work(request, operation, asked)
            finally:
                self.under_way -= 1
        except Refusal as refusal:
            return web.json_response(
                {"__type": refusal.code, "message": refusal.code},
                status=refusal.status,
                headers={"x-amzn-ErrorType": refusal.code},
            )

    async def _work(
        self, request: web.Request, operation: str, asked: Mapping[str, str]
    ) -> web.StreamResponse:
        fault = self.faults[operation].popleft() if self.faults[operation] else None
        if fault in _ERRORS:
            raise Refusal(*_ERRORS[fault])
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        if fault is Fault.DISCONNECT:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault is Fault.MALFORMED:
            return web.Response(body=b'{"TranslatedText": "so', content_type="application/x-amz-json-1.1")
        if fault is Fault.WRONG_TYPE:
            return web.Response(text="<html>Sign in to the network</html>", content_type="text/html")
        if fault is Fault.EMPTY:
            return web.json_response({})
        if operation == "polly:SynthesizeSpeech":
            return await _sound(request, _synthesize(asked), fault)
        answers = {
            "translate:ListLanguages": self._languages,
            "translate:TranslateText": self._translate,
            "polly:DescribeVoices": _voices,
        }
        text = json.dumps(answers[operation](asked)).encode()
        if fault is Fault.SLOW_BODY:
            return await _slowly(
                request, web.StreamResponse(headers={"Content-Length": str(len(text))}), text
            )
        return web.Response(body=text, content_type="application/x-amz-json-1.1")

    def _languages(self, asked: Mapping[str, str]) -> Mapping[str, object]:
        page, following = _page(LANGUAGES, asked)
        codes = [{"LanguageName": code, "LanguageCode": code} for code in page]
        return {"Languages": codes, "DisplayLanguageCode": "en", **following}

    def _translate(self, asked: Mapping[str, str]) -> Mapping[str, object]:
        text, source, target = asked["Text"], asked["SourceLanguageCode"], asked["TargetLanguageCode"]
        if len(text.encode()) > 10_000:
            raise Refusal(400, "TextSizeLimitExceededException")
        if {source, target} - set(LANGUAGES) or source == target:
            raise Refusal(400, "UnsupportedLanguagePairException")
        for name in asked.get("TerminologyNames", ()):
            if name not in self.terminologies:
                raise Refusal(400, "ResourceNotFoundException")
            for term, translation in self.terminologies[name].items():
                text = text.replace(term, translation)
        return {
            "TranslatedText": f"{target}: {text}",
            "SourceLanguageCode": source,
            "TargetLanguageCode": target,
        }

    def _check_signature(self, request: web.Request, body: bytes) -> str:
        """The service that the signature is for. Raises: Refusal."""
        authorization = request.headers.get("Authorization", "")
        try:
            kind, rest = authorization.split(" ", 1)
            parts = dict(part.strip().split("=", 1) for part in rest.split(","))
            key, day, region, service, _end = parts["Credential"].split("/")
        except (ValueError, KeyError):
            raise self._reject(403, "MissingAuthenticationTokenException") from None
        if kind != "AWS4-HMAC-SHA256" or key != ACCESS_KEY or region != REGION:
            raise self._reject(403, "UnrecognizedClientException")
        signed_at = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if (
            abs(datetime.now(UTC) - signed_at) > timedelta(minutes=5)
            or not signed_at.strftime("%Y%m%d") == day
        ):
            raise self._reject(403, "RequestExpired")
        if request.headers.get("X-Amz-Security-Token") != TOKEN:
            raise self._reject(403, "UnrecognizedClientException")
        names = parts["SignedHeaders"].split(";")
        if not {"host", "x-amz-date", "x-amz-security-token"} <= set(names):
            raise self._reject(403, "IncompleteSignatureException")
        again = AWSRequest(
            method=request.method,
            url=f"{self.url}{request.path_qs}",
            headers={name: request.headers[name] for name in names},
            data=body,
        )
        again.context["timestamp"] = request.headers["X-Amz-Date"]
        signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY, TOKEN), service, region)
        text = signer.string_to_sign(again, signer.canonical_request(again))
        if signer.signature(text, again) != parts["Signature"]:
            raise self._reject(403, "InvalidSignatureException")
        return service

    def _reject(self, status: int, code: str) -> Refusal:
        self.rejected.append(code)
        return Refusal(status, code)


def _operation(service: str, request: web.Request, body: bytes) -> tuple[str, Mapping[str, str]]:
    if service == "translate":
        return f"translate:{request.headers['X-Amz-Target'].split('.')[1]}", json.loads(body)
    if (request.method, request.path) == ("GET", "/v1/voices"):
        return "polly:DescribeVoices", dict(request.query)
    if (request.method, request.path) == ("POST", "/v1/speech"):
        return "polly:SynthesizeSpeech", json.loads(body)
    raise Refusal(404, "UnknownOperationException")


def _page(items: Sequence[ItemT], asked: Mapping[str, str]) -> tuple[Sequence[ItemT], Mapping[str, str]]:
    start = int(asked.get("NextToken", "0"))
    end = start + _PAGE
    return items[start:end], {"NextToken": str(end)} if end < len(items) else {}


def _voices(asked: Mapping[str, str]) -> Mapping[str, object]:
    page, following = _page(VOICES, asked)
    voices = [
        {
            "Id": name,
            "LanguageCode": locale,
            "SupportedEngines": list(engines),
            **({"AdditionalLanguageCodes": ["es-MX"]} if name == "Lupe" else {}),
        }
        for name, locale, engines in page
    ]
    return {"Voices": voices, **following}


def _synthesize(asked: Mapping[str, str]) -> tuple[bytes, int]:
    """PCM and billed characters. Raises: Refusal."""
    engine, text, rate = asked["Engine"], asked["Text"], 1.0
    known = {name: (locale, engines) for name, locale, engines in VOICES}
    if engine not in known[asked["VoiceId"]][1]:
        raise Refusal(400, "EngineNotSupportedException")
    if (asked["OutputFormat"], asked["SampleRate"]) != ("pcm", str(SAMPLE_RATE_HZ)):
        raise Refusal(400, "InvalidSampleRateException")
    size = len(text)
    if asked["TextType"] == "ssml":
        text, rate = _read_ssml(text, engine)
    if len(text) > 3_000 or size > 6_000:
        raise Refusal(400, "TextLengthExceededException")
    samples = round(len(text) * MS_PER_CHARACTER / rate) * SAMPLE_RATE_HZ // 1000
    wave = (int(6000 * math.sin(2 * math.pi * 220 * n / SAMPLE_RATE_HZ)) for n in range(samples))
    return struct.pack(f"<{samples}h", *wave), len(text)


def _read_ssml(ssml: str, engine: str) -> tuple[str, float]:
    """What is said, and how fast. Raises: Refusal for markup that the engine does not have."""
    try:
        root = ET.fromstring(ssml)  # noqa: S314 - our own client's
    except ET.ParseError:
        raise Refusal(400, "InvalidSsmlException") from None
    rate = 1.0
    for element in root.iter():
        allowed = _ALLOWED[engine].get(element.tag)
        if root.tag != "speak" or allowed is None or set(element.attrib) - allowed:
            raise Refusal(400, "InvalidSsmlException")
        rate *= float(element.get("rate", "100%").removesuffix("%")) / 100
        if not 0.2 <= rate <= 2 or element.get("level", "strong") not in ("strong", "moderate", "reduced"):
            raise Refusal(400, "InvalidSsmlException")
    return "".join(root.itertext()), rate


async def _sound(request: web.Request, made: tuple[bytes, int], fault: Fault | None) -> web.StreamResponse:
    pcm, billed = made
    response = web.StreamResponse(
        headers={"Content-Type": "audio/pcm", "x-amzn-RequestCharacters": str(billed)}
    )
    if fault is Fault.SLOW_BODY:
        return await _slowly(request, response, pcm)
    await response.prepare(request)
    await response.write(pcm[: len(pcm) // 2])
    if fault is Fault.CUT_BODY:
        assert request.transport is not None
        request.transport.abort()
        return response
    await response.write(pcm[len(pcm) // 2 :])
    await response.write_eof()
    return response


async def _slowly(request: web.Request, response: web.StreamResponse, body: bytes) -> web.StreamResponse:
    await response.prepare(request)
    for position in range(len(body)):
        await response.write(body[position : position + 1])
        await asyncio.sleep(0.05)  # the fault itself, not a wait for something
    return response


@functools.cache
def _shared_loader(search_path: str | None) -> Loader:
    return create_loader(search_path)


@pytest.fixture
async def aws(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AwsLocal]:
    """Amazon Translate and Polly, with the environment of a client that is allowed to use them.

    Retries come at once, and botocore reads its descriptions of services once.
    """
    local = AwsLocal()
    local.gate.set()
    application = web.Application(client_max_size=2**20)
    application.router.add_route("*", "/{path:.*}", local.answer)
    runner = web.AppRunner(application, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    local.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    environment = {
        "AWS_ENDPOINT_URL_TRANSLATE": local.url,
        "AWS_ENDPOINT_URL_POLLY": local.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_SESSION_TOKEN": TOKEN,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(botocore.session, "create_loader", _shared_loader)
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda _self, _context: 0.01)
    yield local
    await runner.cleanup()
