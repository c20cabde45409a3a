"""The engines that a configuration asks for, and how many streams they can serve."""

import logging
from pathlib import Path

from babelcast import scripted
from babelcast.errors import ServiceUnavailable
from transcription_svc.capacity import Capacity, CostMeter, cores_per_stream
from transcription_svc.config import TranscriptionConfig
from transcription_svc.engines.model import best_installed, find_model, size_of
from transcription_svc.recognition import LiveTranscriber
from transcription_svc.tiers import Engine, Tiers
from transcription_svc.vad import SpeechDetector

log = logging.getLogger(__name__)


def load_engines(config: TranscriptionConfig) -> tuple[Tiers, Capacity]:
    """Load the standard engine, blocking, about 3 s.

    Raises: ServiceUnavailable when it is not installed.
    """
    if config.transcription_engine == "amazon":
        from transcription_svc.engines.amazon.transcriber import create_transcriber

        amazon = create_transcriber(
            region=config.aws_region,
            locales=config.transcription_locales,
            endpoint=config.aws_endpoint_url_transcribe_streaming,
        )
        return Tiers(Engine(amazon)), Capacity(limit=config.max_streams)
    if config.transcription_engine == "scripted":
        from transcription_svc.engines.scripted.transcriber import ScriptedTranscriber

        log.warning(scripted.NOTICE)
        return Tiers(Engine(ScriptedTranscriber())), Capacity(limit=config.max_streams)
    capacity = Capacity(cores=config.workers, limit=config.transcription_max_streams)
    return whisper_tiers(config), capacity


def load_detector(config: TranscriptionConfig) -> SpeechDetector:
    """What tells speech from other sound, blocking.

    Raises: ServiceUnavailable when it is not installed.
    """
    if config.transcription_engine == "scripted":
        from transcription_svc.engines.scripted.detector import SoundDetector

        return SoundDetector()
    from transcription_svc.vad import SileroDetector

    return SileroDetector()


def whisper_tiers(config: TranscriptionConfig) -> Tiers:
    """The configured model, and the best better one in the data folder for the premium tier.

    Raises: ServiceUnavailable when the configured one is not installed.
    """
    standard = _whisper(config, config.model_path)
    better = best_installed(Path(config.data_dir), above=size_of(standard.transcriber.capabilities.name))
    return Tiers(standard, premium=None if better is None else lambda: _whisper(config, better))


def _whisper(config: TranscriptionConfig, folder: Path | None) -> Engine:
    from transcription_svc.engines.whisper import WhisperDecoder

    files = find_model(model_dir=folder, data_dir=Path(config.data_dir), download=config.model_download)
    try:
        decoder = WhisperDecoder(files, workers=config.workers)
    except (RuntimeError, ValueError) as error:
        raise ServiceUnavailable(f"The speech model {files.name} cannot be loaded.") from error
    meter = CostMeter(decoder.measure_cost())
    log.info("engine loaded", extra={"engine": files.name, "cores": round(cores_per_stream(meter.cost), 2)})
    transcriber = LiveTranscriber(decoder, workers=config.workers, meter=meter)
    return Engine(transcriber, cores_per_stream=lambda: cores_per_stream(meter.cost))
