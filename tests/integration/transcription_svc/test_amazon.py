"""Amazon Transcribe's own client against a server that checks what it sends and misbehaves on demand."""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from babelcast.backoff import Backoff
from babelcast.config import load
from babelcast.errors import BabelcastError, CapacityExhausted, InvalidConfiguration, ServiceUnavailable
from babelcast.rpc.client import open_channel
from babelcast.transcription.v1 import transcription_pb2 as pb
from babelcast.transcription.v1 import transcription_pb2_grpc as rpc
from tests.amazon.driving import FAST, SOON, FixedKeys, amazon, everything, feed, pause, spoken_words
from tests.amazon.reciting import Reciter, Spoken, result, speak
from tests.amazon.server import REGION, Call, TranscribeServer
from tests.amazon.sigv4 import Account
from transcription_svc.audio import FRAME_SAMPLES, Samples
from transcription_svc.config import TranscriptionConfig
from transcription_svc.engines.amazon.client import AmazonConnection, AmazonConnector, Wanted
from transcription_svc.engines.amazon.recognition import Times
from transcription_svc.engines.amazon.transcriber import AmazonTranscriber
from transcription_svc.engines.base import SegmentResult, StreamOptions
from transcription_svc.service import create_service

ENGLISH = StreamOptions(language="en")


def words(first: int, count: int) -> list[str]:
    """The words that `speak` says."""
    return [f"w{number}" for number in range(first, first + count)]


async def transcribe(
    transcriber: AmazonTranscriber, samples: Sequence[object], options: StreamOptions = ENGLISH
) -> list[SegmentResult]:
    """All results of a talk."""
    recognition = transcriber.open(options)
    reading = asyncio.create_task(everything(recognition))
    try:
        async with asyncio.timeout(30):
            for piece in samples:
                await feed(recognition, np.asarray(piece, np.float32))
            await recognition.finish()
            return await reading
    finally:
        reading.cancel()
        await recognition.aclose()


async def fails(transcriber: AmazonTranscriber, samples: Sequence[object]) -> BabelcastError:
    """The error that a talk ends with."""
    with pytest.raises(BabelcastError) as caught:
        await transcribe(transcriber, samples)
    return caught.value


def disconnecting(call: Call) -> None:
    """Cut the TCP connection."""
    call.disconnect()


def throwing(code: str, message: str = "No.") -> Callable[[Call], Awaitable[None] | None]:
    """Send an exception frame."""
    return lambda call: call.exception(code, message)


def refusing(status: int, code: str) -> Callable[[Call], Awaitable[None]]:
    """A script that refuses the stream."""

    async def script(call: Call) -> None:
        call.refuse(status, code)

    return script


async def test_a_talk_is_transcribed(transcribe_server: TranscribeServer) -> None:
    """All words arrive once, in numbered segments, with positions, and the audio is what was spoken."""
    transcribe_server.scripts = [Reciter()]
    options = StreamOptions(language="en", first_segment=7)
    results = await transcribe(amazon(transcribe_server), [speak(1, 12), pause(0.5)], options)
    finals = [found for found in results if found.is_final]
    assert spoken_words(results) == words(1, 12)
    assert [final.segment for final in finals] == [7, 8, 9]
    assert [(final.start, final.end) for final in finals] == [(0, 38_400), (40_000, 78_400), (80_000, 94_400)]
    assert not transcribe_server.rejected
    assert transcribe_server.calls[0].ended


@pytest.mark.parametrize(
    ("min_stability", "level"), [(0.95, "high"), (0.9, "high"), (0.85, "medium"), (0.7, "low")]
)
async def test_the_request_asks_for_what_is_wanted(
    transcribe_server: TranscribeServer, min_stability: float, level: str
) -> None:
    """Locale, rate and stability level reach the service under a valid signature."""
    transcribe_server.scripts = [Reciter()]
    options = StreamOptions(language="pt", min_stability=min_stability)
    await transcribe(amazon(transcribe_server), [speak(1, 2)], options)
    call = transcribe_server.calls[0]
    assert call.asked("language-code") == "pt-BR"
    assert call.asked("sample-rate") == "16000"
    assert call.asked("media-encoding") == "pcm"
    assert call.asked("enable-partial-results-stabilization").lower() == "true"
    assert call.asked("partial-results-stability") == level


