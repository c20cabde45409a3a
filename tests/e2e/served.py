"""`babelcast serve` as a process of its own, and other commands beside it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

READY_S = 90
STOP_S = 40


@dataclass(frozen=True)
class Served:
    """A server that said that it is ready."""

    url: str
    token: str
    data_dir: Path
    process: "subprocess.Popen[str]"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)


def command(*words: str, module: str = "cli") -> list[str]:
    """A babelcast command with this interpreter."""
    return [sys.executable, "-m", module, *words]


def environment(**more: str) -> dict[str, str]:
    """An environment in which nothing is configured from outside."""
    return {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ} | more


def run(*words: str, timeout_s: float = 60) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        command(*words), capture_output=True, text=True, timeout=timeout_s, env=environment(), check=False
    )


@contextlib.contextmanager
def serving(
    data_dir: Path, *, options: Sequence[str] = (), module: str = "cli", **environ: str
) -> Iterator[Served]:
    """A server on any port, for as long as the block lasts; `module` stands in for the program."""
    log = (data_dir.parent / f"{data_dir.name}.log").open("w")
    with (
        log,
        subprocess.Popen(
            command("serve", "--json", "--port", "0", "--data-dir", str(data_dir), *options, module=module),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment(**environ),
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, Path(log.name).read_text()
            ready = json.loads(line)
            assert list(ready) == ["event", "url", "token"]
            assert ready["event"] == "ready"
            yield Served(ready["url"], ready["token"], data_dir, process)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
