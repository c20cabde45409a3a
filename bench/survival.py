"""A talk whose transcription process is killed again and again: what it costs in words.

    python -m bench.survival --speech DIR [--minutes 2] [--kills 10] [--seed 1] [--runs 1] [--language en]
                             [--replicas 1]

Starts session, transcription, translation and gateway as processes of their own, speaks the samples of a
folder (as for bench.quality) through the WebSocket at their own pace, first undisturbed, then with
SIGKILL for the transcription process at random moments, one in each equal part of the talk; it is started
again at once. Words are compared with those of the undisturbed talk. With --replicas 2 there are two
transcription processes behind one address list, and the one that serves the talk is killed.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from babelcast import pcm
from babelcast.auth.local_issuer import LocalIssuer
from babelcast.transcription.v1 import transcription_pb2 as transcription_api
from babelcast.transcription.v1.transcription_pb2_grpc import TranscriptionServiceStub
from babelcast.wav import Sound
from bench.quality.recordings import pcm_of, read_folder
from bench.talk import Talk, hold
from bench.wer import edits, normalise
from gateway.continuity import same_words

READY_S = 90.0
STOP_S = 30.0
PAUSE_MS = 300
GATEWAY_LOG = "gateway.log"

log = logging.getLogger(__name__)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Supervisor:
    """Starts, kills and stops one service process."""

    def __init__(self, module: str, environ: dict[str, str], *, target: str, log_file: Path) -> None:
        self.target = target
        self._module = module
        self._environ = {**os.environ, **environ}
        self._log_file = log_file
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process; it may not serve yet."""
        with self._log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self._module, env=self._environ, stdout=output, stderr=output
            )

    async def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def serving(self) -> None:
        """Wait until the process says that it serves."""
        async with grpc.aio.insecure_channel(self.target) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            async with asyncio.timeout(READY_S):
                async for answer in stub.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True):
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@dataclass(slots=True)
class System:
    """Everything as processes of their own."""

    url: str
    token: str
    transcription: list[Supervisor]
    gateway_log: Path

    async def busy(self) -> Supervisor:
        """The transcription process that holds a stream; the first when none does."""
        for replica in self.transcription:
            async with grpc.aio.insecure_channel(replica.target) as channel:
                stub = TranscriptionServiceStub(channel)
                with contextlib.suppress(grpc.aio.AioRpcError):
                    answer = await stub.GetCapabilities(transcription_api.GetCapabilitiesRequest(), timeout=2)
                    if answer.open_streams:
                        return replica
        return self.transcription[0]


@contextlib.asynccontextmanager
async def running(folder: Path, *, replicas: int = 1) -> AsyncIterator[System]:
    """Start everything, with data and logs in `folder`; stop it in the end."""
    session_port, translation_port, gateway_port = free_port(), free_port(), free_port()
    environ = {"DATA_DIR": str(folder)}
    async with contextlib.AsyncExitStack() as stack:

        async def serve(module: str, prefix: str, port: int, name: str) -> Supervisor:
            target = f"127.0.0.1:{port}"
            service = Supervisor(
                module,
                {**environ, f"{prefix}_BIND": target},
                target=target,
                log_file=folder / f"{name}.log",
            )
            stack.push_async_callback(service.stop)
            await service.start()
            return service

        services = [
            await serve("session_svc", "SESSION", session_port, "session"),
            await serve("translation_svc", "TRANSLATION", translation_port, "translation"),
        ]
        transcription = [
            await serve("transcription_svc", "TRANSCRIPTION", free_port(), f"transcription-{number}")
            for number in range(replicas)
        ]
        for service in (*services, *transcription):
            await service.serving()
        addresses = ",".join(replica.target for replica in transcription)
        gateway = Supervisor(
            "gateway",
            {
                **environ,
                "PORT": str(gateway_port),
                "SESSION_TARGET": services[0].target,
                "TRANSLATION_TARGET": services[1].target,
                "TRANSCRIPTION_TARGET": addresses if replicas == 1 else f"ipv4:{addresses}",
            },
            target="",
            log_file=folder / GATEWAY_LOG,
        )
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        await _listening(gateway_port)
        token = LocalIssuer.open(folder).mint("speaker")
        yield System(f"ws://127.0.0.1:{gateway_port}", token, transcription, folder / GATEWAY_LOG)


async def _listening(port: int) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.1)


@dataclass(slots=True)
class Killed:
    """One kill: when (s of the talk), and how long it took to serve again (s)."""

    at_s: float
    back_s: float = 0.0


