"""From records to messages."""

from hypothesis import given
from hypothesis import strategies as st

from babelcast.errors import RateLimitExceeded
from babelcast.event.v1 import event_pb2 as event
from babelcast.protocol import server_messages as say
from babelcast.session.v1 import session_pb2 as api
from babelcast.transcription.v1 import transcription_pb2 as stt
from gateway import messages

audiences = st.dictionaries(st.sampled_from(["en", "es", "fr", "pt"]), st.integers(1, 40)).map(
    lambda languages: api.Audience(listener_count=sum(languages.values()), languages=languages)
)


@given(audiences, audiences)
def test_a_speaker_hears_of_what_is_news(before: api.Audience, after: api.Audience) -> None:
    """A language that was not there, or a count that moved by more than a tenth; else nothing."""
    moved = abs(after.listener_count - before.listener_count) / (before.listener_count or 0.1)
    expected = None
    if moved > 0.1:
        expected = "listenerCountChange"
    if set(after.languages) - set(before.languages):
        expected = "newLanguage"
    assert messages.status_reason(before, after) == expected


def test_a_tenth_is_not_more_than_a_tenth() -> None:
    """From 10 to 11 is quiet, from 10 to 12 is not, and the first and the last listener are always news."""

    def reason(before: int, after: int) -> str | None:
        made = [api.Audience(listener_count=n, languages={"es": n} if n else {}) for n in (before, after)]
        return messages.status_reason(*made)

    assert reason(10, 11) is None
    assert reason(10, 9) is None
    assert reason(10, 12) == "listenerCountChange"
    assert reason(1, 0) == "listenerCountChange"
    assert reason(0, 1) == "newLanguage"
    assert reason(0, 0) is None


def test_one_control_has_its_own_notice_and_several_share_one() -> None:
    """Listeners are told by the notice that fits, and not at all when nothing they hear changed."""

    def told(**after: object) -> type[say.ServerMessage] | None:
        before = api.BroadcastState(is_active=True, volume=1.0)
        changed = api.BroadcastState(is_active=True, volume=1.0)
        for name, value in after.items():
            setattr(changed, name, value)
        made = messages.state_notice("golden-eagle-427", before=before, after=changed, now_ms=1)
        return None if made is None else type(made)

    assert told() is None
    assert told(last_change_ms=9) is None
    assert told(is_paused=True) is say.BroadcastPaused
    assert told(is_muted=True) is say.BroadcastMuted
    assert told(volume=0.5) is say.VolumeChanged
    assert told(is_paused=True, is_muted=True) is say.SpeakerStateChanged


def test_every_issue_has_a_name_and_advice() -> None:
    """All issues of the contract can be told, and cleared."""
    for issue in stt.QualityIssue.values():
        if issue == stt.QUALITY_ISSUE_UNSPECIFIED:
            continue
        warning = messages.quality(
            stt.QualityEvent(issue=issue, active=True, measurements={"snr_db": 12.34567}), now_ms=5
        )
        assert isinstance(warning, say.AudioQualityWarning)
        assert warning.details == {"snrDb": 12.346}
        assert warning.message
        cleared = messages.quality(stt.QualityEvent(issue=issue, active=False), now_ms=5)
        assert cleared == say.AudioQualityOk(issue=warning.issue, timestamp=5)


def test_opus_falls_back_to_pcm_where_none_was_made() -> None:
    """Who joins with Opus in the middle gets PCM for sentences that were spoken before."""
    spoken = event.TranslatedAudio(sequence=1, pcm=b"\1\2", duration_ms=10)
    message, audio = messages.translated_audio("es", spoken, opus=True, inline=True, now_ms=5)
    assert (message.format, audio) == ("pcm", b"\1\2")
    spoken.opus = b"OggS"
    message, audio = messages.translated_audio("es", spoken, opus=True, inline=False, now_ms=5)
    assert (message.format, audio) == ("opus", b"OggS")


def test_an_error_tells_what_the_client_can_use() -> None:
    """Code, action, details with retryAfter, and an id to look for in the logs."""
    made = messages.error(
        RateLimitExceeded("audio chunks", retry_after_s=0.25), action="sendAudio", request_id="r1", now_ms=7
    )
    assert (made.code, made.action, made.request_id, made.timestamp) == (
        "RATE_LIMIT_EXCEEDED",
        "sendAudio",
        "r1",
        7,
    )
    assert made.details == {"retryAfter": 0.25}
    assert len(made.correlation_id) == 16
