"""`python -m bench.speakers`: a hundred scripted speakers on one gateway process."""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.speakers.figures import Figures, table
from bench.speakers.services import running
from bench.speakers.talks import Spoken, sentences_in, talk

CONNECT_S = 0.05
"""For each speaker to connect, before the first of them speaks."""
STAGGER_S = 0.0213
"""Between two speakers, so that they do not pause together."""
WARM_S = 10.0


async def measure(*, speakers: int, seconds: float, listeners: int, pinned: bool) -> Figures:
    """Hold the talks.

    Raises: BabelcastError, TimeoutError.
    """
    talks = [Spoken(script, sentences_in(seconds + WARM_S)) for script in range(speakers)]
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder), pinned=pinned) as system, asyncio.TaskGroup() as group:
            began_s = time.monotonic() + 2.0 + speakers * CONNECT_S * (1 + listeners)
            for number, spoken in enumerate(talks):
                group.create_task(
                    talk(system, spoken, listeners=listeners, begin_s=began_s + number * STAGGER_S)
                )
                await asyncio.sleep(CONNECT_S)
            await asyncio.sleep(max(0.0, began_s + WARM_S - time.monotonic()))
            before = system.cpu_s()
            system.begin()
            await asyncio.sleep(max(5.0, seconds - 2 * STAGGER_S * speakers))
            passages = await system.end()
            after = system.cpu_s()
    used = {name: after[name] - before[name] for name in before}
    return Figures.of(talks, passages, used_s=used)


def main(argv: Sequence[str]) -> int:
    """Exit code 1 when text was not exact or a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.speakers", description=__doc__)
    parser.add_argument("--speakers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0, help="measured, after 10 s to warm up")
    parser.add_argument("--listeners", type=int, default=1, help="per speaker, who read final captions")
    parser.add_argument("--pinned", action="store_true", help="keep the last core for the gateway alone")
    parser.add_argument("--json", type=Path, help="write the figures as data")
    options = parser.parse_args(argv)
    figures = asyncio.run(
        measure(
            speakers=options.speakers,
            seconds=options.seconds,
            listeners=options.listeners,
            pinned=options.pinned,
        )
    )
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures.data(), indent=1), encoding="utf-8")
    return 0 if figures.kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
