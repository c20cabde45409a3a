"""Prosody as markup."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.segments import Prosody
from translation_svc.ssml import (
    MAX_RATE,
    MAX_TOTAL_RATE,
    MAX_VOLUME_DB,
    MIN_RATE,
    MIN_TOTAL_RATE,
    MIN_VOLUME_DB,
    delivery,
    escape,
    espeak_ssml,
    polly_ssml,
)

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=60) | st.sampled_from(
    [
        '<audio src="/etc/passwd"/>',
        "]]>",
        "<!-- -->",
        "<![CDATA[x]]>",
        "<?xml version='1.0'?>",
        "</prosody></speak>",
        "&amp;&#0;&#x1F;",
        "a\x00b\x0bc\ud800\udfff\ufffe\uffff\x7f\x85",
    ]
)
"""With control characters, surrogates, NUL and what is no character at all."""
ANY_PROSODY = st.builds(
    Prosody,
    volume_db=st.floats(),
    rate=st.floats(),
    emotion=st.sampled_from(["neutral", "calm", "excited", "emphatic", "unheard-of", ""]),
    intensity=st.floats(),
    pace=st.floats(),
)


@given(ANY_TEXT, ANY_PROSODY)
def test_no_text_becomes_markup(text: str, prosody: Prosody) -> None:
    """Whatever is said and however, the result is one prosody element that holds just the text."""
    root = ElementTree.fromstring(espeak_ssml(text, prosody))  # noqa: S314 - our own markup
    (only,) = list(root)
    assert (root.tag, only.tag, len(only)) == ("speak", "prosody", 0)
    assert set(only.attrib) <= {"rate", "pitch", "range"}
    said = ElementTree.fromstring(f"<a>{escape(text)}</a>")  # noqa: S314 - our own markup
    assert (only.text or "") == (said.text or "")
    assert len(only.text or "") <= len(text)


@given(ANY_PROSODY)
def test_every_instruction_is_within_bounds(prosody: Prosody) -> None:
    """Numbers that are none, too; the manner has bounds of its own before the pace comes on top."""
    asked = delivery(prosody)
    assert MIN_TOTAL_RATE <= asked.rate <= MAX_TOTAL_RATE
    assert MIN_VOLUME_DB <= asked.volume_db <= MAX_VOLUME_DB
    unhurried = delivery(replace(prosody, pace=1.0))
    assert MIN_RATE <= unhurried.rate <= MAX_RATE
    assert abs(asked.pitch_percent) <= 12
    assert abs(asked.range_percent) <= 50


@pytest.mark.parametrize(
    ("rate", "pace", "total"),
    [
        (1.0, 1.25, 1.25),
        (1.5, 1.25, 1.875),
        (9.0, 1.25, 1.875),
        (1.5, 9, 2.0),
        (0.1, 0.1, 0.5),
        (1.2, 0, 1.2),
    ],
)
def test_the_pace_comes_on_top_of_the_manner(rate: float, pace: float, total: float) -> None:
    """A quick speaker's voice still becomes quicker when it is behind, up to twice the usual rate."""
    assert delivery(Prosody(rate=rate, pace=pace)).rate == pytest.approx(total)


def test_markup_in_the_text_is_escaped() -> None:
    """The file-reading element of SSML above all."""
    assert escape("<audio src=\"/etc/passwd\"> & 'x'") == (
        "&lt;audio src=&quot;/etc/passwd&quot;&gt; &amp; &apos;x&apos;"
    )
    assert escape("a\x00b\ud800c") == "a b c"


def test_usual_prosody_asks_for_nothing_special() -> None:
    """Neither pitch nor range."""
    assert espeak_ssml("Hola", Prosody()) == '<speak><prosody rate="100%">Hola</prosody></speak>'


def test_emotion_grows_with_intensity() -> None:
    """Excited speech is higher, livelier and faster; calm speech the opposite."""
    excited = delivery(Prosody(emotion="excited", intensity=1.0))
    half = delivery(Prosody(emotion="excited", intensity=0.5))
    calm = delivery(Prosody(emotion="calm", intensity=1.0))
    assert excited.pitch_percent == 2 * half.pitch_percent > 0 > calm.pitch_percent
    assert excited.rate > half.rate > 1 > calm.rate
    assert 'pitch="+24%" range="+80%"' in espeak_ssml("x", Prosody(emotion="excited", intensity=1.0))


@pytest.mark.parametrize(
    ("rate", "bounded"), [(0.1, MIN_RATE), (9, MAX_RATE), (1.2, 1.2), (0, 1), (float("nan"), 1)]
)
def test_the_rate_is_bounded(rate: float, bounded: float) -> None:
    """And a missing one is the usual one."""
    assert delivery(Prosody(rate=rate)).rate == pytest.approx(bounded)


@given(
    st.sampled_from(["standard", "neural", "long-form", "generative"]),
    ANY_TEXT,
    ANY_PROSODY,
)
def test_polly_s_markup_holds_only_what_its_engine_knows(engine: str, text: str, prosody: Prosody) -> None:
    """Well formed for any text and prosody, with the text whole, a rate that Polly takes, and no more."""
    known = {"speak": set[str](), "prosody": {"rate"}}
    if engine == "standard":
        known = {"speak": set(), "prosody": {"rate", "pitch"}, "emphasis": {"level"}}
    markup = polly_ssml(text, prosody, engine=engine)
    assert engine != "generative" or not markup
    if markup:
        root = ElementTree.fromstring(markup)  # noqa: S314 - our own markup
        for element in root.iter():
            assert set(element.attrib) <= known[element.tag]
            assert 20 <= float(element.get("rate", "100%").removesuffix("%")) <= 200
        said = ElementTree.fromstring(f"<a>{escape(text)}</a>")  # noqa: S314 - our own markup
        assert "".join(root.itertext()) == (said.text or "")


def test_emphasis_is_for_emphatic_sentences_of_standard_voices() -> None:
    """Moderate first, strong for the strongest; the other engines have none."""
    levels = {
        intensity: polly_ssml("a", Prosody(emotion="emphatic", intensity=intensity), engine="standard")
        for intensity in (0.0, 0.5, 1.0, float("nan"))
    }
    assert "emphasis" not in levels[0.0]
    assert 'level="moderate"' in levels[0.5]
    assert 'level="strong"' in levels[1.0]
    assert "emphasis" not in polly_ssml("a", Prosody(emotion="emphatic", intensity=1.0), engine="neural")


def test_a_sentence_said_as_usual_needs_no_markup() -> None:
    """Plain text says the same, and cannot be refused for its markup."""
    assert polly_ssml("a < b", Prosody(), engine="standard") == ""