async def test_stable_text_only_grows(transcribe_server: TranscribeServer) -> None:
    """What Amazon marks as stable is committed at once; what it does not, only with the final result."""
    transcribe_server.scripts = [Reciter(length=6, unstable=2)]
    recognition = amazon(transcribe_server).open(ENGLISH)
    results = recognition.results()
    shown: list[SegmentResult] = []
    for number in range(1, 7):
        await feed(recognition, speak(number, 1))
        if number > 1:
            shown.append(await anext(results))
    await recognition.finish()
    shown += [found async for found in results]
    await recognition.aclose()
    texts = [found.stable_text for found in shown if not found.is_final]
    assert "w1 w2 w3" in texts
    assert all(later.startswith(sooner) for sooner, later in itertools.pairwise(texts))
    assert shown[-1].text == "w1 w2 w3 w4 w5 w6."


@pytest.mark.parametrize(
    "account",
    [
        Account(secret_access_key="guessed"),
        Account(access_key_id="AKIDNOBODY"),
        Account(session_token="stolen"),
    ],
)
async def test_the_server_rejects_wrong_requests(
    transcribe_server: TranscribeServer, account: Account
) -> None:
    """The test server can tell: a wrong secret, key or token is refused, and that is permanent."""
    transcribe_server.scripts = [Reciter()]
    error = await fails(amazon(transcribe_server, account=account), [speak(1, 3)])
    assert isinstance(error, InvalidConfiguration)
    assert "transcribe:StartStreamTranscription" in error.message
    assert len(transcribe_server.rejected) == 1
    assert not transcribe_server.calls


async def test_the_server_rejects_wrong_chunks(transcribe_server: TranscribeServer) -> None:
    """The test server can tell: a chunk whose signature does not follow from the one before ends all."""
    transcribe_server.scripts = [Reciter()]
    forging = Forging(AmazonConnector(REGION, FixedKeys(), transcribe_server.url))
    recognition = AmazonTranscriber(forging, locales={"en": "en-US"}, times=FAST).open(ENGLISH)
    reading = asyncio.create_task(everything(recognition))
    with pytest.raises(InvalidConfiguration):
        async with asyncio.timeout(10):
            await feed(recognition, speak(1, 4))
            await recognition.finish()
            await reading
    await asyncio.wait([reading])
    assert isinstance(reading.exception(), InvalidConfiguration)
    await recognition.aclose()
    assert transcribe_server.rejected == ["a chunk's signature is wrong"]


class Forging:
    """Opens connections whose third chunk does not follow from the second."""

    def __init__(self, connector: AmazonConnector) -> None:
        self.connector = connector

    async def connect(self, wanted: Wanted) -> "ForgedConnection":
        """Open one."""
        return ForgedConnection(await self.connector.connect(wanted))


class ForgedConnection:
    """A connection that forgets the second signature."""

    def __init__(self, connection: AmazonConnection) -> None:
        self.connection = connection
        self.end = connection.end
        self.results = connection.results
        self.close = connection.close
        self.sent = 0

    async def send(self, pcm: bytes) -> None:
        """Queue audio."""
        self.sent += 1
        if self.sent == 3:
            self.connection.stream.input_stream._prior_signature = bytes(32)
        await self.connection.send(pcm)


async def test_session_tokens_are_signed(transcribe_server: TranscribeServer) -> None:
    """Temporary credentials work: the token goes with the request, under its signature."""
    account = Account(access_key_id="ASIATEMP", session_token="for-an-hour")
    transcribe_server.accounts[account.access_key_id] = account
    transcribe_server.scripts = [Reciter()]
    results = await transcribe(amazon(transcribe_server, account=account), [speak(1, 3)])
    assert spoken_words(results) == words(1, 3)


