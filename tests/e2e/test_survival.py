"""Transcription processes that are killed in the middle of real speech: no word is lost, none comes twice."""

import json
from pathlib import Path

import pytest

from babelcast import wav
from babelcast.pcm import silence
from bench.survival import Survived, disturbed, moments, running, taken_back
from bench.wer import edits, normalise

pytestmark = [pytest.mark.engines, pytest.mark.timeout(240)]

DATA = Path(__file__).parents[1] / "data"
PAUSE = silence(300)
# Whisper may hear one word otherwise in a sentence that was cut elsewhere.
MISHEARD = 1


def talk(times: int) -> tuple[wav.Sound, list[str]]:
    """The recording of the repository so many times, and its words; silence lets the last sentence end."""
    (recording,) = json.loads((DATA / "index.json").read_text())
    sound = wav.read(DATA / recording["file"])
    speech = wav.Sound((sound.pcm + PAUSE) * times + silence(1_000), sound.sample_rate_hz)
    return speech, normalise(recording["text"], "en") * times


def words(survived: Survived) -> list[str]:
    """The final transcript."""
    return normalise(survived.words, "en")


async def test_three_kills_in_half_a_minute_cost_no_words(tmp_path: Path) -> None:
    """The process is killed at random moments and started again: the transcript is that of the speech."""
    speech, expected = talk(3)
    async with running(tmp_path) as system:
        survived = await disturbed(system, speech, "en", moments(3, speech.seconds - 1.0, seed=4))
    assert len(survived.kills) == 3
    assert edits(expected, words(survived)) <= MISHEARD, survived.words
    assert survived.gaps() == 0
    assert taken_back(survived.talk) == 0
    assert len(survived.talk.interruptions_s) >= 3


async def test_a_second_replica_takes_over_at_once(tmp_path: Path) -> None:
    """One of two processes is killed in mid-sentence and stays dead: the other goes on within a second."""
    speech, expected = talk(1)
    async with running(tmp_path, replicas=2) as system:
        survived = await disturbed(system, speech, "en", [4.0], restart=False)
    assert len(survived.kills) == 1
    assert edits(expected, words(survived)) <= MISHEARD, survived.words
    (away_s,) = survived.talk.interruptions_s
    assert away_s < 1.0
