"""Recognition of a folder of speech: word error rate, delays and CPU.

    python -m bench.transcription --speech DIR [--streams 1 3] [--pace 1.0] [--language en] [--minutes 5]

DIR holds 16-bit mono WAV files and an index.json: a list of {"file", "language", "text"}. The service runs in
this process and is spoken to over gRPC in chunks of 100 ms, so CPU is that of both sides.

Delays are measured against the moment at which the sample in question was sent: `partial` and `commit` from
the start of an utterance (speech after a pause) to its first text and its first stable word, `final` from the
end of each segment to its final result. With --minutes the samples of a language are joined to one talk of
that length, and the final delays of each minute show whether the service keeps up.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from babelcast import pcm, wav
from babelcast.rpc.client import open_channel
from babelcast.transcription.v1 import transcription_pb2 as pb
from babelcast.transcription.v1 import transcription_pb2_grpc as rpc
from bench.wer import word_error_rate
from transcription_svc.config import TranscriptionConfig
from transcription_svc.service import create_service

CHUNK_MS = 100
UTTERANCE_PAUSE_MS = 250


@dataclass(frozen=True, slots=True)
class Sample:
    """A sound and what is said in it."""

    name: str
    language: str
    text: str
    sound: wav.Sound


@dataclass(slots=True)
class Outcome:
    """What one stream gave. Delays in seconds."""

    text: str = ""
    segments: int = 0
    audio_s: float = 0.0
    partial_s: list[float] = field(default_factory=list)
    commit_s: list[float] = field(default_factory=list)
    final_s: list[float] = field(default_factory=list)
    by_minute: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Final delays by the minute of the talk."""


def read_index(folder: Path, language: str | None) -> list[Sample]:
    """The samples of a folder, only those in `language` if given."""
    entries = json.loads((folder / "index.json").read_text())
    return [
        Sample(entry["file"], entry["language"], entry["text"], wav.read(folder / entry["file"]))
        for entry in entries
        if language in (None, entry["language"])
    ]


def joined(samples: Sequence[Sample], minutes: float) -> list[Sample]:
    """One talk for each language and rate: its samples one after the other, again and again."""
    kinds = sorted({(sample.language, sample.sound.sample_rate_hz) for sample in samples})
    talks = []
    for language, rate in kinds:
        own = [s for s in samples if (s.language, s.sound.sample_rate_hz) == (language, rate)]
        pause = pcm.silence(300, rate)
        once = wav.Sound(b"".join(sample.sound.pcm + pause for sample in own), rate)
        times = max(1, round(minutes * 60 / once.seconds))
        text = " ".join(sample.text for sample in own)
        whole = wav.Sound(once.pcm * times, rate)
        talks.append(
            Sample(f"{language}, {whole.seconds / 60:.1f} min", language, " ".join([text] * times), whole)
        )
    return talks


