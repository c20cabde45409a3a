"""What an open stream to Amazon Transcribe costs while nothing is sent, with and without resting.

    python -m bench.transcribe_idle [--seconds S] [--streams N]

The library's network threads ask a request's body for data again and again. Untamed, the body answers at
once; tamed, it waits a moment first. The streams are open to a server of the tests in another process, so the
CPU time is the client's alone.
"""

import argparse
import asyncio
import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from tests.amazon.reciting import speak
from tests.amazon.server import REGION, Call, make_certificate, serving
from transcription_svc.engines.amazon.client import NAP_S, AmazonConnector, Rest, Wanted
from transcription_svc.engines.amazon.credentials import Keys

_WANTED = Wanted(locale="en-US", stability="high")


class KnownKeys:
    """What the server knows."""

    async def keys(self) -> Keys:
        """The credentials."""
        return Keys("AKIDTEST", "very-secret")


async def accept(call: Call) -> None:
    """Take what comes."""
    call.accept()
    await call.until_left()


def serve(certificate: Path, tell: Connection) -> None:
    """Serve until this process is ended."""

    async def run() -> None:
        async with serving(certificate) as server:
            server.scripts = [accept]
            tell.send(server.url)
            await asyncio.Event().wait()

    asyncio.run(run())


async def measure(url: str, *, nap_s: float, streams: int, seconds: float, talking: bool) -> float:
    """Cores that so many open streams take."""
    connector = AmazonConnector(REGION, KnownKeys(), url, rest=Rest(nap_s))
    connections = [await connector.connect(_WANTED) for _ in range(streams)]
    chunk = speak(1, 1)[:1600].astype("<i2").tobytes()
    await asyncio.sleep(0.3)
    began, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        await asyncio.sleep(0.1)
        if talking:
            for connection in connections:
                await connection.send(chunk)
    cores = (time.process_time() - cpu) / (time.monotonic() - began)
    for connection in connections:
        connection.close()
    await asyncio.sleep(0.2)
    return cores


async def main(*, url: str, streams: int, seconds: float) -> None:
    """Print a table."""
    print(f"{'body':24}{'streams':>8}{'cores idle':>12}{'cores talking':>15}")
    for name, nap_s in (("untamed", 0.0), ("rests 1 ms", 0.001), (f"rests {NAP_S * 1000:g} ms", NAP_S)):
        for count in sorted({1, streams}):
            idle = await measure(url, nap_s=nap_s, streams=count, seconds=seconds, talking=False)
            busy = await measure(url, nap_s=nap_s, streams=count, seconds=seconds, talking=True)
            print(f"{name:24}{count:8}{idle:12.3f}{busy:15.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--streams", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        certificate = make_certificate(Path(folder))
        os.environ["SSL_CERT_FILE"] = str(certificate)
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        server = multiprocessing.get_context("spawn").Process(
            target=serve, args=(certificate, theirs), daemon=True
        )
        server.start()
        try:
            asyncio.run(main(url=ours.recv(), streams=arguments.streams, seconds=arguments.seconds))
        finally:
            server.terminate()
            server.join()
