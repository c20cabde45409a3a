"""Compile the programs in C, start them, and talk to processes by lines."""

import asyncio
import os
import subprocess
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from babelcast.errors import ServiceUnavailable

HERE = Path(__file__).parent
PATIENCE_S = 120.0
ASK_EVERY_S = 0.05
LINE_LIMIT = 64 * 1024 * 1024
FLAGS = ("-O2", "-Wall", "-Wextra", "-std=gnu11")


class CompilerMissing(Exception):
    """There is no C compiler here, or it does not take the programs."""


def build(name: str, directory: Path) -> Path:
    """Compile `name`.c; the program.

    Raises: CompilerMissing.
    """
    program = directory / name
    command = [os.environ.get("CC", "cc"), *FLAGS, "-o", str(program), str(HERE / f"{name}.c")]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise CompilerMissing(f"no {command[0]}; CC may name a C compiler") from error
    except subprocess.CalledProcessError as error:
        raise CompilerMissing(error.stderr) from error
    return program


@dataclass(frozen=True, slots=True)
class Program:
    """A process that is told things by lines and answers by lines."""

    process: Process

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    def cpu_s(self) -> float:
        """What its threads have computed so far, to the nanosecond; 0 when it has ended."""
        try:
            return time.clock_gettime(~self.pid << 3 | 2)  # the kernel's name for a process's CPU clock
        except OSError:
            return 0.0

    def memory_bytes(self) -> int:
        """Its resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def feed(self, data: bytes) -> None:
        """Write to its input."""
        if self.process.stdin is None:
            raise AssertionError("made with pipes")
        self.process.stdin.write(data)

    async def line(self, *, patience_s: float = PATIENCE_S) -> str:
        """The next line of its output. Raises: ServiceUnavailable when there is none in time."""
        if self.process.stdout is None:
            raise AssertionError("made with pipes")
        try:
            async with asyncio.timeout(patience_s):
                line = await self.process.stdout.readline()
        except TimeoutError as error:
            raise ServiceUnavailable("A part of the bench does not answer.") from error
        if not line:
            raise ServiceUnavailable("A part of the bench has ended.")
        return line.decode().rstrip("\n")

    async def ask(self, line: str, *, patience_s: float = PATIENCE_S) -> str:
        """Say a line, and read one."""
        self.feed(line.encode() + b"\n")
        return await self.line(patience_s=patience_s)


@asynccontextmanager
async def running(
    command: Sequence[str], *, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """Start a program; its input is closed at the end, and it is killed when that does not end it."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, env={**os.environ, **(environ or {})}, limit=LINE_LIMIT
    )
    try:
        yield Program(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@dataclass(slots=True)
class Arrivals:
    """What a crowd got since the last report. By kind (voice, caption, notice) and number: how many
    listeners, and when the last one, ns of the monotonic clock.
    """

    lost: int
    doubled: int
    closed: int
    other: int
    by_kind: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)


class Crowd:
    """Listeners in a process of their own."""

    def __init__(self, program: Program, *, size: int, took_ms: Sequence[float]) -> None:
        self.size = size
        self.took_ms = took_ms
        """From opening a connection to its being ready."""
        self._program = program

    async def wait_for(self, messages: int, *, timeout_s: float) -> bool:
        """Wait until so many came since the last report; whether they did."""
        until_s = time.monotonic() + timeout_s
        while int(await self._program.ask("count")) < messages:
            if time.monotonic() > until_s:
                return False
            await asyncio.sleep(ASK_EVERY_S)
        return True

    async def report(self) -> Arrivals:
        """What came since the last report."""
        return parse_report([line async for line in self._report()])

    async def _report(self) -> AsyncIterator[str]:
        line = await self._program.ask("report")
        while line != "end":
            yield line
            line = await self._program.line()


def parse_report(lines: Sequence[str]) -> Arrivals:
    """Read what `receiver` prints, without its last line."""
    words = lines[0].split()
    counts = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    arrivals = Arrivals(counts["lost"], counts["doubled"], counts["closed"], counts["other"])
    for line in lines[1:]:
        kind, number, count, last_ns = line.split()
        arrivals.by_kind.setdefault(kind, {})[int(number)] = (int(count), int(last_ns))
    return arrivals


@asynccontextmanager
async def crowd(
    receiver: Path, *, port: int, size: int, at_once: int, join: Mapping[str, str] | None = None
) -> AsyncIterator[Crowd]:
    """So many listeners, when all are ready. Raises: ServiceUnavailable."""
    command = [str(receiver), str(port), str(size), str(at_once)]
    if join is not None:
        command.append(msgspec.json.encode(join).decode())
    async with running(command) as program:
        if await program.line() != "ready":
            raise ServiceUnavailable("The listeners did not get in.")
        took_ms = [int(took) / 1000 for took in (await program.line()).split()]
        yield Crowd(program, size=size, took_ms=took_ms)


@asynccontextmanager
async def broadcaster(program: Path) -> AsyncIterator[tuple[Program, int]]:
    """The broadcaster and its port."""
    async with running([str(program)]) as running_program:
        yield running_program, int(await running_program.line())