@pytest.mark.parametrize(
    "fault",
    [
        disconnecting,
        throwing("InternalFailureException"),
        throwing("ServiceUnavailableException"),
        throwing("LimitExceededException"),
        throwing("ConflictException"),
        throwing("ThrottlingException"),
        throwing(
            "BadRequestException", "Your request timed out because no new audio was received for 15 seconds."
        ),
        lambda call: call.raw(b"\0\0\0\x20\0\0\0\x10 not a frame at all......."),
    ],
    ids=["cut", "internal", "unavailable", "limit", "conflict", "throttled", "quiet", "garbage"],
)
async def test_nothing_is_lost_when_a_stream_breaks(
    transcribe_server: TranscribeServer, fault: Callable[[Call], Awaitable[None] | None]
) -> None:
    """The audio since the last final result is sent again, and every word arrives once."""
    transcribe_server.scripts = [
        Reciter(until_s=3.3, then=fault),
        Reciter(until_s=2.9, then=fault),
        Reciter(),
    ]
    results = await transcribe(amazon(transcribe_server), [speak(1, 16), pause(0.5)])
    assert spoken_words(results) == words(1, 16)
    numbers = [found.segment for found in results if found.is_final]
    assert numbers == list(range(len(numbers)))
    assert len(transcribe_server.calls) == 3
    assert transcribe_server.calls[1].seconds < 9.0  # not everything was sent again


@pytest.mark.parametrize("seed", range(4))
async def test_ten_breaks_in_a_talk_cost_no_word(transcribe_server: TranscribeServer, seed: int) -> None:
    """Cuts and exceptions at random moments of a minute's talk leave all its words, once and in order."""
    chance = random.Random(seed)
    faults = [disconnecting, throwing("InternalFailureException"), throwing("LimitExceededException")]
    transcribe_server.scripts = [
        *(
            Reciter(length=chance.randint(3, 9), until_s=chance.uniform(2.0, 7.0), then=chance.choice(faults))
            for _ in range(10)
        ),
        Reciter(),
    ]
    pieces = []
    for first in range(1, 101, 20):
        pieces += [speak(first, 20), pause(chance.uniform(0.2, 3.0))]
    results = await transcribe(amazon(transcribe_server), pieces)
    assert spoken_words(results) == words(1, 100)
    numbers = [found.segment for found in results if found.is_final]
    assert numbers == list(range(len(numbers)))
    assert len(transcribe_server.calls) == 11


async def test_a_break_does_not_take_text_back(transcribe_server: TranscribeServer) -> None:
    """What was committed before a break stays at the beginning of what comes after it."""
    transcribe_server.scripts = [
        Reciter(length=8, until_s=3.3, then=disconnecting),
        Reciter(length=8),
    ]
    results = await transcribe(amazon(transcribe_server), [speak(1, 8), pause(0.5)])
    stable = ""
    for found in results:
        assert found.stable_text.startswith(stable)
        stable = "" if found.is_final else found.stable_text
    assert spoken_words(results) == words(1, 8)


async def test_an_early_end_of_the_answer_is_noticed(transcribe_server: TranscribeServer) -> None:
    """A server that ends its answer without a word while speech goes on is left for a new connection."""
    transcribe_server.scripts = [Reciter(until_s=2.0, then=lambda call: call.finish()), Reciter()]
    results = await transcribe(amazon(transcribe_server), [speak(1, 16), pause(0.5)])
    assert spoken_words(results) == words(1, 16)


async def test_a_connection_that_falls_silent_is_left(transcribe_server: TranscribeServer) -> None:
    """Speech that is not answered for too long is sent again on another connection."""
    transcribe_server.scripts = [Reciter(until_s=2.0, then=lambda call: call.until_left()), Reciter()]
    now = [0.0]
    times = replace(FAST, stall_s=3.0)
    recognition = amazon(transcribe_server, times=times, clock=lambda: now[0]).open(ENGLISH)
    reading = asyncio.create_task(everything(recognition))
    await feed(recognition, speak(1, 12))
    await transcribe_server.until(lambda: any(call.seconds > 5.5 for call in transcribe_server.calls))
    assert len(transcribe_server.calls) == 1
    now[0] = 4.0
    await feed(recognition, speak(13, 4))
    await transcribe_server.until(lambda: len(transcribe_server.calls) == 2)
    await recognition.finish()
    assert spoken_words(await reading) == words(1, 16)
    await recognition.aclose()


