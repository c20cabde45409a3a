"""Listeners in a process of their own: `python -m bench.load.worker`, which is told what to do by its stdin.

The first line is a Plan, the next are `talk` and `finish`; each line out is a Report. All in JSON.
"""

import asyncio
import resource
import sys
from asyncio.subprocess import PIPE, Process

import msgspec

from babelcast.errors import ServiceUnavailable
from bench.load.crowd import Crowd, OnProgress, Plan, Progress
from bench.load.tally import CrowdEnd

LINE_BYTES = 64 * 1024 * 1024
ENDS_WITHIN_S = 60.0


class Report(msgspec.Struct, omit_defaults=True):
    """A line from a worker."""

    progress: Progress | None = None
    joined: bool = False
    end: CrowdEnd | None = None


class RemoteCrowd:
    """A crowd in another process, as `Listeners`."""

    def __init__(self, process: Process, on_progress: OnProgress) -> None:
        """Use `start`."""
        self._process = process
        self._on_progress = on_progress
        self._joined = asyncio.Event()
        self._end: CrowdEnd | None = None
        self._reading = asyncio.create_task(self._read(), name="bench-worker")

    @classmethod
    async def start(cls, plan: Plan, on_progress: OnProgress) -> "RemoteCrowd":
        """Start the process; its listeners come in at once."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.load.worker", stdin=PIPE, stdout=PIPE, limit=LINE_BYTES
        )
        crowd = cls(process, on_progress)
        crowd._say(msgspec.json.encode(plan))
        return crowd

    async def join(self) -> None:
        """See Listeners. Raises: ServiceUnavailable when the process ended."""
        await self._joined.wait()
        if self._reading.done():
            raise ServiceUnavailable("A process of listeners ended.")

    def talk(self) -> None:
        """See Listeners."""
        self._say(b"talk")

    async def finish(self) -> CrowdEnd:
        """See Listeners. Raises: ServiceUnavailable when the process ended without a word."""
        self._say(b"finish")
        try:
            async with asyncio.timeout(ENDS_WITHIN_S):
                await self._process.wait()
                await self._reading
        except TimeoutError:
            self._process.kill()
        if self._end is None:
            raise ServiceUnavailable("A process of listeners ended without its figures.")
        return self._end

    async def aclose(self) -> None:
        """End the process, if it runs."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._reading.cancel()
        await asyncio.wait([self._reading])

    def _say(self, line: bytes) -> None:
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(line + b"\n")

    async def _read(self) -> None:
        try:
            while self._process.stdout is not None and (line := await self._process.stdout.readline()):
                report = msgspec.json.decode(line, type=Report)
                if report.progress is not None:
                    self._on_progress(report.progress)
                if report.joined:
                    self._joined.set()
                self._end = report.end or self._end
        finally:
            self._joined.set()


def more_files() -> None:
    """Let this process have as many connections as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tell(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


async def work() -> None:
    """Do what stdin says."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    plan = msgspec.json.decode(await lines.readline(), type=Plan)
    crowd = Crowd(plan, lambda progress: _tell(Report(progress=progress)))
    await crowd.join()
    _tell(Report(joined=True))
    while (line := (await lines.readline()).strip()) and line != b"finish":
        crowd.talk()
    _tell(Report(end=await crowd.finish()))


if __name__ == "__main__":
    more_files()
    asyncio.run(work())
