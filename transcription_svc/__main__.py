"""`python -m transcription_svc`: the transcription service alone."""

import sys
from collections.abc import Mapping

from babelcast import process
from babelcast.config import load
from babelcast.rpc.credentials import Protection
from transcription_svc.config import TranscriptionConfig
from transcription_svc.service import TranscriptionService, create_service


async def start(environ: Mapping[str, str]) -> TranscriptionService:
    """Load the model and serve as the environment says."""
    service = await create_service(load(TranscriptionConfig, environ), protection=Protection.of(environ))
    await service.start()
    return service


if __name__ == "__main__":
    sys.exit(process.run(start, name="transcription_svc"))
