"""The scripted engine: reads words made of tones, and knows no other speech. For load and fault tests.

Everything around it is as with any engine: the service, its streams, what is delivered, drained and replayed.
"""

from collections.abc import AsyncIterator, Sequence

from babelcast import scripted
from babelcast.channel import Channel
from babelcast.errors import UnsupportedLanguage
from transcription_svc.audio import Samples
from transcription_svc.engines.base import Capabilities, SegmentResult, StreamOptions
from transcription_svc.engines.scripted.hearing import Ear
from transcription_svc.engines.scripted.segments import SegmentBuilder

_RESULTS = 64
"""Results that wait for the receiver. Finals wait for room; partials are left out when it is half full."""


class ScriptedTranscriber:
    """Serves any number of streams; holds nothing."""

    capabilities = Capabilities(
        name=scripted.NAME, languages=scripted.LANGUAGES, partial_results=True, word_times=True
    )

    def open(self, options: StreamOptions) -> "ScriptedRecognition":
        """Start a stream.

        Raises: UnsupportedLanguage.
        """
        if options.language not in scripted.LANGUAGES:
            raise UnsupportedLanguage(options.language, available=scripted.LANGUAGES)
        return ScriptedRecognition(options)

    async def aclose(self) -> None:
        """Nothing is held."""


class ScriptedRecognition:
    """One stream. It has no task of its own: the words are found while it is fed, in some 50 µs."""

    def __init__(self, options: StreamOptions) -> None:
        self._ear = Ear()
        self._segments = SegmentBuilder(options)
        self._out: Channel[SegmentResult] = Channel(_RESULTS)

    async def feed(self, samples: Samples, speech: Samples) -> None:  # noqa: ARG002 - silence tells enough
        """Take whole frames; waits while the receiver is too far behind."""
        for word in self._ear.hear(samples):
            await self._send(self._segments.add(word))
        if not self._ear.in_word:
            await self._send(self._segments.pause(self._ear.position))
        await self._send(self._segments.partial(self._ear.under_way))

    async def finish(self) -> None:
        """No more audio comes: the results end after what is open."""
        for word in self._ear.finish():
            await self._send(self._segments.add(word))
        await self._send(self._segments.finish())
        self._out.close()

    async def results(self) -> AsyncIterator[SegmentResult]:
        """All results in order."""
        async for result in self._out:
            yield result

    async def aclose(self) -> None:
        """Stop at once; idempotent."""
        self._out.close()

    async def _send(self, results: Sequence[SegmentResult]) -> None:
        for result in results:
            if self._out.closed:
                return
            if result.is_final or len(self._out) < self._out.capacity // 2:
                await self._out.send(result)
