"""A voice that keeps up with its speaker."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.governor import (
    GRACE_S,
    MAX_MERGED_TEXTS,
    MAX_PACE,
    Governor,
    Rest,
    Say,
    Skip,
    Text,
    longest_pause_s,
    next_pace,
)

BOUND_S = 8.0
NATURAL = 15.0
"""Characters a second of the voice in these tests."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """`source_s` of speech after `pause_s`, recognised `delay_s` later; its translation takes `voice_s`."""

    source_s: float
    voice_s: float
    delay_s: float = 0.8
    pause_s: float = 0.0


@dataclass(slots=True)
class Heard:
    """What became of a talk: segments by their fate, lags and paces of clips, in order."""

    fates: list[tuple[int, str]] = field(default_factory=list)
    starts_s: dict[int, float] = field(default_factory=dict)
    paces: list[float] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    gaps: int = 0

    def lag_s(self, number: int) -> float:
        """From the end of a segment's speech to its voice."""
        return self.starts_s[number] - self.texts[number].ended_s

    @property
    def skipped(self) -> list[int]:
        return [number for number, fate in self.fates if fate == "skipped"]


def hold(sentences: Sequence[Sentence], *, error: float = 1.0, synthesis_s: float = 0.01) -> Heard:
    """A talk in simulated time: the lane's loop without anything around it. The voice takes `error` times as
    long as it should, so that estimates are wrong.
    """
    heard = Heard()
    now_s = 0.0
    for sentence in sentences:
        now_s += sentence.pause_s + sentence.source_s
        heard.texts.append(Text(now_s, now_s + sentence.delay_s, round(sentence.voice_s * NATURAL) or 1))
    arrivals = list(itertools.accumulate((text.arrived_s for text in heard.texts), max))
    texts = [replace(text, arrived_s=arrival) for text, arrival in zip(heard.texts, arrivals, strict=True)]
    heard.texts = texts
    governor, now_s, done = Governor(BOUND_S), 0.0, 0
    while done < len(texts):
        waiting = [text for text in texts[done:] if text.arrived_s <= now_s]
        if not waiting:
            now_s = texts[done].arrived_s
            continue
        next_s = min((text.arrived_s for text in texts[done:] if text.arrived_s > now_s), default=math.inf)
        move = governor.decide(waiting, now_s=now_s)
        if isinstance(move, Rest):
            assert move.until_s > now_s
            now_s = min(move.until_s, next_s)
        elif isinstance(move, Skip):
            heard.fates.append((done, "skipped"))
            done += 1
        else:
            said = waiting[: move.texts]
            characters = sum(text.characters for text in said)
            now_s += synthesis_s
            assert governor.in_time(said[0], now_s=now_s)
            at_s = max(governor.free_s, now_s)
            heard.gaps += governor.free_s < now_s
            for text in said:
                heard.starts_s[done] = at_s
                at_s += text.characters / NATURAL * error / move.pace
                heard.fates.append((done, "spoken" if text is said[0] else "merged"))
                done += 1
            heard.paces.append(move.pace)
            governor = governor.said(
                move,
                characters=characters,
                duration_s=characters / NATURAL * error / move.pace,
                took_s=synthesis_s,
                now_s=now_s,
            )
    return heard


def _sentences(
    *, longest: float, most_s: float = 8.0, most_delay_s: float = 3.0
) -> st.SearchStrategy[list[Sentence]]:
    """Talks whose translations take up to `longest` times as long as their speech."""
    sentence = st.builds(
        lambda source_s, ratio, delay_s, pause_s: Sentence(source_s, source_s * ratio, delay_s, pause_s),
        st.floats(0.4, most_s),
        st.floats(0.5, longest),
        st.floats(0.2, most_delay_s),
        st.floats(0.0, 1.0),
    )
    return st.lists(sentence, min_size=1, max_size=60)


