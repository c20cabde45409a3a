"""What stamps and samples of a gateway say."""

import math

import pytest

from babelcast import scripted
from bench.speakers.figures import Figures, Percentiles, table
from bench.speakers.probe import OTHER, Passages, stage_of
from bench.speakers.talks import Spoken, sentences_in


def passages(**changes: object) -> Passages:
    """Two chunks of one session, the first of them before the measurement."""
    fields: dict[str, object] = {
        "cpu_s": {"ingest": 0.002, "publish": 0.001},
        "began_s": 10.0,
        "seconds": 2.0,
        "chunks": 10,
        "fed": {"s": [9.01, 11.01]},
        "sent": {"s": [9.5, 11.03]},
        "results_s": [0.001, 0.002],
        "lags_s": [0.0],
    }
    return Passages(**(fields | changes))  # type: ignore[arg-type]


def exact_talk() -> Spoken:
    """A talk of one sentence that was heard by all."""
    text = scripted.sentence(3, 0)
    captions = {"es": [scripted.translated(text, "es")]}
    return Spoken(3, 1, session="s", stamps_s=[9.0, 11.0], heard=[text], captions=captions)


def test_chunks_of_the_measurement_count() -> None:
    """Each is paired with its own end; CPU is shared out among the chunks."""
    found = Figures.of([exact_talk()], passages(), used_s={"gateway": 1.0})
    assert (found.passage.count, found.inside.count) == (1, 1)
    assert (found.passage.median, found.passage.most) == pytest.approx((30.0, 30.0))
    assert (found.inside.median, found.inside.p99) == pytest.approx((20.0, 20.0))
    assert found.cpu_us == pytest.approx({"ingest": 200.0, "publish": 100.0})
    assert found.cores == {"gateway": 0.5}
    assert found.kept
    assert "| ingest | 200 |" in table(found)
    assert found.data()["exact"] == 1


def test_text_that_is_not_exact_breaks_the_promise() -> None:
    """A sentence too few, twice, or a caption that is missing."""
    for spoiled in (
        Spoken(3, 2, session="s", heard=[scripted.sentence(3, 0)]),
        Spoken(3, 1, session="s", heard=[scripted.sentence(3, 0)] * 2),
        Spoken(3, 1, session="s", heard=[scripted.sentence(3, 0)], captions={"es": []}),
    ):
        assert not spoiled.exact
        assert not Figures.of([spoiled], passages(), used_s={}).kept


def test_a_late_gateway_breaks_the_promise() -> None:
    """In either direction."""
    assert not Figures.of([exact_talk()], passages(sent={"s": [9.5, 11.06]}), used_s={}).kept
    assert not Figures.of([exact_talk()], passages(results_s=[0.06]), used_s={}).kept


def test_percentiles_are_by_nearest_rank() -> None:
    """In ms; of nothing there are none."""
    found = Percentiles.of([number / 1000 for number in range(1, 101)])
    assert (found.count, found.median, found.p99, found.most) == (100, 50.0, 99.0, 100.0)
    assert math.isnan(Percentiles.of([]).p99)


def test_a_stack_has_a_stage() -> None:
    """None of the gateway's is another one."""
    assert stage_of(None) == OTHER


def test_sentences_fit_into_the_time() -> None:
    """At least one."""
    assert sentences_in(22.0) == 10
    assert sentences_in(0.1) == 1