async def test_speech_without_an_answer_at_the_end_is_not_lost(transcribe_server: TranscribeServer) -> None:
    """When the deadline passes and much speech has no answer, the owner is told, and sends it again."""
    transcribe_server.scripts = [Reciter(until_s=2.0, then=lambda call: call.until_left())]
    error = await fails(amazon(transcribe_server, times=replace(FAST, end_s=0.5)), [speak(1, 16)])
    assert type(error) is ServiceUnavailable


async def test_noise_that_looks_like_speech_ends(transcribe_server: TranscribeServer) -> None:
    """Sound in which Amazon hears nothing is asked about a second time, and that is all."""

    async def deaf(call: Call) -> None:
        call.accept()
        await call.until_ended()
        call.finish()

    transcribe_server.scripts = [deaf]
    assert await transcribe(amazon(transcribe_server), [speak(1, 8)]) == []
    assert len(transcribe_server.calls) == 2


async def test_throttling_at_the_start_is_waited_out(transcribe_server: TranscribeServer) -> None:
    """Refused streams are asked for again; the words wait."""
    transcribe_server.scripts = [
        refusing(429, "LimitExceededException"),
        refusing(400, "ThrottlingException"),
        refusing(500, "InternalFailureException"),
        refusing(503, "ServiceUnavailableException"),
        Reciter(),
    ]
    results = await transcribe(amazon(transcribe_server), [speak(1, 6)])
    assert spoken_words(results) == words(1, 6)
    assert len(transcribe_server.calls) == 5


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (refusing(429, "LimitExceededException"), CapacityExhausted),
        (refusing(503, "ServiceUnavailableException"), ServiceUnavailable),
        (refusing(400, "BadRequestException"), InvalidConfiguration),
        (refusing(403, "AccessDeniedException"), InvalidConfiguration),
        (Reciter(until_s=1.0, then=throwing("BadRequestException")), InvalidConfiguration),
        (Reciter(until_s=1.8, then=throwing("InternalFailureException")), ServiceUnavailable),
    ],
    ids=["limit", "unavailable", "bad request", "access denied", "bad request later", "no progress"],
)
async def test_what_does_not_pass_has_a_name(
    transcribe_server: TranscribeServer,
    script: Callable[[Call], Awaitable[None]],
    expected: type[BabelcastError],
) -> None:
    """Transient faults are given up after some tries, permanent ones at once, each under its own error."""
    transcribe_server.scripts = [script]
    error = await fails(amazon(transcribe_server, backoff=replace(SOON, retries=2)), [speak(1, 4)])
    assert type(error) is expected
    assert len(transcribe_server.calls) == (1 if expected is InvalidConfiguration else 3)


async def test_nobody_listens(transcribe_server: TranscribeServer) -> None:
    """A service that cannot be reached is unavailable, after the tries that are allowed."""
    transcribe_server.url = "https://localhost:1"
    transcriber = amazon(transcribe_server, backoff=Backoff(retries=1, base_s=0.0, cap_s=4.0))
    error = await fails(transcriber, [speak(1, 2)])
    assert type(error) is ServiceUnavailable


async def test_a_slow_start_loses_nothing(transcribe_server: TranscribeServer) -> None:
    """Audio waits for a connection that takes its time."""
    go = asyncio.Event()

    async def slow(call: Call) -> None:
        await go.wait()
        await Reciter()(call)

    transcribe_server.scripts = [slow]
    recognition = amazon(transcribe_server).open(ENGLISH)
    reading = asyncio.create_task(everything(recognition))
    await feed(recognition, speak(1, 8))
    go.set()
    await recognition.finish()
    assert spoken_words(await reading) == words(1, 8)
    await recognition.aclose()


async def test_a_start_that_hangs_is_tried_again(transcribe_server: TranscribeServer) -> None:
    """A connection that is not answered in time is given up for another."""

    async def never(call: Call) -> None:
        await call.until_left()

    transcribe_server.scripts = [never, Reciter()]
    times = replace(FAST, start_s=0.3)
    results = await transcribe(amazon(transcribe_server, times=times), [speak(1, 4)])
    assert spoken_words(results) == words(1, 4)


