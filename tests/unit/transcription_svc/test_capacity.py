"""Places for streams, and their number."""

import pytest

from babelcast import config
from babelcast.errors import CapacityExhausted
from transcription_svc.capacity import Capacity
from transcription_svc.config import TranscriptionConfig


def test_one_more_than_the_limit_is_refused() -> None:
    """A place is free again when its holder leaves."""
    capacity = Capacity(1)
    with capacity.place():
        with pytest.raises(CapacityExhausted), capacity.place():
            pass
        assert capacity.open == 1
    assert capacity.open == 0


def test_there_must_be_a_place() -> None:
    """A service for nobody is a mistake."""
    with pytest.raises(ValueError, match="at least one"):
        Capacity(0)


def test_streams_follow_the_cores_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores serve three streams; the environment overrides it."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    default = config.load(TranscriptionConfig, {})
    assert (default.max_streams, default.workers, default.model_path) == (3, 2, None)
    chosen = config.load(
        TranscriptionConfig, {"TRANSCRIPTION_MAX_STREAMS": "7", "TRANSCRIPTION_MODEL": "/models/base"}
    )
    assert chosen.max_streams == 7
    assert chosen.model_path is not None
    assert chosen.model_path.name == "base"
