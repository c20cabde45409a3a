"""Amazon Transcribe as an engine."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from babelcast.backoff import Backoff
from babelcast.config import ConfigError
from babelcast.errors import UnsupportedLanguage
from transcription_svc.engines.amazon.client import AmazonConnector, Connector, Wanted
from transcription_svc.engines.amazon.credentials import BotoKeys
from transcription_svc.engines.amazon.faults import RESTARTS
from transcription_svc.engines.amazon.locales import parse_locales, stability_level
from transcription_svc.engines.amazon.recognition import AmazonRecognition, Times
from transcription_svc.engines.amazon.segments import SegmentBuilder
from transcription_svc.engines.base import Capabilities, StreamOptions

NAME: Final = "amazon-transcribe"
_SERVICE: Final = "transcribestreaming"


class AmazonTranscriber:
    """Serves streams with Amazon Transcribe. Opening one connects to nothing yet."""

    def __init__(
        self,
        connector: Connector,
        *,
        locales: Mapping[str, str],
        times: Times | None = None,
        backoff: Backoff = RESTARTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`locales` has Amazon's code for each language."""
        self._connector = connector
        self._locales = locales
        self._times = times or Times()
        self._backoff = backoff
        self._clock = clock

    @property
    def capabilities(self) -> Capabilities:
        """All languages that Amazon transcribes live."""
        return Capabilities(name=NAME, languages=tuple(sorted(self._locales)), word_times=True)

    def open(self, options: StreamOptions) -> AmazonRecognition:
        """Start a stream.

        Raises: UnsupportedLanguage.
        """
        locale = self._locales.get(options.language)
        if locale is None:
            raise UnsupportedLanguage(options.language, available=sorted(self._locales))
        return AmazonRecognition(
            Wanted(locale=locale, stability=stability_level(options.min_stability)),
            connector=self._connector,
            segments=SegmentBuilder(
                first_segment=options.first_segment,
                max_segment_s=options.max_segment_s,
                language=options.language,
                partials=options.partial_results,
            ),
            times=self._times,
            backoff=self._backoff,
            clock=self._clock,
        )

    async def aclose(self) -> None:
        """Nothing is held between streams."""


def create_transcriber(*, region: str, locales: str = "", endpoint: str = "") -> AmazonTranscriber:
    """Amazon Transcribe in a region, with boto's credentials; `locales` as in `parse_locales`.

    Raises: ConfigError for an unknown region or locale, and for an endpoint that is not https.
    """
    found = parse_locales(locales)
    if endpoint and not endpoint.startswith("https://"):
        raise ConfigError(
            "AWS_ENDPOINT_URL_TRANSCRIBE_STREAMING: must begin with https://, since it needs HTTP/2"
        )
    keys = BotoKeys()
    if not region:
        region = keys.region
    if not endpoint and region not in (known := regions()):
        raise ConfigError(
            f"AWS_REGION: Amazon Transcribe does not stream in {region!r}; it does in {', '.join(known)}"
        )
    return AmazonTranscriber(AmazonConnector(region, keys, endpoint), locales=found)


def regions() -> list[str]:
    """Regions with live transcription, as boto knows them."""
    from botocore.session import get_session

    partitions = get_session().get_component("data_loader").load_data("endpoints")["partitions"]
    return sorted(
        region
        for partition in partitions
        for region in partition["services"].get(_SERVICE, {}).get("endpoints", {})
        if region in partition["regions"]
    )
