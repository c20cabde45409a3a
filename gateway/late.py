"""What those who come late are shown of what was said before. Pure, but for asking the archive."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from babelcast.archive.base import Archive, Entry, Talk
from babelcast.errors import ServiceUnavailable
from babelcast.event.v1.event_pb2 import Broadcast, Caption, Transcript

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Earlier:
    """The final texts of a language since a moment, epoch ms."""

    archive: Archive
    talk: Talk
    language: str
    since_ms: int

    async def kept(self) -> list[Broadcast]:
        """Those that are kept; none while they cannot be read, since a talk is worth joining without."""
        try:
            entries = await self.archive.read(self.talk, self.language)
        except ServiceUnavailable:
            log.warning("what was said cannot be shown to those who come late")
            return []
        return [
            as_published(entry, self.talk, self.language)
            for entry in entries
            if entry.kept_ms >= self.since_ms
        ]


def as_published(entry: Entry, talk: Talk, language: str) -> Broadcast:
    """A text as its listeners got it."""
    broadcast = Broadcast(session_id=talk.session_id, language=language, timestamp_ms=entry.kept_ms)
    if language == talk.source:
        broadcast.transcript.CopyFrom(
            Transcript(
                segment=entry.segment,
                revision=entry.revision,
                text=entry.text,
                stable_text=entry.text,
                is_final=True,
                stability=1.0,
                start_ms=entry.start_ms,
                end_ms=entry.end_ms,
            )
        )
    else:
        broadcast.caption.CopyFrom(
            Caption(
                segment=entry.segment,
                revision=entry.revision,
                text=entry.text,
                source_text=entry.source_text,
                is_final=True,
            )
        )
    return broadcast


def final_texts(broadcasts: Iterable[Broadcast], *, since_ms: int) -> list[Broadcast]:
    """The newest final text of each segment since a moment, in order."""
    newest: dict[int, Broadcast] = {}
    for broadcast in broadcasts:
        text = _text(broadcast)
        if text is None or not text.is_final or broadcast.timestamp_ms < since_ms:
            continue
        known = newest.get(text.segment)
        if known is None or text.revision > _revision(known):
            newest[text.segment] = broadcast
    return [newest[segment] for segment in sorted(newest)]


def _text(broadcast: Broadcast) -> Transcript | Caption | None:
    match broadcast.WhichOneof("payload"):
        case "transcript":
            return broadcast.transcript
        case "caption":
            return broadcast.caption
        case _:
            return None


def _revision(broadcast: Broadcast) -> int:
    text = _text(broadcast)
    return -1 if text is None else text.revision
