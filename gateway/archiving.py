"""What of a talk goes into the archive. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from babelcast.archive.base import Entry, Talk, newest
from babelcast.event.v1 import event_pb2 as event
from babelcast.session.v1 import session_pb2 as session_api


def talk_of(session: session_api.Session) -> Talk:
    """The name of a session's talk."""
    return Talk(session.session_id, session.created_at_ms, session.settings.source_language)


def said(transcript: event.Transcript, *, epoch: int, now_ms: int) -> Entry:
    """A final text in the language spoken."""
    return Entry(
        segment=transcript.segment,
        revision=transcript.revision,
        text=transcript.text,
        start_ms=transcript.start_ms,
        end_ms=transcript.end_ms,
        kept_ms=now_ms,
        epoch=epoch,
    )


def translated(caption: event.Caption, *, start_ms: int, end_ms: int, epoch: int, now_ms: int) -> Entry:
    """A final caption, with where its original was said."""
    return Entry(
        segment=caption.segment,
        revision=caption.revision,
        text=caption.text,
        start_ms=start_ms,
        end_ms=end_ms,
        kept_ms=now_ms,
        epoch=epoch,
        source_text=caption.source_text,
    )


def published(
    finals: Mapping[int, event.Transcript],
    captions: Mapping[str, Sequence[event.Caption]],
    *,
    source: str,
    epoch: int,
    now_ms: int,
) -> dict[str, list[Entry]]:
    """All that is on the bus, by language, as this owner would keep it. A caption of which the original is
    not on the bus any more was kept long ago.
    """
    entries = {source: [said(transcript, epoch=epoch, now_ms=now_ms) for transcript in finals.values()]}
    for language, shown in captions.items():
        entries[language] = [
            translated(
                caption,
                start_ms=finals[caption.segment].start_ms,
                end_ms=finals[caption.segment].end_ms,
                epoch=epoch,
                now_ms=now_ms,
            )
            for caption in shown
            if caption.segment in finals
        ]
    return entries


def missing(entries: Iterable[Entry], *, kept: Iterable[Entry]) -> list[Entry]:
    """Those that the owner before did not come to keep."""
    known = {entry.segment: entry.revision for entry in kept}
    return [entry for entry in newest(entries) if entry.revision > known.get(entry.segment, -1)]
