"""Transcribers that take the server for Amazon, and what is fed to them."""

from collections.abc import Callable

import numpy as np

from babelcast.backoff import Backoff
from tests.amazon.server import REGION, TranscribeServer
from tests.amazon.sigv4 import Account
from transcription_svc.audio import FRAME_SAMPLES, Samples
from transcription_svc.engines.amazon.client import AmazonConnector
from transcription_svc.engines.amazon.credentials import Keys
from transcription_svc.engines.amazon.locales import parse_locales
from transcription_svc.engines.amazon.recognition import Times
from transcription_svc.engines.amazon.transcriber import AmazonTranscriber
from transcription_svc.engines.base import Recognition, SegmentResult

FAST = Times(catch_up=100.0)
SOON = Backoff(retries=8, base_s=0.01, cap_s=0.02)


class FixedKeys:
    """The same credentials always."""

    def __init__(self, account: Account | None = None) -> None:
        self.account = account or Account()

    async def keys(self) -> Keys:
        """The credentials."""
        return Keys(self.account.access_key_id, self.account.secret_access_key, self.account.session_token)


def amazon(
    server: TranscribeServer,
    *,
    times: Times = FAST,
    backoff: Backoff = SOON,
    account: Account | None = None,
    clock: Callable[[], float] | None = None,
) -> AmazonTranscriber:
    """A transcriber that takes the server for Amazon."""
    connector = AmazonConnector(REGION, FixedKeys(account), server.url)
    locales = parse_locales("")
    if clock is None:
        return AmazonTranscriber(connector, locales=locales, times=times, backoff=backoff)
    return AmazonTranscriber(connector, locales=locales, times=times, backoff=backoff, clock=clock)


async def feed(recognition: Recognition, samples: Samples, *, frames: int = 4) -> None:
    """Feed samples in pieces of 128 ms, or so many frames; what is not zero is speech."""
    padded = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES))
    speech = (np.abs(padded.reshape(-1, FRAME_SAMPLES)).max(axis=1) > 0).astype(np.float32)
    for start in range(0, len(speech), frames):
        piece = padded[start * FRAME_SAMPLES : (start + frames) * FRAME_SAMPLES]
        await recognition.feed(piece, speech[start : start + frames])


def pause(seconds: float) -> Samples:
    """Silence."""
    return np.zeros(int(seconds * 16_000), np.float32)


async def everything(recognition: Recognition) -> list[SegmentResult]:
    """All results up to the end."""
    return [result async for result in recognition.results()]


def spoken_words(results: list[SegmentResult]) -> list[str]:
    """The words of all finals, without their full stops and capitals."""
    return [
        word.strip(".").casefold() for result in results if result.is_final for word in result.text.split()
    ]
