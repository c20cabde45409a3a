"""What of an engine's results goes out."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription_svc.delivery import PARTIALS_PER_SECOND, Delivered, Delivery, changed_share
from transcription_svc.engines.base import SegmentResult


def result(text: str, *, segment: int = 0, stable: str = "", final: bool = False) -> SegmentResult:
    """A result as an engine gives it."""
    return SegmentResult(
        segment=segment,
        revision=99,
        text=text,
        stable_text=text if final else stable,
        is_final=final,
        stability=1.0,
        start=0,
        end=1,
    )


def test_of_too_many_partials_the_newest_waits() -> None:
    """Five go at once; of the next two the newer goes when the first is a second old."""
    delivery = Delivery(partial_results=True)
    sent = [delivery.offer(result(f"w{n}"), 10.0 + n / 100) for n in range(7)]
    assert [bool(each) for each in sent] == [True] * 5 + [False] * 2
    assert delivery.due_s == 11.0
    assert delivery.release(10.99) is None
    later = delivery.release(11.0)
    assert later is not None
    assert (later.result.text, later.result.revision) == ("w6", 5)
    assert delivery.due_s is None
    assert delivery.release(12.0) is None


def test_finals_pass_and_clear_what_waits() -> None:
    """A final result goes out whatever went before, and the partial that waited does not follow it."""
    delivery = Delivery(partial_results=True)
    for n in range(7):
        delivery.offer(result(f"w{n}"), 10.0)
    final = delivery.offer(result("all", final=True), 10.1)
    assert final is not None
    assert final.result.revision == 5
    assert delivery.release(20.0) is None


def test_without_partial_results_only_finals_go_out() -> None:
    """The wish of the session holds for every engine."""
    delivery = Delivery(partial_results=False)
    assert delivery.offer(result("so"), 0.0) is None
    final = delivery.offer(result("so my", final=True), 0.1)
    assert final is not None
    assert (final.result.revision, final.changed) == (0, 0.0)


def test_stable_text_is_not_taken_back() -> None:
    """A partial result that contradicts stable text is not shown."""
    delivery = Delivery(partial_results=True)
    assert delivery.offer(result("so my", stable="so my"), 0.0)
    assert delivery.offer(result("so me", stable="so"), 0.1) is None
    assert delivery.offer(result("so my fellow", stable="so my"), 0.2)


@pytest.mark.parametrize(
    ("shown", "final", "share"),
    [
        ("to mute or", "To mute or unmute yourself.", 0.0),
        ("to mute yourself when you", "To mute yourself.", 0.0),
        ("drop the two", "Drop the tube.", 1 / 3),
        ("one two three four", "one two tree four", 1 / 4),
        ("what", "Done", 1.0),
        ("今天天气好", "今天天汽好。", 1 / 5),
        ("", "word", 0.0),
        ("word", "", 0.0),
    ],
)
def test_changed_share(shown: str, final: str, share: float) -> None:
    """Changed words count; words that follow in either text do not."""
    assert changed_share(shown, final) == pytest.approx(share)


def test_a_correction_changes_more_than_a_fifth() -> None:
    """A fifth of the words may change before it counts."""
    delivery = Delivery(partial_results=True)
    delivery.offer(result("a b c d e"), 0.0)
    fifth = delivery.offer(result("a b c d x", final=True), 0.1)
    delivery.offer(result("a b c d e", segment=1), 0.2)
    more = delivery.offer(result("a b c y x", segment=1, final=True), 0.3)
    assert fifth is not None
    assert not fifth.corrects
    assert more is not None
    assert more.corrects


@given(
    st.lists(
        st.tuples(st.sampled_from(["partial", "partial", "partial", "final", "wait"]), st.integers(0, 400)),
        max_size=60,
    )
)
def test_what_goes_out_keeps_the_rules(steps: list[tuple[str, int]]) -> None:
    """Never more than five partials in a second, every final at once, revisions and order without gaps."""
    delivery = Delivery(partial_results=True)
    now, segment = 0.0, 0
    out: list[tuple[float, Delivered]] = []
    finals = 0
    for count, (kind, wait_ms) in enumerate(steps):
        now += wait_ms / 1000
        if kind == "wait":
            sent = delivery.release(now)
        else:
            sent = delivery.offer(result(f"w{count}", segment=segment, final=kind == "final"), now)
        if kind == "final":
            assert sent is not None
            assert sent.result.is_final
            finals += 1
            segment += 1
        if sent is not None:
            out.append((now, sent))
    assert sum(sent.result.is_final for _, sent in out) == finals
    partials = [at for at, sent in out if not sent.result.is_final]
    for first, sixth in zip(partials, partials[PARTIALS_PER_SECOND:], strict=False):
        assert sixth - first >= 1.0
    shown = [int(sent.result.text[1:]) for _, sent in out]
    assert shown == sorted(shown)
    for _, group in itertools.groupby(out, key=lambda each: each[1].result.segment):
        revisions = [sent.result.revision for _, sent in group]
        assert revisions == list(range(len(revisions)))
