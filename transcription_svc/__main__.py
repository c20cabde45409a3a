"""Serves transcription by itself: `python -m transcription_svc`."""

import asyncio
import logging
import os
import signal
import sys

from babelcast.config import ConfigError, load
from babelcast.errors import BabelcastError
from transcription_svc.config import TranscriptionConfig
from transcription_svc.service import create_service

log = logging.getLogger("transcription_svc")


async def serve(config: TranscriptionConfig) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = await create_service(config)
    try:
        port = await service.start()
        log.info("serving", extra={"port": port, "max_streams": config.max_streams})
        await stop.wait()
        log.info("draining")
    finally:
        await service.aclose()


def main() -> int:
    """Entry point; returns the exit code."""
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO"))
    try:
        asyncio.run(serve(load(TranscriptionConfig, os.environ)))
    except (ConfigError, BabelcastError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
