"""`python -m translation_svc`: the translation service alone."""

import asyncio
import logging
import os
import signal
import sys

from babelcast.config import ConfigError, load
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig


async def serve(config: TranslationConfig) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    app = TranslationApp(config)
    try:
        port = await app.start()
        sys.stdout.write(f"ready on port {port}\n")
        sys.stdout.flush()
        await stopping.wait()
    finally:
        await app.aclose()


def main() -> int:
    """The composition root; returns the exit status."""
    logging.basicConfig(level=logging.INFO)
    try:
        config = load(TranslationConfig, os.environ)
    except ConfigError as error:
        sys.stderr.write(f"Configuration: {error}\n")
        return 2
    asyncio.run(serve(config))
    return 0


if __name__ == "__main__":
    sys.exit(main())
