"""Transcripts as files, to the letter."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from babelcast.archive.base import Entry, Talk
from babelcast.archive.formats import CONTENT_TYPES, Transcript, file_name, render

TALK = Talk("golden-eagle-427", 1_700_000_000_000, "en")


def transcript(*texts: str, language: str = "es") -> Transcript:
    """A sentence every two seconds."""
    entries = [
        Entry(n, 0, text, 2_000 * n, 2_000 * n + 1_500, 1_700_000_005_000, 1, f"source {n}")
        for n, text in enumerate(texts)
    ]
    return Transcript(TALK, language, ["en", language], None, entries)


def test_subrip() -> None:
    """Numbers from 1, commas in the times, an empty line after each."""
    assert render(transcript("Hola.", "¿Qué tal?"), "srt").decode() == (
        "1\r\n00:00:00,000 --> 00:00:01,500\r\nHola.\r\n\r\n"
        "2\r\n00:00:02,000 --> 00:00:03,500\r\n¿Qué tal?\r\n\r\n"
    )


def test_webvtt() -> None:
    """The header with its language, dots in the times, ids of segments and parts."""
    assert render(transcript("Hola.", "¿Qué tal?"), "vtt").decode() == (
        "WEBVTT\nKind: captions\nLanguage: es\n\n"
        "0.1\n00:00:00.000 --> 00:00:01.500\nHola.\n\n"
        "1.1\n00:00:02.000 --> 00:00:03.500\n¿Qué tal?\n"
    )


def test_an_empty_webvtt_is_one() -> None:
    """A talk in which nothing was said yet has the header alone."""
    assert render(transcript(), "vtt") == b"WEBVTT\nKind: captions\nLanguage: es\n"


def test_webvtt_escapes() -> None:
    """Text is never taken for mark-up or for a time line."""
    shown = render(transcript("a <b>&amp; --> {c}"), "vtt").decode()
    assert shown.splitlines()[-1] == "a &lt;b&gt;&amp;amp; --&gt; {c}"


def test_subrip_has_no_markup() -> None:
    """What players would take for tags or times has a sign without width in it, and reads the same."""
    line = render(transcript(r"a <i>b</i> --> {\an8} 1 < 2"), "srt").decode().split("\r\n")[2]
    assert not re.search(r"</?\w|-->|\{\\", line)
    assert line.replace("\u200b", "") == r"a <i>b</i> --> {\an8} 1 < 2"


def test_long_talks_have_hours() -> None:
    """Times go on after 99 hours."""
    late = Transcript(TALK, "es", ["es"], None, [Entry(1, 0, "Uf.", 360_000_000, 360_001_000, 0)])
    assert b"100:00:00,000 --> 100:00:01,000" in render(late, "srt")


def test_text_is_a_sentence_a_line() -> None:
    """Breaks inside of a sentence go, empty sentences too."""
    assert render(transcript("uno\r\ndos\x0b", " ", "tres"), "txt").decode() == "uno dos\ntres\n"


def test_right_to_left_is_marked() -> None:
    """Each line of Arabic begins with a mark, so that a name in it does not turn it round; JSON says so."""
    made = transcript("NATO اجتمع", "نعم", language="ar")
    for form in ("txt", "srt", "vtt"):
        lines = render(made, form).decode().splitlines()
        assert all(line.startswith("\u200f") for line in lines if re.search("[؀-ۿ]", line))
        assert any("NATO" in line for line in lines)
    assert json.loads(render(made, "json"))["direction"] == "rtl"


def test_json_tells_all() -> None:
    """The documented fields, and no others."""
    told = json.loads(render(transcript("Hola."), "json"))
    assert told == {
        "sessionId": "golden-eagle-427",
        "language": "es",
        "sourceLanguage": "en",
        "direction": "ltr",
        "languages": ["en", "es"],
        "createdAt": 1_700_000_000_000,
        "endedAt": None,
        "segments": [
            {
                "segmentId": "0",
                "revision": 0,
                "startTime": 0.0,
                "endTime": 1.5,
                "text": "Hola.",
                "sourceText": "source 0",
                "timestamp": 1_700_000_005_000,
            }
        ],
    }


@given(st.lists(st.text(max_size=200), max_size=6))
def test_subtitle_files_keep_their_form(texts: list[str]) -> None:
    """Whatever is said, an SRT file is blocks of number, times and one or two lines, and WebVTT alike."""
    made = transcript(*texts)
    srt = render(made, "srt").decode()
    for number, block in enumerate(filter(None, srt.split("\r\n\r\n")), 1):
        lines = block.split("\r\n")
        assert lines[0] == str(number)
        assert re.fullmatch(r"\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}", lines[1])
        assert 1 <= len(lines[2:]) <= 2
        assert all(line.strip() for line in lines[2:])
    head, *blocks = render(made, "vtt").decode().split("\n\n")
    assert head.startswith("WEBVTT\n")
    for block in blocks:
        lines = block.rstrip("\n").split("\n")
        assert re.fullmatch(r"\d+\.\d+", lines[0])
        assert sum("-->" in line for line in lines) == 1
        assert 1 <= len(lines[2:]) <= 2


def test_files_have_names() -> None:
    """Code, language and form."""
    assert {file_name(transcript(), form) for form in CONTENT_TYPES} == {
        "golden-eagle-427-es.txt",
        "golden-eagle-427-es.srt",
        "golden-eagle-427-es.vtt",
        "golden-eagle-427-es.json",
    }
