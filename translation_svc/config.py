"""The service's settings, read once from the environment."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from babelcast.config import setting

Seconds = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True, slots=True)
class TranslationConfig:
    """Settings of the translation service. Every field is the environment variable of its name."""

    translation_bind: str = setting(
        "127.0.0.1:50053", "host:port that the service listens on; port 0 for any"
    )
    models_dir: str = setting("", "folder with further models, such as MODELS_DIR/en-de; empty for none")
    apertium_modes_dir: str = setting("/usr/share/apertium/modes", "folder of Apertium's mode files")
    translation_cache_size: Annotated[int, Meta(ge=1)] = setting(
        10_000, "translated sentences kept, per step"
    )
    translation_cache_ttl_seconds: Seconds = setting(3600.0, "how long they are kept, s")
    translation_call_timeout_seconds: Seconds = setting(3.0, "longest an engine may take for a sentence, s")
    translation_start_timeout_seconds: Seconds = setting(30.0, "longest an engine may take to start, s")
    translation_segment_timeout_seconds: Seconds = setting(
        10.0, "a segment that is not answered so long after its arrival fails, s"
    )
    translation_max_streams: Annotated[int, Meta(ge=1)] = setting(64, "streams served at once")
    drain_seconds: Seconds = setting(20, "Longest time to let sentences finish when stopping, s.")
    grpc_reflection: bool = setting(False, "whether gRPC reflection is offered")
