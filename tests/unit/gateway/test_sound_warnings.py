"""One warning per issue a minute, then the all-clear."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.session.v1 import session_pb2 as session_api
from babelcast.transcription.v1 import transcription_pb2 as api
from gateway.sound_warnings import CONFIRM_MS, REPEAT_MS, SoundWarnings

NOISE, SILENCE = api.QUALITY_ISSUE_SNR_LOW, api.QUALITY_ISSUE_SILENCE
OPEN = session_api.BroadcastState(is_active=True, volume=1.0)


class Talk:
    """A talk whose audio comes ten times a second."""

    def __init__(self) -> None:
        self.warnings = SoundWarnings()
        self.now_ms = 0
        self.told: list[tuple[int, int, bool]] = []

    def run(self, seconds: float, state: session_api.BroadcastState = OPEN) -> list[bool]:
        """Let audio come; what was told meanwhile: warnings are True, all-clears False."""
        before = len(self.told)
        for _ in range(round(seconds * 10)):
            self.now_ms += 100
            self.warnings.heard(self.now_ms, state)
            self.tell(state)
        return [active for _, _, active in self.told[before:]]

    def change(self, issue: "api.QualityIssue.ValueType", *, active: bool, **measured: float) -> None:
        """The service says something."""
        self.warnings.change(api.QualityEvent(issue=issue, active=active, measurements=measured))

    def tell(self, state: session_api.BroadcastState = OPEN) -> None:
        """Note what is due."""
        for event in self.warnings.due(self.now_ms, state):
            self.told.append((self.now_ms, event.issue, event.active))


@pytest.fixture
def talk() -> Talk:
    """A talk under way."""
    made = Talk()
    made.run(10)
    return made


def test_a_warning_comes_at_once_and_once_a_minute(talk: Talk) -> None:
    """An issue that comes and goes is told and cleared once, and told again after a minute if it is there."""
    talk.change(NOISE, active=True)
    assert talk.run(1) == [True]
    talk.change(NOISE, active=False)
    assert talk.run(1) == [False]
    talk.change(NOISE, active=True)
    assert talk.run(57) == []
    assert talk.run(2) == [True]


def test_what_was_not_told_is_not_taken_back(talk: Talk) -> None:
    """An all-clear follows a warning, or there is none."""
    talk.change(NOISE, active=False)
    assert talk.run(1) == []


@pytest.mark.parametrize(
    "hushed",
    [
        session_api.BroadcastState(is_muted=True, volume=1.0),
        session_api.BroadcastState(is_paused=True, volume=1.0),
        session_api.BroadcastState(volume=0.0),
    ],
)
def test_a_mute_is_no_silence(talk: Talk, hushed: session_api.BroadcastState) -> None:
    """Silence is no fault while muted or paused; it is when it stays for 6 s after that."""
    talk.run(1, hushed)
    talk.change(SILENCE, active=True, level_dbfs=-120, threshold_dbfs=-50)
    assert talk.run(20, hushed) == []
    if hushed.is_paused:
        talk.now_ms += 5_000  # nothing comes while paused
    assert talk.run(5.5) == []
    assert talk.run(1) == [True]


def test_a_low_volume_is_no_silence(talk: Talk) -> None:
    """What the speaker turned down is judged as the microphone gave it."""
    talk.change(SILENCE, active=True, level_dbfs=-55, threshold_dbfs=-50)
    assert talk.run(10, session_api.BroadcastState(volume=0.1)) == []
    assert talk.run(1, session_api.BroadcastState(volume=0.8)) == [True]


def test_a_new_stream_confirms_or_clears(talk: Talk) -> None:
    """What the new stream does not find again has cleared; what it finds stays told."""
    talk.change(NOISE, active=True)
    talk.change(api.QUALITY_ISSUE_ECHO, active=True)
    assert talk.run(1) == [True, True]
    talk.warnings.reopened(talk.now_ms)
    talk.change(NOISE, active=True)
    assert talk.run(CONFIRM_MS / 1000 + 1) == [False]
    assert talk.told[-1][1] == api.QUALITY_ISSUE_ECHO


def test_what_the_last_stream_heard_is_not_told_of_the_new_one(talk: Talk) -> None:
    """An issue that was not told when its stream ended is told when the new stream finds it, or never."""
    talk.run(1, session_api.BroadcastState(is_muted=True, volume=1.0))
    talk.change(SILENCE, active=True, level_dbfs=-120, threshold_dbfs=-50)
    talk.now_ms += 60_000
    talk.warnings.reopened(talk.now_ms)
    assert talk.run(30) == []
    talk.change(SILENCE, active=True, level_dbfs=-120, threshold_dbfs=-50)
    assert talk.run(1) == [True]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 90)), max_size=30))
def test_never_two_in_a_minute(steps: Sequence[tuple[bool, int]]) -> None:
    """However an issue flickers, warnings are a minute apart, and all-clears stand between them."""
    talk = Talk()
    for active, seconds in steps:
        talk.change(NOISE, active=active)
        talk.run(seconds)
    warned = [at for at, _, active in talk.told if active]
    assert all(later - earlier >= REPEAT_MS for earlier, later in pairwise(warned))
    assert [active for _, _, active in talk.told] == [number % 2 == 0 for number in range(len(talk.told))]
