"""Delays measured from the sound."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

from babelcast.client import Voice
from babelcast.protocol.server_messages import Caption, Transcript
from babelcast.wav import Sound
from bench import latency, measures
from bench.measures import Delay, Span, Summary
from bench.talk import Heard, Talk
from tests.unit.babelcast.client.canned_server import make_voice

RATE_HZ = 16_000


def noise(seconds: float, *, level: float) -> bytes:
    """White noise of a level."""
    samples = np.random.default_rng(1).normal(0, level, int(RATE_HZ * seconds))
    return bytes(samples.clip(-32_000, 32_000).astype("<i2").tobytes())


# a second of quiet, two of speech, one of quiet, one of speech, one of quiet
SPEECH = Sound(
    b"".join(
        noise(seconds, level=level) for seconds, level in ((1, 20), (2, 3_000), (1, 20), (1, 3_000), (1, 20))
    ),
    RATE_HZ,
)


def transcript(segment: str, start_s: float, end_s: float) -> Transcript:
    """A final transcript."""
    return Transcript(
        segment_id=segment,
        revision=1,
        text="x",
        stable_text="x",
        is_final=True,
        stability=1,
        start_time=start_s,
        end_time=end_s,
    )


def voice(number: int) -> Voice:
    """A spoken sentence with segment id s1, s2, ..."""
    return Voice(make_voice(number), b"")


def caption(segment: str) -> Caption:
    """A tentative caption."""
    return Caption(
        segment_id=segment, revision=0, target_language="es", text="x", source_text="", is_final=False
    )


def test_the_sound_itself_says_when_somebody_spoke() -> None:
    """Late or padded times of the service are corrected to the speech in the sound."""
    talk = Talk(transcripts=[(4.0, transcript("s1", 0.8, 3.4)), (6.0, transcript("s2", 4.2, 5.3))])
    spoken = measures.spans(talk, measures.activity(SPEECH))
    assert spoken["s1"].start_s == pytest.approx(1.0, abs=0.05)
    assert spoken["s1"].end_s == pytest.approx(3.0, abs=0.05)
    assert spoken["s2"].start_s == pytest.approx(4.0, abs=0.05)
    assert spoken["s2"].end_s == pytest.approx(5.0, abs=0.05)


def test_a_cut_within_speech_keeps_the_service_s_times() -> None:
    """Where speech goes on, the sentence ends where the service cut, and the next begins there."""
    talk = Talk(transcripts=[(2.5, transcript("s1", 1.0, 2.0)), (4.0, transcript("s2", 2.0, 3.0))])
    spoken = measures.spans(talk, measures.activity(SPEECH))
    assert spoken["s1"].end_s == pytest.approx(2.0, abs=0.03)
    assert spoken["s2"].start_s == pytest.approx(2.0, abs=0.03)


def test_lags_count_from_the_end_and_captions_from_the_first_word() -> None:
    """Each voice once, each sentence's first caption once; unknown sentences are left out."""
    spoken = {"s1": Span(1.0, 3.0), "s2": Span(4.0, 5.0)}
    heard = Heard("es")
    heard.voices += [(3.5, voice(1)), (5.7, voice(2)), (9.0, voice(3))]
    heard.captions += [(2.2, caption("s1")), (2.9, caption("s1")), (5.0, caption("s2"))]
    assert [round(lag.delay_s, 3) for lag in measures.voice_lags(heard, spoken)] == [0.5, 0.7]
    assert [round(lag.delay_s, 3) for lag in measures.first_captions(heard, spoken)] == [1.2, 1.0]


def test_what_is_spoken_together_is_spoken() -> None:
    """All segments of a voice count, not only its first."""
    heard = Heard(
        "es", voices=[(1.0, voice(1)), (2.0, Voice(replace(make_voice(2), segment_ids=["s2", "s3"]), b""))]
    )
    assert measures.voiced(heard) == {"s1", "s2", "s3"}


def test_a_summary_is_nearest_rank() -> None:
    """Of 20 delays the 19th is the p95."""
    summary = Summary.of(float(number) for number in range(1, 21))
    assert (summary.count, summary.median_s, summary.p95_s, summary.most_s) == (20, 10.5, 19.0, 20.0)
    assert math.isnan(Summary.of([]).median_s)


def test_growth_compares_the_last_third_with_the_first() -> None:
    """A lag that grows is seen, one that does not is not."""
    growing = [Delay(float(at_s), 0.5 + at_s / 10) for at_s in range(9)]
    assert measures.growth_s(growing) == pytest.approx(0.6)
    assert measures.growth_s([Delay(float(at_s), 0.5) for at_s in range(9)]) == 0
    assert math.isnan(measures.growth_s(growing[:2]))
    assert [minute for minute, _ in measures.per_minute([Delay(59, 1), Delay(61, 1)])] == [0, 1]


def test_speech_is_repeated_for_as_long_as_asked() -> None:
    """At least so long, once when nothing is asked; different rates do not mix."""
    second = Sound(bytes(32_000), RATE_HZ)
    assert measures.repeated([second], seconds=0, pause_s=0.5).seconds == 1.5
    assert measures.repeated([second, second], seconds=8, pause_s=0.5).seconds == 9
    with pytest.raises(ValueError, match="sample rates"):
        measures.repeated([second, Sound(b"", 8_000)], seconds=1)


def test_a_report_names_what_falls_short() -> None:
    """Sentences that nobody heard and captions that come late are told."""
    talk = Talk(
        transcripts=[(4.0, transcript("s1", 0.8, 3.4)), (6.0, transcript("s2", 4.2, 5.3))],
        listeners=[Heard("es", captions=[(3.9, caption("s1"))], voices=[(3.6, voice(1))])],
    )
    report = latency.report([talk], SPEECH, refused="INTERNAL_ERROR", tried=True)
    assert (report.sentences, report.lost, report.voice.count) == (2, 1, 1)
    assert report.stages_ms == {"transcribed": 1, "translated": 1, "synthesized": 1, "sent": 1}
    assert report.shortfalls() == [
        "first captions come too late",
        "sentences were not spoken",
        "one session more was refused with INTERNAL_ERROR",
    ]


def test_silence_has_no_speech() -> None:
    """Sound shorter than a frame has no frames."""
    assert measures.activity(Sound(b"", RATE_HZ)) == []
