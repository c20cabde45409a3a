"""Premium and standard streams with real models: a copy of base in the place of a better one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from babelcast import wav
from babelcast.config import load
from babelcast.errors import ServiceUnavailable
from babelcast.rpc.client import open_channel
from babelcast.transcription.v1 import transcription_pb2 as pb
from babelcast.transcription.v1 import transcription_pb2_grpc as rpc
from transcription_svc.config import TranscriptionConfig
from transcription_svc.engines.model import find_model, size_folder
from transcription_svc.service import create_service

pytestmark = pytest.mark.engines


class Client(Protocol):
    """See conftest."""

    stub: "rpc.TranscriptionServiceAsyncStub"
    end: pb.StreamingTranscribeRequest

    def config(self, **changes: object) -> pb.StreamingTranscribeRequest: ...
    def audio(self, pcm: bytes, *, chunk_bytes: int = 3_200) -> "list[pb.StreamingTranscribeRequest]": ...
    async def run(
        self, requests: "Sequence[pb.StreamingTranscribeRequest]"
    ) -> "list[pb.StreamingTranscribeResponse]": ...


def copy_base(folder: Path) -> None:
    """The packaged model, as the loader would have put it into `folder`."""
    folder.mkdir(parents=True)
    packaged = find_model(model_dir=None, data_dir=Path("no-such-folder"), download=False)
    for name, content in packaged.files.items():
        (folder / name).write_bytes(content)


async def test_premium_has_the_better_model(
    tmp_path: Path, jfk_wav: Path, make_client: Callable[..., Client]
) -> None:
    """The model in the data folder serves premium streams and says so; standard ones keep the packaged."""
    copy_base(size_folder(tmp_path, "small"))
    environ = {"TRANSCRIPTION_BIND": "127.0.0.1:0", "DATA_DIR": str(tmp_path), "MODEL_DOWNLOAD": "false"}
    async with (
        await create_service(load(TranscriptionConfig, environ)) as service,
        open_channel(f"127.0.0.1:{service.port}") as channel,
    ):
        client = make_client(rpc.TranscriptionServiceStub(channel))
        told = await client.stub.GetCapabilities(pb.GetCapabilitiesRequest())
        assert (told.engine, told.has_premium, told.word_times) == ("whisper-base", True, True)
        assert told.max_streams == service.max_streams >= 1
        audio = client.audio(wav.read(jfk_wav).pcm[: 4 * 32_000])
        premium = await client.run([client.config(quality_tier="premium"), *audio, client.end])
        assert premium[0].started.engine == "whisper-small"
        assert "American" in " ".join(response.result.text for response in premium)
        standard = await client.run([client.config(quality_tier="standard"), client.end])
        assert standard[0].started.engine == "whisper-base"


async def test_a_named_size_that_is_missing_is_explained(tmp_path: Path) -> None:
    """Offline the service does not start, and says where the model belongs."""
    environ = {"DATA_DIR": str(tmp_path), "MODEL_DOWNLOAD": "false", "TRANSCRIPTION_MODEL": "turbo"}
    with pytest.raises(
        ServiceUnavailable, match=r"turbo is not installed; put its files into .*whisper-turbo"
    ):
        await create_service(load(TranscriptionConfig, environ))
