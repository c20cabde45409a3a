"""How long a sentence takes into one, three and six languages, and what comes out.

    python -m bench.translation [--rounds N] [--show]

Measured at the client of a real gRPC stream, from sending a sentence to the last answer of all languages,
with warm engines and without help from the cache.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from babelcast.rpc.client import open_channel
from babelcast.translation.v1 import translation_pb2 as pb
from babelcast.translation.v1 import translation_pb2_grpc
from translation_svc.composition import TranslationApp
from translation_svc.config import TranslationConfig

SENTENCES = (
    "Good morning, everyone, and welcome to the spring meeting of our neighbourhood library.",
    "Last year, more than 12,000 people borrowed at least one book from us.",
    "Why do so many of them come back every week?",
    "Because the door is open, the coffee is hot, and nobody asks what you are reading!",
    "In March, we will move the children's corner to the sunny side of the building.",
    "Dr. Evans will show us tomorrow morning how the old maps are repaired.",
    "Please don't forget to switch off your phones before the concert begins.",
    "The new opening hours are from nine in the morning until eight in the evening.",
    "If you would like to help, write your name on the list near the entrance.",
    "We have lost two shelves to the water, but not a single page of the archive.",
    "I think that this is the most important decision we have made in ten years.",
    "Thank you very much, and now let us hear your questions.",
)
LANGUAGES = ("pt", "es", "ca", "gl", "fr", "it")


@dataclass(frozen=True, slots=True)
class Timing:
    """One sentence, ms from sending it to the last translation and to the last speech."""

    text_ms: float
    speech_ms: float


class Client:
    """One stream from English."""

    def __init__(self, stub: "translation_pb2_grpc.TranslationServiceAsyncStub") -> None:
        self._call = stub.StreamingTranslate()
        self._next = 0
        self.texts: dict[str, str] = {}

    async def open(self) -> None:
        """Send the config."""
        config = pb.StreamConfig(session_id="bench", source_language="en", quality_tier="standard")
        await self._call.write(pb.StreamingTranslateRequest(config=config))
        await self._call.read()

    async def sentence(self, text: str, languages: Sequence[str], *, speak: bool) -> Timing:
        """Send one sentence and wait for all of its answers."""
        targets = [pb.Target(language=language, speak=speak) for language in languages]
        segment = pb.Segment(segment=self._next, revision=1, text=text, is_final=True, targets=targets)
        self._next += 1
        started = time.perf_counter()
        await self._call.write(pb.StreamingTranslateRequest(segment=segment))
        last = {"translation": started, "speech": started}
        for _ in range(len(languages) * (2 if speak else 1)):
            answer = await self._call.read()
            if not isinstance(answer, pb.StreamingTranslateResponse) or answer.HasField("failure"):
                raise RuntimeError(f"no answer: {answer}")
            last[str(answer.WhichOneof("payload"))] = time.perf_counter()
            if answer.HasField("translation"):
                self.texts[answer.translation.language] = answer.translation.text
        return Timing((last["translation"] - started) * 1000, (last["speech"] - started) * 1000)

    async def close(self) -> None:
        """End the stream."""
        await self._call.write(pb.StreamingTranslateRequest(end=pb.EndOfSegments()))
        await self._call.read()


async def bench(*, rounds: int, show: bool) -> None:
    """Run and print."""
    config = TranslationConfig(translation_bind="127.0.0.1:0", translation_cache_ttl_seconds=1e-9)
    app = TranslationApp(config)
    port = await app.start()
    channel = open_channel(f"127.0.0.1:{port}")
    try:
        client = Client(translation_pb2_grpc.TranslationServiceStub(channel))
        await client.open()
        languages = [language for language in LANGUAGES if language in app.interpreter.targets("en")]
        await client.sentence("This is only a test.", languages, speak=True)
        for count in (1, 3, 6):
            await _measure(client, languages[:count], rounds)
        if show:
            await _show(client, languages)
        await client.close()
    finally:
        await channel.close()
        await app.aclose()


async def _measure(client: Client, languages: Sequence[str], rounds: int) -> None:
    texts = [await client.sentence(text, languages, speak=False) for _ in range(rounds) for text in SENTENCES]
    spoken = [await client.sentence(text, languages, speak=True) for _ in range(rounds) for text in SENTENCES]
    print(
        f"{len(languages)} at once ({' '.join(languages)}): "
        f"text {_percentiles([timing.text_ms for timing in texts])}, "
        f"with speech {_percentiles([timing.speech_ms for timing in spoken])}"
    )


async def _show(client: Client, languages: Sequence[str]) -> None:
    for text in SENTENCES:
        await client.sentence(text, languages, speak=False)
        print(f"\nen  {text}")
        for language in languages:
            print(f"{language}  {client.texts[language]}")


def _percentiles(values: Sequence[float]) -> str:
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return f"p50 {cuts[9]:.0f} ms, p95 {cuts[18]:.0f} ms"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Latency of translation and voice, embedded engines.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each sentence is sent")
    parser.add_argument("--show", action="store_true", help="print the translations")
    options = parser.parse_args()
    asyncio.run(bench(rounds=options.rounds, show=options.show))


if __name__ == "__main__":
    main()
