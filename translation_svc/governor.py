"""Keeps a voice close to the speaker: how the texts that wait to be spoken are spoken, or not at all. Pure.

It imagines a listener who plays all clips back to back. While that one is busy for long, a text waits, and
is spoken some seconds before its turn, when it is known what else has come. The further the voice is behind,
the more is done:

    pauses are shortened, then the pace is raised, then texts are merged into one clip, then texts are skipped

*Pressure* says how far behind it is: how long the newest text will have waited when its voice begins, as a
share of how long it may wait. Times are s on one monotonic clock, lengths of text are characters.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

VOICE_LAG_S: Final = 8.0
"""How late a voice may begin, unless a deployment wants it otherwise."""
MAX_PACE: Final = 1.25
GRACE_S: Final = 2.0
"""A text whose speech was recognised late may wait for so long all the same: the voice is not to blame, and
one that never spoke would be no help."""
MAX_MERGED_TEXTS: Final = 3
MAX_MERGED_CHARACTERS: Final = 200
MAX_WAIT_UNPLAYED_S: Final = 60.0
"""What an owner says is still to be heard counts up to so much; more is a clock that jumped."""

_PAUSES_FROM, _PAUSES_FULL = 0.05, 0.25
_PACE_FROM, _PACE_FULL = 0.15, 0.6
_MERGE_FROM = 0.6
_LONGEST_PAUSE_S, _SHORTEST_PAUSE_S = 0.4, 0.08
_STEP_UP, _STEP_DOWN, _DEAD_BAND = 0.08, 0.04, 0.04
_LEAD, _MAX_LEAD = 0.3, 0.75
"""A clip is made as soon as its turn is nearer than so much of the bound, sooner by a slow engine: clients
have it in hand early, and while the voice is so close, nothing would be decided better later."""
_MARGIN = 1.25
"""A merged text is taken to begin as late as if what is before it took so much longer than expected."""
_KNOWN_TEXT, _KNOWN_S = 60.0, 4.0
"""What is believed of a voice that has not spoken yet: 15 characters a second."""
_FORGET = 0.85
_SMOOTHING = 0.3


@dataclass(frozen=True, slots=True)
class Text:
    """Something to say: when its speech ended, when it came here, and how long it is."""

    ended_s: float
    arrived_s: float
    characters: int


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do before `until_s`, unless another text comes."""

    until_s: float


@dataclass(frozen=True, slots=True)
class Skip:
    """The first text is too late to be spoken."""


@dataclass(frozen=True, slots=True)
class Say:
    """The first `texts` texts go into one clip, spoken `pace` times as quickly as usual; pauses in it are cut
    to `longest_pause_s`, if that is given.
    """

    texts: int
    pace: float
    longest_pause_s: float | None


Move: TypeAlias = Rest | Skip | Say


