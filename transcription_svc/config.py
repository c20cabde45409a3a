"""Configuration of the transcription service."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from babelcast.config import setting
from transcription_svc.engines.model import size_folder
from transcription_svc.listening import ListeningPolicy
from transcription_svc.quality import QualityPolicy

STREAMS_PER_CORE = 1.5
"""Measured on English speech: a stream takes 0.4 cores with partial results; the rest is for the others."""
AMAZON_STREAMS = 25
"""What Amazon lets an account have at once in a region, unless it agreed to more."""
SCRIPTED_STREAMS = 1000
"""Far more than a process can serve: a load test finds the end by itself."""


@dataclass(frozen=True, slots=True)
class TranscriptionConfig:
    """What the service reads from the environment."""

    transcription_bind: str = setting("127.0.0.1:50052", "Address and port that the service listens on.")
    transcription_max_streams: Annotated[int, msgspec.Meta(ge=0)] = setting(
        0,
        "Streams served at once; further ones are refused. 0: what the cores can do; 25 with amazon, 1000 "
        "with scripted.",
    )
    transcription_workers: Annotated[int, msgspec.Meta(ge=0)] = setting(
        0, "Threads that recognise speech. 0: one for each core, at most 4."
    )
    transcription_engine: Literal["whisper", "amazon", "scripted"] = setting(
        "whisper",
        "What recognises speech: whisper on this machine, or amazon (Amazon Transcribe); scripted, for "
        "tests, knows nothing but the tones of `babelcast speak --scripted`.",
    )
    aws_region: str = setting("", "AWS region of Amazon Transcribe; the profile's own if empty.")
    transcription_locales: str = setting(
        "", "Regional languages for Amazon Transcribe in place of its first ones, e.g. en-GB,es-ES."
    )
    aws_endpoint_url_transcribe_streaming: str = setting(
        "", "Another address of Amazon Transcribe, e.g. a VPC endpoint; https."
    )
    transcription_model: str = setting(
        "base", "Size of the Whisper model (tiny, base, small, turbo ...), or folder of a CTranslate2 one."
    )
    audio_quality_snr_db: Annotated[float, msgspec.Meta(ge=10, le=40)] = setting(
        20.0, "Speech to noise below which the speaker is warned, 10 to 40 dB."
    )
    audio_quality_clipping_percent: Annotated[float, msgspec.Meta(ge=0.1, le=10)] = setting(
        1.0, "Share of samples at full scale in 100 ms above which the speaker is warned, 0.1 to 10 %."
    )
    audio_quality_echo_db: Annotated[float, msgspec.Meta(ge=-18, le=-3)] = setting(
        -15.0, "Strength of an echo of the voice above which the speaker is warned, -18 to -3 dB."
    )
    audio_quality_silence_dbfs: Annotated[float, msgspec.Meta(ge=-80, le=-30)] = setting(
        -50.0, "Level below which a microphone counts as silent, -80 to -30 dB of full scale."
    )
    audio_quality_silence_seconds: Annotated[float, msgspec.Meta(ge=1, le=60)] = setting(
        5.0, "Silence after which the speaker is warned, 1 to 60 s."
    )
    enable_emotion_detection: bool = setting(
        True,
        "Whether pitch is measured and segments get an emotion; level and rate always are.",
    )
    emotion_cache_ttl_seconds: Annotated[float, msgspec.Meta(gt=0)] = setting(
        60.0, "Audio after the last sentence for which a speaker's usual way of speaking is remembered, s."
    )
    data_dir: str = setting("var", "Folder for what is fetched or computed once.")
    model_download: bool = setting(True, "Fetch the model from the internet when it is not on the machine.")
    grpc_reflection: bool = setting(False, "Whether gRPC reflection is on.")
    drain_seconds: Annotated[float, msgspec.Meta(ge=0)] = setting(
        30, "Longest time to let sentences finish when stopping, s."
    )

    @property
    def listening(self) -> ListeningPolicy:
        """What is measured of the sound, and by which thresholds. Of scripted speech nothing but level and
        rate: tones are an echo of themselves, and many streams are to be cheap.
        """
        if self.transcription_engine == "scripted":
            return ListeningPolicy(quality=None, emotion=False, baseline_ttl_s=self.emotion_cache_ttl_seconds)
        return ListeningPolicy(
            quality=QualityPolicy(
                snr_db=self.audio_quality_snr_db,
                clipping_percent=self.audio_quality_clipping_percent,
                echo_db=self.audio_quality_echo_db,
                silence_dbfs=self.audio_quality_silence_dbfs,
                silence_s=self.audio_quality_silence_seconds,
            ),
            emotion=self.enable_emotion_detection,
            baseline_ttl_s=self.emotion_cache_ttl_seconds,
        )

    @property
    def max_streams(self) -> int:
        """Streams served at once, at least one."""
        if self.transcription_engine == "amazon":
            return self.transcription_max_streams or AMAZON_STREAMS
        if self.transcription_engine == "scripted":
            return self.transcription_max_streams or SCRIPTED_STREAMS
        return self.transcription_max_streams or max(1, int(STREAMS_PER_CORE * _cores()))

    @property
    def workers(self) -> int:
        """Threads that recognise speech."""
        return self.transcription_workers or min(4, _cores())

    @property
    def model_path(self) -> Path | None:
        """The folder of the model that is named, by itself or by its size; None for the packaged one."""
        name = self.transcription_model
        if name in ("", "base"):
            return None
        is_folder = os.sep in name or Path(name).is_dir()
        return Path(name) if is_folder else size_folder(Path(self.data_dir), name)


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))
