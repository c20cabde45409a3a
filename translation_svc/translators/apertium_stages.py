"""Runs the stages of one Apertium mode as one pipeline, and sees that all of them end together.

A process of its own, the leader of its process group: its children share its standard input and output at
the two ends. When a stage ends, or on SIGTERM, or when the parent dies, it kills and reaps the others, so
that no stage is left over and none stays behind as a zombie.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from translation_svc.lifeline import die_with_parent

GENERATOR_OPTION = "-n"
"""What a mode file calls $1: generate without marks on unknown words."""


def parse_stages(script: str) -> list[list[str]]:
    """The commands of a mode's shell pipeline. $1 is the generator's option, $2 (the tagger's) is empty."""
    lexer = shlex.shlex(script, posix=True, punctuation_chars="|")
    lexer.whitespace_split = True
    stages: list[list[str]] = [[]]
    for word in lexer:
        if word == "|":
            stages.append([])
        elif word == "$1":
            stages[-1].append(GENERATOR_OPTION)
        elif word != "$2":
            stages[-1].append(word)
    return [stage for stage in stages if stage]


def null_flushing(mode_file: str) -> list[list[str]]:
    """The stages of a mode, each flushing at a NUL, as Apertium's own tool writes them."""
    made = subprocess.run(
        ["apertium-wblank-mode", "-z", mode_file], check=True, capture_output=True, text=True, timeout=10
    )
    return parse_stages(made.stdout)


def start(stages: Sequence[Sequence[str]]) -> list[subprocess.Popen[bytes]]:
    """Start the stages between our standard input and output, and let go of both."""
    supervisor = os.getpid()
    running: list[subprocess.Popen[bytes]] = []
    source = 0
    for index, stage in enumerate(stages):
        last = index == len(stages) - 1
        process = subprocess.Popen(
            stage,
            stdin=source,
            stdout=1 if last else subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # stages complain with pieces of the text they work on
            # safe here: this process has one thread
            preexec_fn=lambda: die_with_parent(signal.SIGKILL, parent=supervisor),  # noqa: PLW1509
        )
        os.close(source)
        if process.stdout is not None:
            source = process.stdout.fileno()
        running.append(process)
    os.close(1)
    return running


def stop(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """Kill and reap."""
    for process in running:
        process.kill()
    for process in running:
        process.wait()


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def main() -> None:
    """Arguments: the parent's process id, the mode file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    die_with_parent(signal.SIGTERM, parent=int(sys.argv[1]))
    running = start(null_flushing(sys.argv[2]))
    try:
        with contextlib.suppress(ChildProcessError):
            os.wait()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop(running)


if __name__ == "__main__":
    main()
