"""What a system's own counters say went wrong, by its Prometheus endpoints."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from babelcast.errors import ServiceUnavailable

TIMEOUT_S: Final = 10.0
CHUNKS: Final = "babelcast_gateway_audio_chunks_total"
"""Chunks that were taken from speakers."""
_OURS: Final = frozenset({"INTERNAL_ERROR", "SERVICE_UNAVAILABLE"})
FAULTS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "babelcast_gateway_errors_total": ("code", _OURS),
    "babelcast_gateway_http_responses_total": ("class", frozenset({"5xx"})),
    "babelcast_gateway_stream_failures_total": ("", frozenset()),
    "babelcast_gateway_audio_lost_seconds_total": ("", frozenset()),
    "babelcast_translation_failures_total": ("", frozenset()),
    "babelcast_transcription_dynamics_failures_total": ("", frozenset()),
    "babelcast_store_failures_total": ("", frozenset()),
    "babelcast_store_throttled_total": ("", frozenset()),
}
"""Counters of what should not happen, and the label and its values that count; no label: all of it. What
clients do wrong is not among them."""


async def read(urls: Sequence[str]) -> Sequence[Mapping[str, float]]:
    """Of each endpoint, FAULTS and CHUNKS; those that nothing counted yet are 0.

    Raises: ServiceUnavailable when an endpoint cannot be read.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
        pages = await asyncio.gather(*(_page(session, url) for url in urls))
    return [{**dict.fromkeys((*FAULTS, CHUNKS), 0.0), **counted(page)} for page in pages]


def counted(page: str) -> Mapping[str, float]:
    """Of one endpoint's text.

    Raises: ServiceUnavailable when it is none of Prometheus'.
    """
    sums: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                label, values = FAULTS.get(sample.name, ("", frozenset()))
                if (sample.name in FAULTS or sample.name == CHUNKS) and (
                    not label or sample.labels.get(label) in values
                ):
                    sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    except ValueError as error:
        raise ServiceUnavailable(f"These are no metrics: {error}.") from error
    return sums


def grown(before: Sequence[Mapping[str, float]], after: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """The faults that came in between, at all endpoints together. A counter that is smaller began anew with
    its process.
    """
    changes = dict.fromkeys(FAULTS, 0.0)
    for then, now in zip(before, after, strict=True):
        for name in FAULTS:
            changes[name] += now[name] - then[name] if now[name] >= then[name] else now[name]
    return {name: change for name, change in changes.items() if change}


async def _page(session: aiohttp.ClientSession, url: str) -> str:
    try:
        async with session.get(url) as response:
            response.raise_for_status()
            return await response.text()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise ServiceUnavailable(f"The metrics at {url} cannot be read.") from error