async def test_a_cut_before_the_answer_is_noticed_at_once(transcribe_server: TranscribeServer) -> None:
    """A connection lost before its response does not wait for the deadline of the start."""

    async def cut(call: Call) -> None:
        await asyncio.sleep(0)
        call.disconnect()

    transcribe_server.scripts = [cut, Reciter()]
    began = time.monotonic()
    results = await transcribe(amazon(transcribe_server), [speak(1, 4)])
    assert spoken_words(results) == words(1, 4)
    assert time.monotonic() - began < FAST.start_s / 2


async def test_an_end_without_answer_is_waited_for_in_vain(transcribe_server: TranscribeServer) -> None:
    """When the server never answers the end, what was shown becomes final after the deadline."""

    async def mute(call: Call) -> None:
        call.accept()
        await call.until_ended()
        heard = [Spoken("w1", 0.0, 0.4), Spoken("w2", 0.5, 0.9)]
        call.results(result(heard, number=1, partial=True, stable=1))
        await call.until_left()

    transcribe_server.scripts = [mute]
    began = time.monotonic()
    times = replace(FAST, end_s=0.5)
    results = await transcribe(amazon(transcribe_server, times=times), [speak(1, 2)])
    assert spoken_words(results) == ["w1", "w2"]
    assert time.monotonic() - began < 5.0


async def test_the_end_comes_in_time_without_a_connection(transcribe_server: TranscribeServer) -> None:
    """A stream that ends while Amazon is away is given back to its owner by the deadline."""
    transcribe_server.scripts = [refusing(503, "ServiceUnavailableException")]
    times = replace(FAST, end_s=0.5)
    transcriber = amazon(transcribe_server, times=times, backoff=Backoff(retries=1000, base_s=0.1, cap_s=0.1))
    error = await fails(transcriber, [speak(1, 2)])
    assert type(error) is ServiceUnavailable


async def test_silence_opens_nothing(transcribe_server: TranscribeServer) -> None:
    """Without speech there is no connection."""
    transcribe_server.scripts = [Reciter()]
    assert await transcribe(amazon(transcribe_server), [pause(3.0)]) == []
    assert transcribe_server.connections == 0


async def test_idle_connections_close_and_open_again(transcribe_server: TranscribeServer) -> None:
    """After a minute without speech the connection closes; the next word opens another, and all goes on."""
    transcribe_server.scripts = [Reciter()]
    recognition = amazon(transcribe_server).open(ENGLISH)
    reading = asyncio.create_task(everything(recognition))
    await feed(recognition, speak(1, 3))
    await feed(recognition, pause(61.0), frames=30)
    await transcribe_server.until(lambda: not transcribe_server.open_connections)
    assert transcribe_server.calls[0].ended
    await feed(recognition, pause(30.0), frames=30)
    assert len(transcribe_server.calls) == 1
    await feed(recognition, speak(4, 3))
    await recognition.finish()
    results = await reading
    await recognition.aclose()
    finals = [found for found in results if found.is_final]
    assert spoken_words(results) == words(1, 6)
    assert [final.segment for final in finals] == list(range(len(finals)))
    second = next(final for final in finals if "w4" in final.text)
    assert second.start == pytest.approx((1.5 + 61 + 30) * 16_000, abs=3 * 512)
    assert len(transcribe_server.calls) == 2
    assert transcribe_server.calls[1].seconds < 5.0


async def test_a_client_that_stops_sending_keeps_its_connection_for_a_while(
    transcribe_server: TranscribeServer,
) -> None:
    """While no audio comes, silence keeps the connection alive and moves no times; then it closes."""
    transcribe_server.scripts = [Reciter()]
    times = Times(catch_up=1000.0, keepalive_s=0.05, idle_s=4.0)
    now = [0.0]
    recognition = amazon(transcribe_server, times=times, clock=lambda: now[0]).open(ENGLISH)
    reading = asyncio.create_task(everything(recognition))
    await feed(recognition, speak(1, 2))
    await transcribe_server.until(lambda: any(call.seconds > 2.0 for call in transcribe_server.calls))
    await feed(recognition, speak(3, 2))
    await transcribe_server.until(lambda: transcribe_server.calls[0].seconds > 4.0)
    now[0] = 10.0
    await transcribe_server.until(lambda: not transcribe_server.open_connections)
    await recognition.finish()
    results = await reading
    await recognition.aclose()
    assert spoken_words(results) == words(1, 4)
    third = next(found for found in results if found.is_final and "w3" in found.text)
    assert third.end == pytest.approx(1.9 * 16_000, abs=1_024)