@given(_sentences(longest=1.6 * 1.4), st.floats(0.8, 1.2))
def test_a_voice_begins_within_the_bound_however_long_translations_are(
    talk: list[Sentence], error: float
) -> None:
    """60 % longer, of a speaker who is 1.4 times as fast as the voice; estimates may be a fifth off."""
    heard = hold(talk, error=error)
    for number in heard.starts_s:
        assert heard.lag_s(number) <= BOUND_S + 1e-6


@given(_sentences(longest=2.3))
def test_each_sentence_is_spoken_merged_or_skipped_once_in_order(talk: list[Sentence]) -> None:
    """And a merged one follows one that is spoken."""
    heard = hold(talk)
    assert [number for number, _ in heard.fates] == list(range(len(talk)))
    fates = ["skipped", *(fate for _, fate in heard.fates)]
    assert ("skipped", "merged") not in itertools.pairwise(fates)
    starts = [heard.starts_s[number] for number in sorted(heard.starts_s)]
    assert starts == sorted(starts)


@given(_sentences(longest=2.3))
def test_the_pace_stays_within_its_limits_and_moves_in_small_steps(talk: list[Sentence]) -> None:
    """Between 1 and 1.25, and never more than 0.04 slower from clip to clip."""
    paces = [1.0, *hold(talk).paces]
    assert all(1.0 <= pace <= MAX_PACE for pace in paces)
    assert all(before - after <= 0.04 + 1e-3 for before, after in itertools.pairwise(paces))


@given(_sentences(longest=1.2, most_s=5.0, most_delay_s=1.5))
def test_nothing_is_skipped_when_there_is_room(talk: list[Sentence]) -> None:
    """A voice that would keep up at 1.2 times its pace leaves nothing out, if sentences are not too long."""
    assert hold(talk).skipped == []


def test_short_translations_are_spoken_at_their_own_pace() -> None:
    """When nothing has to wait."""
    heard = hold([Sentence(3.0, 2.5)] * 20)
    assert set(heard.paces) == {1.0}


def test_a_steady_pace_is_found_and_kept() -> None:
    """For a voice that needs 1.15 times the time: quicker, no skips, and no wobble."""
    heard = hold([Sentence(3.0, 3.45)] * 200)
    assert heard.skipped == []
    late = heard.paces[100:]
    assert max(late) - min(late) <= 0.05
    assert sum(before != after for before, after in itertools.pairwise(late)) <= 10


def test_the_worst_case_is_spoken_as_far_as_there_is_time() -> None:
    """Ten minutes of a voice that needs 1.6 times the time: most of it is heard, without a gap."""
    heard = hold([Sentence(3.0, 4.8)] * 200)
    assert 0.7 <= len(heard.starts_s) / 200 <= 0.79  # 1.25 / 1.6 is all that fits
    assert heard.gaps <= 1
    assert MAX_PACE in heard.paces


def test_what_was_recognised_late_is_still_spoken() -> None:
    """Speech that ended 20 s ago waits for GRACE_S all the same, and what then waits longer is skipped."""
    governor = Governor(BOUND_S)
    late = Text(ended_s=0.0, arrived_s=20.0, characters=30)
    assert isinstance(governor.decide([late], now_s=20.0), Say)
    busy = governor.resumed(now_s=20.0, unplayed_s=GRACE_S + 0.1)
    assert isinstance(busy.decide([late], now_s=20.0), Skip)


def test_a_text_rests_until_shortly_before_its_turn_unless_in_a_hurry() -> None:
    """Then it is known what else has come."""
    governor = Governor(BOUND_S).resumed(now_s=10.0, unplayed_s=0.8 * BOUND_S)
    text = Text(9.5, 10.0, 30)
    move = governor.decide([text], now_s=10.0)
    assert isinstance(move, Rest)
    assert move.until_s == pytest.approx(10.0 + 0.5 * BOUND_S)
    assert isinstance(governor.decide([text], now_s=move.until_s), Say)
    assert isinstance(governor.decide([text], now_s=10.0, hurry=True), Say)


