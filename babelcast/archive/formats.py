"""Transcripts as files: text, SubRip, WebVTT and JSON. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from babelcast.archive.base import Entry, Talk
from babelcast.archive.cues import Cue, clean, cues, is_right_to_left

RIGHT_TO_LEFT_MARK: Final = "\u200f"
_NOT_A_TAG: Final = "\u200b"  # no width: keeps players from taking text for mark-up


@dataclass(frozen=True, slots=True)
class Transcript:
    """One language of a talk."""

    talk: Talk
    language: str
    languages: Sequence[str]
    """All that there are."""
    ended_ms: int | None
    """Epoch ms; None while it is on."""
    entries: Sequence[Entry]


CONTENT_TYPES: Final[Mapping[str, str]] = {
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "json": "application/json",
}


def render(transcript: Transcript, form: str) -> bytes:
    """The file. Raises: KeyError when there is no such form."""
    return _RENDERERS[form](transcript)


def file_name(transcript: Transcript, form: str) -> str:
    """What to save it as."""
    return f"{transcript.talk.session_id}-{transcript.language}.{form}"


def text(transcript: Transcript) -> bytes:
    """A sentence a line."""
    lines = (" ".join(clean(entry.text).split()) for entry in transcript.entries)
    return "".join(f"{_mark(transcript)}{line}\n" for line in lines if line).encode()


def subrip(transcript: Transcript) -> bytes:
    """SRT: UTF-8, lines end with CR LF. It has no way to escape, so what players take for mark-up gets a sign
    without width in it.
    """
    blocks = (
        "".join(
            f"{line}\r\n"
            for line in (
                str(number),
                f"{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}",
                *(_mark(transcript) + _plain(line) for line in cue.lines),
                "",
            )
        )
        for number, cue in enumerate(cues(transcript.entries), 1)
    )
    return "".join(blocks).encode()


def webvtt(transcript: Transcript) -> bytes:
    """WebVTT (W3C). Each cue's id is its segment and its part of that."""
    blocks = [f"WEBVTT\nKind: captions\nLanguage: {transcript.language}\n"]
    numbers: dict[int, int] = {}
    for cue in cues(transcript.entries):
        part = numbers[cue.segment] = numbers.get(cue.segment, 0) + 1
        blocks.append(_vtt_cue(transcript, cue, part))
    return "\n".join(blocks).encode()


def json(transcript: Transcript) -> bytes:
    """As docs/transcripts.md has it. Times in s of the talk, moments in epoch ms."""
    talk = transcript.talk
    return msgspec.json.encode(
        {
            "sessionId": talk.session_id,
            "language": transcript.language,
            "sourceLanguage": talk.source,
            "direction": "rtl" if is_right_to_left(transcript.language) else "ltr",
            "languages": list(transcript.languages),
            "createdAt": talk.created_ms,
            "endedAt": transcript.ended_ms,
            "segments": [
                {
                    "segmentId": str(entry.segment),
                    "revision": entry.revision,
                    "startTime": entry.start_ms / 1000,
                    "endTime": entry.end_ms / 1000,
                    "text": entry.text,
                    "sourceText": entry.source_text or entry.text,
                    "timestamp": entry.kept_ms,
                }
                for entry in transcript.entries
            ],
        }
    )


_RENDERERS: Final = {"txt": text, "srt": subrip, "vtt": webvtt, "json": json}


def _vtt_cue(transcript: Transcript, cue: Cue, part: int) -> str:
    lines = "\n".join(_mark(transcript) + _escaped(line) for line in cue.lines)
    times = f"{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}"
    return f"{cue.segment}.{part}\n{times}\n{lines}\n"


def _mark(transcript: Transcript) -> str:
    """Lines of a language written from right to left say so, whatever they begin with."""
    return RIGHT_TO_LEFT_MARK if is_right_to_left(transcript.language) else ""


def _escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(line: str) -> str:
    line = line.replace("-->", f"--{_NOT_A_TAG}>")
    return re.sub(r"<(?=[A-Za-z/])|\{(?=[\\A-Za-z])", lambda found: found[0] + _NOT_A_TAG, line)


def _time(moment_ms: int, sign: str) -> str:
    seconds, ms = divmod(moment_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{sign}{ms:03}"