async def test_closing_is_at_once_and_leaves_nothing(transcribe_server: TranscribeServer) -> None:
    """A stream that is closed in the middle closes its connection; closing twice is no fault."""
    transcribe_server.scripts = [Reciter()]
    recognition = amazon(transcribe_server).open(ENGLISH)
    await feed(recognition, speak(1, 3))
    await transcribe_server.until(lambda: bool(transcribe_server.calls))
    await recognition.aclose()
    await recognition.aclose()
    await transcribe_server.calls[0].until_left()
    assert not transcribe_server.calls[0].ended


async def test_streams_do_not_share_their_fate(transcribe_server: TranscribeServer) -> None:
    """A connection that breaks takes no other stream with it."""
    transcribe_server.scripts = [Reciter(until_s=2.0, then=disconnecting), Reciter()]
    transcriber = amazon(transcribe_server)
    talks = [transcribe(transcriber, [speak(10 * n + 1, 6)]) for n in range(4)]
    found = await asyncio.gather(*talks)
    assert [spoken_words(results) for results in found] == [words(10 * n + 1, 6) for n in range(4)]
    assert len(transcribe_server.calls) == 5


async def test_the_service_serves_amazon(
    transcribe_server: TranscribeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRANSCRIPTION_ENGINE=amazon, with keys from the environment, serves the gRPC contract."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", Account().access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", Account().secret_access_key)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    transcribe_server.scripts = [Reciter()]
    config = load(
        TranscriptionConfig,
        {
            "TRANSCRIPTION_BIND": "127.0.0.1:0",
            "TRANSCRIPTION_ENGINE": "amazon",
            "TRANSCRIPTION_LOCALES": "en-GB",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_TRANSCRIBE_STREAMING": transcribe_server.url,
        },
    )
    assert config.max_streams == 25
    pcm = (np.concatenate((speak(1, 6), pause(0.5))) * 32768).astype("<i2").tobytes()
    requests = [
        pb.StreamingTranscribeRequest(
            config=pb.StreamConfig(
                language="en",
                sample_rate_hz=16_000,
                partial_results=True,
                min_stability=0.9,
                max_buffer_timeout_s=5.0,
                start_offset_ms=10_000,
            )
        ),
        *(
            pb.StreamingTranscribeRequest(audio=pb.AudioChunk(pcm=pcm[start : start + 3_200]))
            for start in range(0, len(pcm), 3_200)
        ),
        pb.StreamingTranscribeRequest(end=pb.EndOfAudio()),
    ]
    service = await create_service(config, detector=EverySound())
    async with service, asyncio.timeout(30), open_channel(f"127.0.0.1:{service.port}") as channel:
        call = rpc.TranscriptionServiceStub(channel).StreamingTranscribe(iter(requests))
        answers = [answer async for answer in call]
    assert answers[0].started.engine == "amazon-transcribe"
    assert answers[-1].HasField("ended")
    finals = [answer.result for answer in answers if answer.HasField("result") and answer.result.is_final]
    assert " ".join(final.text for final in finals).replace(".", "").split() == words(1, 6)
    assert (finals[0].start_ms, finals[0].end_ms) == (10_000, 12_400)
    assert transcribe_server.calls[0].asked("language-code") == "en-GB"
    assert transcribe_server.calls[0].asked("partial-results-stability") == "high"


class EverySound:
    """Takes every sound for speech."""

    def track(self) -> "EverySound":
        """The same for every stream."""
        return self

    def probabilities(self, samples: Samples) -> Samples:
        """1.0 for frames with any sound in them."""
        loudest = np.abs(samples.reshape(-1, FRAME_SAMPLES)).max(axis=1)
        return np.asarray(loudest > 0, np.float32)