@dataclass(frozen=True, slots=True)
class Governor:
    """One language's voice: what it has said and how it goes on."""

    bound_s: float
    """A voice begins at most so long after the end of its speech; 0 for all of it at once and as it is."""
    free_s: float = float("-inf")
    """When a listener who plays everything back to back has heard all of it."""
    pace: float = 1.0
    """Of the last clip."""
    synthesis_s: float = 0.0
    """How long making a clip takes, smoothed."""
    spoken: float = _KNOWN_TEXT
    """Text that was spoken, older clips counting less and less …"""
    spoken_s: float = _KNOWN_S
    """… and how long it was to be heard at the usual pace."""

    def resumed(self, *, now_s: float, unplayed_s: float) -> "Governor":
        """As it is when so much of an earlier stream's voice is still to be heard."""
        return replace(self, free_s=max(self.free_s, now_s + min(max(unplayed_s, 0.0), MAX_WAIT_UNPLAYED_S)))

    def latest_start_s(self, text: Text) -> float:
        """When the voice of a text begins at the latest."""
        return max(text.ended_s + self.bound_s, text.arrived_s + GRACE_S)

    def expected_s(self, text: Text) -> float:
        """How long a text will be heard at the usual pace."""
        return text.characters * self.spoken_s / self.spoken

    def decide(self, waiting: Sequence[Text], *, now_s: float, hurry: bool = False) -> Move:
        """What to do with the texts that wait, oldest first, at least one. In a `hurry`, because no more will
        come, there is no rest.
        """
        if not self.bound_s:
            return Say(1, 1.0, None)
        start_s = max(self.free_s, now_s + self.synthesis_s)
        if start_s > self.latest_start_s(waiting[0]):
            return Skip()
        lead_s = min(_LEAD * self.bound_s + 2 * self.synthesis_s, _MAX_LEAD * self.bound_s)
        if self.free_s - lead_s > now_s and not hurry:
            return Rest(self.free_s - lead_s)
        pressure = self.pressure(waiting, start_s=start_s)
        pace = next_pace(self.pace, pressure, least=self._least_pace(waiting[0], start_s=start_s))
        return Say(
            texts=self._mergeable(waiting, start_s=start_s, pace=pace) if pressure >= _MERGE_FROM else 1,
            pace=pace,
            longest_pause_s=longest_pause_s(pressure),
        )

    def pressure(self, waiting: Sequence[Text], *, start_s: float) -> float:
        """0 when the newest text begins as soon as it came, 1 when it just may if all goes on at the usual
        pace, more when it is going to be too late.
        """
        newest = waiting[-1]
        begins_s = start_s + sum(map(self.expected_s, waiting[:-1]))
        room_s = self.latest_start_s(newest) - newest.arrived_s
        return max(0.0, begins_s - newest.arrived_s) / room_s

    def in_time(self, text: Text, *, now_s: float) -> bool:
        """Whether a clip that is ready now begins early enough for the first of its texts."""
        return not self.bound_s or max(self.free_s, now_s) <= self.latest_start_s(text)

    def said(
        self, say: Say, *, characters: int, duration_s: float, took_s: float, now_s: float
    ) -> "Governor":
        """After a clip that is ready now and took so long to make."""
        return replace(
            self.tried(took_s),
            free_s=max(self.free_s, now_s) + duration_s,
            pace=say.pace,
            spoken=self.spoken * _FORGET + characters if duration_s > 0 else self.spoken,
            spoken_s=self.spoken_s * _FORGET + duration_s * say.pace if duration_s > 0 else self.spoken_s,
        )

    def tried(self, took_s: float) -> "Governor":
        """After the making of a clip that is not going to be heard."""
        return replace(self, synthesis_s=self.synthesis_s + _SMOOTHING * (took_s - self.synthesis_s))

    def _least_pace(self, text: Text, *, start_s: float) -> float:
        """The pace at which a text that comes right after a long one need not be skipped."""
        return self.expected_s(text) / max(self.latest_start_s(text) - start_s, GRACE_S)

    def _mergeable(self, waiting: Sequence[Text], *, start_s: float, pace: float) -> int:
        """How many texts go into one clip so that none of them begins too late."""
        count, characters = 1, waiting[0].characters
        begins_s = start_s
        for before, text in itertools.pairwise(waiting[:MAX_MERGED_TEXTS]):
            characters += text.characters
            begins_s += self.expected_s(before) / pace * _MARGIN
            if characters > MAX_MERGED_CHARACTERS or begins_s > self.latest_start_s(text):
                break
            count += 1
        return count


def next_pace(pace: float, pressure: float, *, least: float = 1.0) -> float:
    """The pace after one of `pace`: in small steps, unless there is no time for that or it would be under
    `least`. It goes down only when that is worth it, so that it does not wobble.
    """
    least = min(max(least, 1.0), MAX_PACE)
    wanted = 1.0 + (MAX_PACE - 1.0) * _ramp(pressure, _PACE_FROM, _PACE_FULL)
    if wanted >= pace:
        stepped = MAX_PACE if pressure >= 1 else min(wanted, pace + _STEP_UP)
    elif wanted > 1.0 and wanted > pace - _DEAD_BAND:
        stepped = pace
    else:
        stepped = max(wanted, pace - _STEP_DOWN)
    return round(max(stepped, least), 3)


def longest_pause_s(pressure: float) -> float | None:
    """How long a pause in a clip may be; None when there is no need to cut any."""
    if pressure <= _PAUSES_FROM:
        return None
    shorter = _ramp(pressure, _PAUSES_FROM, _PAUSES_FULL) * (_LONGEST_PAUSE_S - _SHORTEST_PAUSE_S)
    return round(_LONGEST_PAUSE_S - shorter, 3)


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high`, straight in between."""
    return min(max((value - low) / (high - low), 0.0), 1.0)
