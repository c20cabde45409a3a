"""What a gateway's process spends on what, and when audio and results pass through it.

CPU is sampled: a timer of the kernel (ITIMER_PROF) interrupts the process every 5 ms of its CPU time. What
the event loop's thread used since the last sample goes to the stage that it is found in; what other threads
used, which are gRPC's, is known from the process's own time. Times of passage are stamps of the monotonic
clock, which all processes of a machine share.
"""

import contextvars
import signal
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType

import msgspec

from babelcast.transcription.v1 import transcription_pb2 as api
from gateway import transcribing
from gateway.outlet import Outlet
from gateway.pipeline import Pipeline
from gateway.streams import TranscriptionStream
from gateway.transcribing import Transcribing

SAMPLE_S = 0.005
STAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "publish",
        (
            "gateway.publisher",
            "gateway.outlet",
            "gateway.fanout",
            "gateway.rounds",
            "gateway.messages",
            "babelcast.bus",
        ),
    ),
    ("gRPC send of audio", ("gateway.transcribing:_send",)),
    ("results", ("gateway.transcribing", "gateway.pipeline:_on", "gateway.sentences", "gateway.streams")),
    ("translations", ("gateway.translating", "gateway.captions")),
    ("ingest", ("gateway.intake", "gateway.ingest", "gateway.foreign_audio", "gateway.reorder")),
    ("receive, decode", ("websockets", "gateway.speaker", "gateway.connection", "babelcast.protocol")),
    ("gRPC in the loop", ("grpc",)),
    ("event loop", ("asyncio", "selectors")),
)
"""The first stage that has a module (or `module:beginning of a function`) anywhere on the stack."""
OTHER_THREADS = "gRPC's threads"
OTHER = "other"


class Passages(msgspec.Struct):
    """What a probe found. Stamps are s of the monotonic clock."""

    cpu_s: dict[str, float]
    began_s: float
    seconds: float
    chunks: int
    fed: dict[str, list[float]]
    """By session: when each chunk came to the pipeline."""
    sent: dict[str, list[float]]
    """By session: when gRPC had taken it."""
    results_s: list[float]
    """From a result of transcription to the speaker's frame."""
    lags_s: list[float]
    """By how much later than asked the event loop came to a timer."""


def stage_of(frame: FrameType | None) -> str:
    """The stage of a stack."""
    names = list(_names(frame))
    for stage, marks in STAGES:
        if any(name.startswith(mark) for mark in marks for name in names):
            return stage
    return OTHER


class Probe:
    """One per process; `install` before the gateway starts, then `begin` and `end` the measurement."""

    def __init__(self) -> None:
        self._cpu_s: dict[str, float] = defaultdict(float)
        self._fed: dict[str, list[float]] = defaultdict(list)
        self._sent: dict[str, list[float]] = defaultdict(list)
        self._results_s: list[float] = []
        self.lags_s: list[float] = []
        self._under_way: dict[int, str] = {}
        self._came: contextvars.ContextVar[float] = contextvars.ContextVar("came", default=0.0)
        self._began = (0.0, 0.0, 0.0)
        self._last_s = 0.0
        self.running = False

    def install(self) -> None:
        """Wrap the places that audio and results pass."""
        feed: Callable[..., None] = Pipeline.feed
        send_pcm: Callable[..., Awaitable[None]] = transcribing._send_pcm
        on_response: Callable[..., Awaitable[None]] = Transcribing._on_response
        write: Callable[..., None] = Outlet.write

        def fed(pipeline: Pipeline, pcm: bytes, *more: object, **named: object) -> None:
            session = pipeline._session.session_id
            self._fed[session].append(time.monotonic())
            self._under_way[id(pcm)] = session
            feed(pipeline, pcm, *more, **named)

        async def sent(stream: TranscriptionStream, pcm: bytes, *more: object) -> None:
            await send_pcm(stream, pcm, *more)
            session = self._under_way.pop(id(pcm), None)
            if session is not None:
                self._sent[session].append(time.monotonic())

        async def responded(one: Transcribing, response: api.StreamingTranscribeResponse) -> None:
            self._came.set(time.monotonic())
            await on_response(one, response)
            self._came.set(0.0)

        def wrote(outlet: Outlet, *frame: object, **more: object) -> None:
            write(outlet, *frame, **more)
            came = self._came.get()
            if came and self.running:
                self._results_s.append(time.monotonic() - came)

        _replace(Pipeline, "feed", fed)
        _replace(transcribing, "_send_pcm", sent)
        _replace(Transcribing, "_on_response", responded)
        _replace(Outlet, "write", wrote)
        signal.signal(signal.SIGPROF, self._sample)

    def begin(self) -> None:
        """Measure from now on."""
        self.running = True
        self._began = (time.monotonic(), time.process_time(), time.thread_time())
        self._last_s = time.thread_time()
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)

    def end(self) -> Passages:
        """What was found since `begin`."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.running = False
        began_s, process_s, thread_s = self._began
        own_s = time.thread_time() - thread_s
        others_s = max(0.0, time.process_time() - process_s - own_s)
        sampled_s = sum(self._cpu_s.values()) or 1.0
        return Passages(
            cpu_s={
                **{stage: taken * own_s / sampled_s for stage, taken in self._cpu_s.items()},
                OTHER_THREADS: others_s,
            },
            began_s=began_s,
            seconds=time.monotonic() - began_s,
            chunks=sum(at >= began_s for stamps in self._fed.values() for at in stamps),
            fed=self._fed,
            sent=self._sent,
            results_s=self._results_s,
            lags_s=self.lags_s,
        )

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        now_s = time.thread_time()
        self._cpu_s[stage_of(frame)] += now_s - self._last_s
        self._last_s = now_s


def _names(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        yield f"{frame.f_globals.get('__name__', '')}:{frame.f_code.co_name}"
        frame = frame.f_back


def _replace(owner: object, name: str, wrapper: Callable[..., Awaitable[None] | None]) -> None:
    if not callable(getattr(owner, name)):
        raise TypeError(f"{name} is gone")
    setattr(owner, name, wrapper)
