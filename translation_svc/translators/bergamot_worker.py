"""The process that holds the student models: the engine is bound to its thread and keeps the GIL."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from translation_svc.translators.models import ModelFiles
from translation_svc.worker_loop import run


class Request(msgspec.Struct, array_like=True, frozen=True):
    """One sentence for one direction; an empty one only loads the model."""

    direction: str
    text: str


class Engine(Protocol):
    """What is used of fxtranslate.Translator."""

    def translate(self, text: str) -> str:
        """One sentence."""
        ...


def load(files: ModelFiles) -> Engine:
    """Read a model into memory, 60 MB and 0.1 s."""
    from fxtranslate import Translator  # only this process may load it

    def read(path: str) -> bytes:
        return Path(path).read_bytes()

    engine: Engine = Translator(
        read(files.model),
        read(files.source_vocabulary),
        read(files.target_vocabulary),
        read(files.shortlist) if files.shortlist else None,
    )
    return engine


def make_handler(
    models: Mapping[str, ModelFiles], loader: Callable[[ModelFiles], Engine] = load
) -> Callable[[bytes], bytes]:
    """A handler that loads each model when it is first asked for."""
    engines: dict[str, Engine] = {}

    def handle(payload: bytes) -> bytes:
        request = msgspec.msgpack.decode(payload, type=Request)
        engine = engines.get(request.direction)
        if engine is None:
            engine = engines[request.direction] = loader(models[request.direction])
        return engine.translate(request.text).encode() if request.text else b""

    return handle


def main(arguments: list[str]) -> Callable[[bytes], bytes]:
    """The handler for the models given as JSON in the only argument."""
    return make_handler(msgspec.json.decode(arguments[0], type=dict[str, ModelFiles]))


if __name__ == "__main__":
    run(main)
