"""Configuration of the transcription service."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from babelcast.config import setting

STREAMS_PER_CORE = 1.5
"""Measured on English speech: a stream takes 0.4 cores with partial results; the rest is for the others."""


@dataclass(frozen=True, slots=True)
class TranscriptionConfig:
    """What the service reads from the environment."""

    transcription_bind: str = setting("127.0.0.1:50052", "Address and port that the service listens on.")
    transcription_max_streams: Annotated[int, msgspec.Meta(ge=0)] = setting(
        0, "Streams served at once; further ones are refused. 0: 1.5 for each core."
    )
    transcription_workers: Annotated[int, msgspec.Meta(ge=0)] = setting(
        0, "Threads that recognise speech. 0: one for each core, at most 4."
    )
    transcription_model: str = setting(
        "", "Folder with a CTranslate2 Whisper model; the packaged one if empty."
    )
    data_dir: str = setting("var", "Folder for what is fetched or computed once.")
    model_download: bool = setting(True, "Fetch the model from the internet when it is not on the machine.")
    grpc_reflection: bool = setting(False, "Whether gRPC reflection is on.")
    drain_seconds: Annotated[float, msgspec.Meta(ge=0)] = setting(
        20, "Longest time to let sentences finish when stopping, s."
    )

    @property
    def max_streams(self) -> int:
        """Streams served at once, at least one."""
        return self.transcription_max_streams or max(1, int(STREAMS_PER_CORE * _cores()))

    @property
    def workers(self) -> int:
        """Threads that recognise speech."""
        return self.transcription_workers or min(4, _cores())

    @property
    def model_path(self) -> Path | None:
        """The model folder, if one is named."""
        return Path(self.transcription_model) if self.transcription_model else None


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))