@dataclass(slots=True)
class Survived:
    """A talk and what was done to it."""

    talk: Talk
    kills: list[Killed] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The final transcript."""
        return " ".join(final.text for final in self.talk.finals())

    def gaps(self) -> int:
        """How often the speaker was told that words were lost."""
        return sum("lost" in problem for problem in self.talk.problems)


def moments(kills: int, seconds: float, *, seed: int) -> list[float]:
    """Random moments, one in each of `kills` equal parts of the talk."""
    chance = random.Random(seed)
    part = seconds / kills if kills else 0.0
    return [(number + chance.random()) * part for number in range(kills)]


async def disturbed(
    system: System, speech: Sound, language: str, at_s: Sequence[float], *, restart: bool = True
) -> Survived:
    """Speak, and kill the transcription process at those moments of the talk, and start it again unless told
    otherwise.
    """
    survived = Survived(Talk())
    began = asyncio.Event()

    async def kill() -> None:
        await began.wait()
        started_s = time.monotonic()
        for moment in at_s:
            await asyncio.sleep(max(0.0, started_s + moment - time.monotonic()))
            killed = Killed(time.monotonic() - started_s)
            victim = await system.busy()
            dead_s = time.monotonic()
            await victim.kill()
            survived.kills.append(killed)
            if restart:
                await victim.start()
                await victim.serving()
                killed.back_s = time.monotonic() - dead_s

    async with asyncio.TaskGroup() as group:
        killing = group.create_task(kill(), name="kill")
        survived.talk = await hold(
            system.url,
            token=system.token,
            speech=speech,
            source_language=language,
            target_languages=(),
            on_start=began.set,
        )
        killing.cancel()
    return survived


def changed(before: Survived, after: Survived, language: str) -> tuple[int, int]:
    """Words that differ, of how many."""
    expected = normalise(before.words, language)
    return edits(expected, normalise(after.words, language)), len(expected)


def taken_back(talk: Talk) -> int:
    """How often a transcript lacked words that an earlier revision had shown as stable."""
    count, shown = 0, dict[str, str]()
    for _, transcript in talk.transcripts:
        before = shown.get(transcript.segment_id, "")
        kept = same_words if transcript.is_final else _begins_with
        count += not kept(before, transcript.text)
        shown[transcript.segment_id] = transcript.stable_text
    return count


def speech_of(folder: Path, *, language: str, minutes: float) -> tuple[Sound, str]:
    """The recordings of a folder one after the other, again and again, for about so long; and their text.

    Raises: OSError, InvalidAudioFormat; ValueError when there are none.
    """
    recordings = read_folder(folder, language=language)
    if not recordings:
        raise ValueError("the folder has no recording in that language")
    pause = pcm.silence(PAUSE_MS)
    once = b"".join(pcm_of(recording.samples) + pause for recording in recordings)
    times = max(1, round(minutes * 60_000 / pcm.duration_ms(once)))
    text = " ".join(recording.text for recording in recordings)
    return Sound(once * times, pcm.SAMPLE_RATE_HZ), " ".join([text] * times)


def _begins_with(shown: str, text: str) -> bool:
    return text.startswith(shown)


async def measure(arguments: argparse.Namespace) -> None:
    """The undisturbed talk, then the others."""
    language = arguments.language
    sound, text = speech_of(arguments.speech, language=language, minutes=arguments.minutes)
    truth = normalise(text, language)

    def line(name: str, run: Survived) -> str:
        errors = edits(truth, normalise(run.words, language))
        return f"{name}: {len(normalise(run.words, language))} words, WER {errors / len(truth):.3f}"

    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder), replicas=arguments.replicas) as system:
            quiet = await disturbed(system, sound, language, [])
            print(f"talk of {sound.seconds:.0f} s; {line('undisturbed', quiet)}", flush=True)
            if arguments.verbose:
                print(quiet.words)
            for number in range(arguments.runs):
                seed = arguments.seed + number
                at_s = moments(arguments.kills, sound.seconds, seed=seed)
                run = await disturbed(system, sound, language, at_s)
                count, total = changed(quiet, run, language)
                print(
                    f"{line(f'seed {seed}', run)}, changed {count} of {total} ({count / total:.1%}), "
                    f"gaps {run.gaps()}, taken back {taken_back(run.talk)}"
                )
                kills = ", ".join(f"{kill.at_s:.1f} (back in {kill.back_s:.1f})" for kill in run.kills)
                print(f"  killed at s: {kills}")
                away = ", ".join(f"{seconds:.1f}" for seconds in run.talk.interruptions_s)
                print(f"  transcription away for s: {away}", flush=True)
                if arguments.verbose:
                    print(run.words, flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--kills", type=int, default=10, help="0: the noise from talk to talk")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1, help="with one seed more each")
    parser.add_argument("--language", default="en")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