def test_a_slow_engine_is_asked_earlier() -> None:
    """By what it took before."""
    quick = Governor(BOUND_S, free_s=20.0)
    slow, slower = replace(quick, synthesis_s=1.0), replace(quick, synthesis_s=4.0)
    text = Text(13.0, 13.5, 30)
    rests = [governor.decide([text], now_s=13.5) for governor in (quick, slow, slower)]
    found = [20.0 - rest.until_s for rest in rests if isinstance(rest, Rest)]
    assert found == pytest.approx([0.3 * BOUND_S, 0.3 * BOUND_S + 2.0, 0.75 * BOUND_S])


def test_several_texts_are_merged_under_pressure_only() -> None:
    """At most MAX_MERGED_TEXTS, and none that would begin too late in the clip."""
    behind = Governor(BOUND_S, free_s=15.0)
    short = [Text(9.0 + number, 10.0 + number, 15) for number in range(5)]
    move = behind.decide(short, now_s=14.9)
    assert isinstance(move, Say)
    assert move.texts == MAX_MERGED_TEXTS
    long = [Text(9.0, 10.0, 90), Text(9.1, 10.1, 90)]
    move = behind.decide(long, now_s=14.9)
    assert isinstance(move, Say)
    assert move.texts == 1
    move = Governor(BOUND_S).decide([Text(9.0, 10.0, 15), Text(9.1, 10.0, 15)], now_s=10.0)
    assert isinstance(move, Say)
    assert move.texts == 1


def test_what_a_voice_needs_is_learnt() -> None:
    """Whatever pace it is asked for."""
    governor = Governor(BOUND_S)
    say = Say(1, 1.25, None)
    for _ in range(30):
        governor = governor.said(say, characters=40, duration_s=2.0 / 1.25, took_s=0.01, now_s=0.0)
    assert governor.expected_s(Text(0, 0, 20)) == pytest.approx(1.0, rel=0.02)
    silent = governor.said(say, characters=3, duration_s=0.0, took_s=0.01, now_s=0.0)
    assert silent.expected_s(Text(0, 0, 20)) == governor.expected_s(Text(0, 0, 20))


def test_a_voice_without_a_bound_says_all_of_it_at_once() -> None:
    """As it is, however late."""
    free = Governor(0.0).resumed(now_s=0.0, unplayed_s=30.0)
    late = [Text(-20.0, 0.0, 100), Text(-10.0, 0.0, 100)]
    assert free.decide(late, now_s=0.0) == Say(1, 1.0, None)
    assert free.in_time(late[0], now_s=0.0)


def test_a_clock_that_jumped_is_not_believed() -> None:
    """An owner's hour of unplayed voice is a minute at most, and less than nothing is nothing."""
    governor = Governor(BOUND_S)
    assert governor.resumed(now_s=5.0, unplayed_s=3_600.0).free_s == 65.0
    assert governor.resumed(now_s=5.0, unplayed_s=-1.0).free_s == 5.0


@given(st.floats(1.0, MAX_PACE), st.floats(0.0, 5.0), st.floats(0.0, 5.0))
def test_the_next_pace_is_between_the_limits(pace: float, pressure: float, least: float) -> None:
    """Whatever it was; and at most 0.08 quicker unless there is no time for that."""
    following = next_pace(pace, pressure, least=least)
    assert max(1.0, min(least, MAX_PACE)) - 1e-3 <= following <= MAX_PACE
    if pressure < 1:
        assert following - pace <= 0.08 + 1e-3 or following == pytest.approx(min(least, MAX_PACE), abs=1e-3)


@given(st.floats(0.0, 5.0), st.floats(0.0, 5.0))
def test_pauses_get_shorter_with_pressure(one: float, other: float) -> None:
    """And are left alone without any."""
    low, high = sorted((one, other))
    at_low, at_high = longest_pause_s(low), longest_pause_s(high)
    assert longest_pause_s(0.0) is None
    if at_low is not None:
        assert at_high is not None
        assert 0.08 <= at_high <= at_low <= 0.4
