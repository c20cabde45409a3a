"""The service's settings, read once from the environment."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from babelcast.config import setting
from translation_svc.governor import VOICE_LAG_S

Seconds = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True, slots=True)
class TranslationConfig:
    """Settings of the translation service. Every field is the environment variable of its name."""

    translation_bind: str = setting(
        "127.0.0.1:50053", "host:port that the service listens on; port 0 for any"
    )
    translation_engine: Literal["embedded", "amazon", "scripted"] = setting(
        "embedded",
        "who translates: `embedded` models and rules, or `amazon` Translate; `scripted`, for tests, marks "
        "each word with its language",
    )
    voice_engine: Literal["local", "polly", "scripted"] = setting(
        "local",
        "who speaks: the `local` voices of this machine, or Amazon `polly`; `scripted`, for tests, is a tone",
    )
    scripted_delay_seconds: Annotated[float, Meta(ge=0, le=60)] = setting(
        0.05, "how long `scripted` takes to translate a sentence, s"
    )
    espeak_processes: Annotated[int, Meta(ge=1, le=16)] = setting(
        2, "processes of espeak-ng; one that hangs then costs only the sentence that met it"
    )
    espeak_voices: str = setting(
        "",
        "voices of espeak-ng to use, such as `es=es+m3,pt=pt+f2`, also where SVOX Pico would speak; empty "
        "for the usual ones",
    )
    pico_for: Literal["everybody", "premium", "nobody"] = setting(
        "everybody", "sessions that hear SVOX Pico instead of espeak-ng, in its five languages"
    )
    aws_region: str = setting("", "region of Amazon Translate and Polly; empty for what boto finds")
    aws_max_concurrency: Annotated[int, Meta(ge=1)] = setting(
        16, "calls under way at once to Amazon Translate, and as many to Polly"
    )
    translate_terminology: str = setting(
        "", "name of a custom terminology in Amazon Translate that all sessions use; empty for none"
    )
    polly_voices: str = setting(
        "", "voices to prefer, such as `es=Lupe,fr=Remi`; empty for the built-in choice"
    )
    polly_premium_engine: Literal["neural", "generative", "long-form"] = setting(
        "neural", "Polly's engine for sessions of the premium tier, where a language's voices have it"
    )
    prices_file: str = setting(
        "", "file with prices of engines in place of the built-in ones; empty for none"
    )
    glossary_file: str = setting(
        "", "file in TOML or CSV with terms that have a fixed translation in every session; empty for none"
    )
    translation_partials: Literal["auto", "always", "never"] = setting(
        "auto",
        "whether sentences are translated while they are still spoken: `auto` if no engine on their way is "
        "paid by the character, for that multiplies what a talk costs",
    )
    models_dir: str = setting(
        "",
        "folder with further models, such as MODELS_DIR/en-de; empty for none, or with `babelcast serve` for "
        "DATA_DIR/models",
    )
    apertium_modes_dir: str = setting("/usr/share/apertium/modes", "folder of Apertium's mode files")
    translation_cache_max_entries: Annotated[int, Meta(ge=1)] = setting(
        10_000, "translated sentences kept in memory, per step; each has room for 2,000 bytes on average"
    )
    translation_cache_ttl_seconds: Seconds = setting(3600.0, "how long they are kept, s")
    translation_cache_table_name: str = setting(
        "", "DynamoDB table, such as `TranslationCache`, in which replicas share them; empty for none"
    )
    translation_call_timeout_seconds: Seconds = setting(3.0, "longest an engine may take for a sentence, s")
    translation_start_timeout_seconds: Seconds = setting(30.0, "longest an engine may take to start, s")
    translation_segment_timeout_seconds: Seconds = setting(
        10.0, "a segment that is not answered so long after its arrival fails, s"
    )
    voice_lag_max_seconds: Annotated[float, Meta(ge=0)] = setting(
        VOICE_LAG_S,
        "a voice that would begin later than so long after the end of its speech is left out, s; 0 for none",
    )
    translation_max_streams: Annotated[int, Meta(ge=1)] = setting(64, "streams served at once")
    drain_seconds: Seconds = setting(30, "Longest time to let sentences finish when stopping, s.")
    grpc_reflection: bool = setting(False, "whether gRPC reflection is offered")
