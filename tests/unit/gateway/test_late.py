"""What those who come late are shown."""

from babelcast.archive.base import Entry, Talk
from babelcast.archive.in_process import InProcessArchive
from babelcast.event.v1.event_pb2 import Broadcast, Caption, Checkpoint, Transcript
from gateway.late import Earlier, as_published, final_texts

TALK = Talk("golden-eagle-427", 1, "en")


def caption(segment: int, text: str, *, revision: int = 0, at_ms: int = 100, final: bool = True) -> Broadcast:
    """A caption."""
    made = Caption(segment=segment, revision=revision, text=text, is_final=final)
    return Broadcast(timestamp_ms=at_ms, caption=made)


def test_the_newest_final_text_of_each_segment_counts() -> None:
    """What comes from two places is shown once, in order; what is open, or no text, or too old is not."""
    found = final_texts(
        [
            caption(2, "two"),
            caption(1, "on"),
            Broadcast(timestamp_ms=100, checkpoint=Checkpoint()),
            caption(1, "one", revision=1),
            caption(1, "on"),
            caption(2, "two"),
            caption(3, "thr", final=False),
            caption(0, "zero", at_ms=49),
        ],
        since_ms=50,
    )
    assert [one.caption.text for one in found] == ["one", "two"]


def test_texts_are_shown_as_they_were_published() -> None:
    """The language spoken as transcript with its place, the others as captions with their original."""
    entry = Entry(3, 1, "Hola.", 100, 900, 5_000, 1, "Hello.")
    assert as_published(entry, TALK, "es") == Broadcast(
        session_id=TALK.session_id,
        language="es",
        timestamp_ms=5_000,
        caption=Caption(segment=3, revision=1, text="Hola.", source_text="Hello.", is_final=True),
    )
    assert as_published(entry, TALK, "en").transcript == Transcript(
        segment=3,
        revision=1,
        text="Hola.",
        stable_text="Hola.",
        is_final=True,
        stability=1.0,
        start_ms=100,
        end_ms=900,
    )


async def test_only_what_was_said_in_that_time_is_read() -> None:
    """Older texts stay in the archive."""
    archive = InProcessArchive(retention_s=60, clock_ms=lambda: 10_000, max_bytes=10_000)
    for segment, kept_ms in enumerate((1_000, 2_000, 3_000)):
        archive.append(TALK, "es", Entry(segment, 0, f"text {segment}", 0, 1, kept_ms))
    kept = await Earlier(archive, TALK, "es", since_ms=2_000).kept()
    assert [one.caption.segment for one in kept] == [1, 2]
