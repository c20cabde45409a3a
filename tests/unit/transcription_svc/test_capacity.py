"""Places for streams, and their number."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast import config
from babelcast.errors import CapacityExhausted
from transcription_svc.capacity import (
    USABLE,
    Capacity,
    CostMeter,
    DecodeCost,
    cores_per_stream,
    streams_held,
)
from transcription_svc.config import TranscriptionConfig

BASE = DecodeCost(quick_s=0.18, thorough_s=0.31)
"""Of Whisper base, int8, as measured on a server's core."""


def test_one_more_than_the_limit_is_refused() -> None:
    """A place is free again when its holder leaves; a limit that is set overrides what streams take."""
    capacity = Capacity(limit=1)
    with capacity.place(99.0):
        with pytest.raises(CapacityExhausted), capacity.place(0.0):
            pass
        assert (capacity.open, capacity.load, capacity.limit(99.0)) == (1, 1.0, 1)
    assert (capacity.open, capacity.load) == (0, 0.0)


def test_there_must_be_a_place() -> None:
    """A service for nobody is a mistake."""
    with pytest.raises(ValueError, match="at least one"):
        Capacity(cores=0)


def test_two_cores_hold_three_streams_of_base() -> None:
    """What was measured with real streams: 0.25 to 0.45 cores each, three on two cores without delay."""
    assert cores_per_stream(BASE) == pytest.approx(0.386)
    assert streams_held(cores=2, each=cores_per_stream(BASE)) == 3


def test_a_machine_that_is_too_slow_serves_one() -> None:
    """One stream is never refused: it gets what there is."""
    capacity = Capacity(cores=0.5)
    with capacity.place(3.0):
        assert capacity.load == pytest.approx(8.0)
        assert capacity.limit(3.0) == 1


def test_a_premium_stream_takes_more_room() -> None:
    """A stream of an engine three times as dear takes the room of three."""
    capacity = Capacity(cores=4)
    with capacity.place(1.5):
        assert capacity.limit(0.5) == 4
        with pytest.raises(CapacityExhausted), capacity.place(0.5), capacity.place(1.5):
            pass
    assert capacity.limit(0.5) == 6


@given(st.floats(0.1, 64), st.lists(st.floats(0.01, 4), max_size=40))
def test_places_never_take_more_than_there_is(cores: float, streams: list[float]) -> None:
    """However many ask, all but the first fit into the usable cores; those who leave give back all."""
    capacity = Capacity(cores=cores)
    held = []
    for each in streams:
        place = capacity.place(each)
        try:
            place.__enter__()
        except CapacityExhausted:
            assert capacity.open >= capacity.limit(each)
            continue
        held.append((place, each))
    assert len(held) <= 1 or sum(each for _, each in held) <= USABLE * cores + 1e-6
    assert bool(held) == bool(streams)
    for place, _ in held:
        place.__exit__(None, None, None)
    assert capacity.open == 0
    assert capacity.load == pytest.approx(0.0, abs=1e-6)


def test_slower_decodes_count() -> None:
    """Decodes that take longer than at the start raise the cost, by half at most; fast ones lower nothing."""
    meter = CostMeter(BASE)
    meter.quick(0.01)
    assert meter.cost == BASE
    for _ in range(200):
        meter.quick(9.0)
        meter.thorough(0.35)
    assert meter.cost.quick_s == pytest.approx(0.27)
    assert meter.cost.thorough_s == pytest.approx(0.35, rel=0.01)


def test_the_environment_overrides_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers follow the cores; a model is a folder, or a size in the data folder, or the packaged one."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    default = config.load(TranscriptionConfig, {})
    assert (default.workers, default.transcription_max_streams, default.model_path) == (2, 0, None)
    chosen = config.load(
        TranscriptionConfig, {"TRANSCRIPTION_MAX_STREAMS": "7", "TRANSCRIPTION_MODEL": "/models/own"}
    )
    assert (chosen.max_streams, chosen.model_path) == (7, Path("/models/own"))
    sized = config.load(TranscriptionConfig, {"TRANSCRIPTION_MODEL": "small", "DATA_DIR": "/data"})
    assert sized.model_path == Path("/data/models/whisper-small")
