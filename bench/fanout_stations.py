"""The stations of `bench.fanout`: a transcription that notes when audio comes, and an idle translation.

Prints the port of both. Whoever speaks begins each chunk with MARK and the time on the monotonic clock, ns,
so that it tells how long it was on its way: a line on standard input has those times printed, ms, since the
last.
"""

import asyncio
import struct
import sys
import time
from collections.abc import AsyncIterator

import grpc
import msgspec

from babelcast.transcription.v1 import transcription_pb2 as stt
from babelcast.transcription.v1 import transcription_pb2_grpc as stt_rpc
from babelcast.translation.v1 import translation_pb2 as mt
from babelcast.translation.v1 import translation_pb2_grpc as mt_rpc

MARK = b"\x05\x00\x04\x00\x03\x00\x02\x00"
STAMP = struct.Struct("<q")
NS_PER_MS = 1e6
GRACE_S = 0.5


def stamped(size: int) -> bytes:
    """A chunk of so many bytes of silence that says when it was made."""
    return (MARK + STAMP.pack(time.monotonic_ns())).ljust(size, b"\0")


def ages_ms(pcm: bytes, now_ns: int) -> list[float]:
    """How old each of the chunks in it is."""
    ages: list[float] = []
    at = pcm.find(MARK)
    while at >= 0 and at + len(MARK) + STAMP.size <= len(pcm):
        (made_ns,) = STAMP.unpack_from(pcm, at + len(MARK))
        ages.append((now_ns - made_ns) / NS_PER_MS)
        at = pcm.find(MARK, at + len(MARK))
    return ages


class Transcription(stt_rpc.TranscriptionServiceServicer):
    """Hears, and says nothing."""

    def __init__(self) -> None:
        self.taken_ms: list[float] = []

    async def StreamingTranscribe(  # noqa: N802 - named by the contract
        self,
        request_iterator: AsyncIterator[stt.StreamingTranscribeRequest],
        context: grpc.aio.ServicerContext[stt.StreamingTranscribeRequest, stt.StreamingTranscribeResponse],  # noqa: ARG002
    ) -> AsyncIterator[stt.StreamingTranscribeResponse]:
        """See the contract."""
        yield stt.StreamingTranscribeResponse(started=stt.StreamStarted(engine="bench"))
        async for request in request_iterator:
            if request.HasField("end"):
                yield stt.StreamingTranscribeResponse(ended=stt.StreamEnded())
                return
            self.taken_ms += ages_ms(request.audio.pcm, time.monotonic_ns())

    async def GetCapabilities(  # noqa: N802 - named by the contract
        self,
        request: stt.GetCapabilitiesRequest,  # noqa: ARG002
        context: grpc.aio.ServicerContext[stt.GetCapabilitiesRequest, stt.GetCapabilitiesResponse],  # noqa: ARG002
    ) -> stt.GetCapabilitiesResponse:
        """See the contract."""
        return stt.GetCapabilitiesResponse(languages=["en"], max_streams=1000, engine="bench")


class Translation(mt_rpc.TranslationServiceServicer):
    """Is never asked for anything, since nothing is said."""

    async def StreamingTranslate(  # noqa: N802 - named by the contract
        self,
        request_iterator: AsyncIterator[mt.StreamingTranslateRequest],
        context: grpc.aio.ServicerContext[mt.StreamingTranslateRequest, mt.StreamingTranslateResponse],  # noqa: ARG002
    ) -> AsyncIterator[mt.StreamingTranslateResponse]:
        """See the contract."""
        yield mt.StreamingTranslateResponse(started=mt.StreamStarted())
        async for request in request_iterator:
            if request.HasField("end"):
                break
        yield mt.StreamingTranslateResponse(ended=mt.StreamEnded())

    async def ListLanguages(  # noqa: N802 - named by the contract
        self,
        request: mt.ListLanguagesRequest,  # noqa: ARG002
        context: grpc.aio.ServicerContext[mt.ListLanguagesRequest, mt.ListLanguagesResponse],  # noqa: ARG002
    ) -> mt.ListLanguagesResponse:
        """See the contract."""
        return mt.ListLanguagesResponse(targets={"en": mt.TargetLanguages(languages=["es"])})


async def main() -> None:
    """Serve until standard input ends."""
    server = grpc.aio.server()
    transcription = Transcription()
    stt_rpc.add_TranscriptionServiceServicer_to_server(transcription, server)
    mt_rpc.add_TranslationServiceServicer_to_server(Translation(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async for _ in lines:
        print(msgspec.json.encode(transcription.taken_ms).decode(), flush=True)
        transcription.taken_ms = []
    await server.stop(GRACE_S)


if __name__ == "__main__":
    asyncio.run(main())
