"""The models' process, from inside."""

import msgspec
import pytest

from translation_svc.translators.bergamot_worker import Engine, Request, main, make_handler
from translation_svc.translators.models import ModelFiles

FILES = ModelFiles("en", "pt", "model", "vocab", "vocab", "")


class Upper:
    """A model that shouts."""

    def translate(self, text: str) -> str:
        return text.upper()


def test_a_model_is_loaded_when_first_asked_for_and_kept() -> None:
    """An empty text only loads it."""
    loaded: list[ModelFiles] = []

    def load(files: ModelFiles) -> Engine:
        loaded.append(files)
        return Upper()

    handle = make_handler({"en-pt": FILES}, load)
    assert loaded == []
    assert handle(msgspec.msgpack.encode(Request("en-pt", ""))) == b""
    assert handle(msgspec.msgpack.encode(Request("en-pt", "olá"))) == "OLÁ".encode()
    assert loaded == [FILES]


def test_an_unknown_direction_is_an_error() -> None:
    """Which the loop answers."""
    with pytest.raises(KeyError):
        main([msgspec.json.encode({"en-pt": FILES}).decode()])(msgspec.msgpack.encode(Request("en-de", "x")))
