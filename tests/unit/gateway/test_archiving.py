"""What a new owner keeps of what was published before it."""

from babelcast.archive.base import Entry
from babelcast.event.v1.event_pb2 import Caption, Transcript
from gateway.archiving import missing, published


def entry(segment: int, revision: int = 0, *, epoch: int = 1) -> Entry:
    """A text."""
    return Entry(segment, revision, f"{segment}.{revision}", 0, 1, 1, epoch)


def test_what_is_kept_is_not_kept_again() -> None:
    """Only segments that are not there, and newer revisions, are."""
    found = missing(
        [entry(1), entry(2), entry(2, 1), entry(3, 4), entry(4)],
        kept=[entry(1), entry(2), entry(3, 5, epoch=2)],
    )
    assert found == [entry(2, 1), entry(4)]


def test_captions_stand_where_their_original_was_said() -> None:
    """A caption takes its place from the transcript of its segment; one without was kept long ago."""
    finals = {1: Transcript(segment=1, revision=2, text="Hello.", start_ms=100, end_ms=900, is_final=True)}
    captions = {
        "es": [
            Caption(segment=0, text="¿Qué?", is_final=True),
            Caption(segment=1, revision=2, text="Hola.", source_text="Hello.", is_final=True),
        ]
    }
    assert published(finals, captions, source="en", epoch=3, now_ms=7) == {
        "en": [Entry(1, 2, "Hello.", 100, 900, 7, 3)],
        "es": [Entry(1, 2, "Hola.", 100, 900, 7, 3, "Hello.")],
    }