async def transcribe(
    stub: "rpc.TranscriptionServiceAsyncStub",
    sound: wav.Sound,
    language: str,
    *,
    pace: float,
    tail_ms: int,
    verbose: bool,
) -> Outcome:
    """Stream a sound at `pace` times real time (0: as fast as it is taken)."""
    audio = sound.pcm + pcm.silence(tail_ms, sound.sample_rate_hz)
    step = sound.sample_rate_hz * pcm.BYTES_PER_SAMPLE * CHUNK_MS // 1000
    sent: list[float] = []

    async def requests() -> AsyncIterator[pb.StreamingTranscribeRequest]:
        yield pb.StreamingTranscribeRequest(
            config=pb.StreamConfig(
                session_id="bench",
                language=language,
                sample_rate_hz=sound.sample_rate_hz,
                partial_results=True,
                min_stability=0.85,
                max_buffer_timeout_s=5.0,
            )
        )
        began = time.monotonic()
        for number, start in enumerate(range(0, len(audio), step), start=1):
            if pace:
                await asyncio.sleep(began + number * CHUNK_MS / 1000 / pace - time.monotonic())
            sent.append(time.monotonic())
            yield pb.StreamingTranscribeRequest(audio=pb.AudioChunk(pcm=audio[start : start + step]))
        yield pb.StreamingTranscribeRequest(end=pb.EndOfAudio())

    outcome = Outcome(audio_s=len(audio) / pcm.BYTES_PER_SAMPLE / sound.sample_rate_hz)
    finals: list[str] = []
    started: set[int] = set()
    committed: set[int] = set()
    last_end_ms = -UTTERANCE_PAUSE_MS
    async for response in stub.StreamingTranscribe(requests()):
        if response.WhichOneof("payload") != "result":
            continue
        result, now = response.result, time.monotonic()

        def since(ms: int, now: float = now) -> float:
            return now - sent[min(ms // CHUNK_MS, len(sent) - 1)]

        fresh = result.start_ms - last_end_ms >= UTTERANCE_PAUSE_MS
        if fresh and result.segment not in started:
            started.add(result.segment)
            outcome.partial_s.append(since(result.start_ms))
        if fresh and result.stable_text and result.segment not in committed:
            committed.add(result.segment)
            outcome.commit_s.append(since(result.start_ms))
        if result.is_final:
            last_end_ms = result.end_ms
            finals.append(result.text)
            outcome.final_s.append(since(result.end_ms))
            outcome.by_minute[result.end_ms // 60_000].append(since(result.end_ms))
        if verbose:
            mark = "F" if result.is_final else "."
            print(
                f"  {mark} #{result.segment} {result.start_ms / 1000:6.2f}-{result.end_ms / 1000:6.2f} "
                f"+{since(result.end_ms):5.2f} {result.stability:.2f} [{result.stable_text}] {result.text}"
            )
    outcome.text = " ".join(finals)
    outcome.segments = len(finals)
    return outcome


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed; nan for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def report(label: str, outcomes: Sequence[Outcome], cpu_s: float) -> None:
    """One line on delays and CPU."""
    audio_s = sum(outcome.audio_s for outcome in outcomes)
    columns = [f"{label:12} cpu/stream {cpu_s / audio_s:.2f}"]
    for name in ("partial_s", "commit_s", "final_s"):
        values = [value for outcome in outcomes for value in getattr(outcome, name)]
        middle = statistics.median(values) if values else float("nan")
        columns.append(f"{name} p50 {middle:.2f} p95 {percentile(values, 0.95):.2f}")
    print(" | ".join(columns), flush=True)


async def measure(arguments: argparse.Namespace) -> None:
    """Run every sample with each number of simultaneous streams."""
    samples = read_index(arguments.speech, arguments.language)
    if arguments.minutes:
        samples = joined(samples, arguments.minutes)
    config = TranscriptionConfig(
        transcription_bind="127.0.0.1:0", transcription_max_streams=max(arguments.streams)
    )
    async with (
        await create_service(config) as service,
        open_channel(f"127.0.0.1:{service.port}") as channel,
    ):
        stub: rpc.TranscriptionServiceAsyncStub = rpc.TranscriptionServiceStub(channel)
        for streams in arguments.streams:
            print(f"== {streams} stream(s) at once, pace {arguments.pace}")
            errors: dict[str, list[float]] = defaultdict(list)
            everything: list[Outcome] = []
            cpu_before = time.process_time()
            for sample in samples:
                outcomes = await asyncio.gather(
                    *(
                        transcribe(
                            stub,
                            sample.sound,
                            sample.language,
                            pace=arguments.pace,
                            tail_ms=arguments.tail_ms,
                            verbose=arguments.verbose and number == 0,
                        )
                        for number in range(streams)
                    )
                )
                rates = [word_error_rate(sample.text, outcome.text, sample.language) for outcome in outcomes]
                errors[sample.language] += rates
                everything += outcomes
                print(
                    f"{sample.name:36} WER {' '.join(f'{rate:.3f}' for rate in rates)} "
                    f"segments {outcomes[0].segments}",
                    flush=True,
                )
                for minute in sorted(outcomes[0].by_minute) if arguments.minutes else ():
                    delays = [value for outcome in outcomes for value in outcome.by_minute[minute]]
                    middle, most = statistics.median(delays), max(delays)
                    print(f"  minute {minute + 1}: final p50 {middle:.2f} max {most:.2f}")
                if arguments.verbose:
                    print("   ", outcomes[0].text)
            for language, found in sorted(errors.items()):
                print(f"{language}: WER {statistics.mean(found):.3f} over {len(found)}")
            report("all", everything, time.process_time() - cpu_before)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--pace", type=float, default=1.0, help="times real time; 0: as fast as possible")
    parser.add_argument("--tail-ms", type=int, default=1500, help="silence after each file")
    parser.add_argument("--language")
    parser.add_argument("--minutes", type=float, default=0, help="join the samples to talks of this length")
    parser.add_argument("--verbose", action="store_true")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
