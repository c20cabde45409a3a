"""Prosody as markup."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translation_svc.segments import Prosody
from translation_svc.ssml import (
    MAX_RATE,
    MAX_VOLUME_DB,
    MIN_RATE,
    MIN_VOLUME_DB,
    delivery,
    escape,
    espeak_ssml,
    polly_ssml,
)


@given(
    st.text(),
    st.floats(),
    st.floats(),
    st.sampled_from(["neutral", "calm", "excited", "emphatic", "unheard-of", ""]),
    st.floats(),
)
def test_no_text_becomes_markup(
    text: str, volume: float, rate: float, emotion: str, intensity: float
) -> None:
    """Whatever is said and however, the result is one prosody element that holds just the text."""
    prosody = Prosody(volume_db=volume, rate=rate, emotion=emotion, intensity=intensity)
    root = ElementTree.fromstring(espeak_ssml(text, prosody))  # noqa: S314 - our own markup
    (only,) = list(root)
    assert (root.tag, only.tag, len(only)) == ("speak", "prosody", 0)
    assert len(only.text or "") <= len(text)
    asked = delivery(prosody)
    assert MIN_RATE <= asked.rate <= MAX_RATE
    assert MIN_VOLUME_DB <= asked.volume_db <= MAX_VOLUME_DB


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
    st.text(max_size=60),
    st.builds(
        Prosody,
        volume_db=st.floats(),
        rate=st.floats(),
        emotion=st.sampled_from(["neutral", "calm", "excited", "emphatic", "?"]),
        intensity=st.floats(),
    ),
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
