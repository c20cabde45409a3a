"""PCM, WAV files and language tags."""

import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast import languages, pcm, wav
from babelcast.errors import InvalidAudioFormat, InvalidLanguage


@given(ms=st.integers(0, 2_000), rate=st.sampled_from(pcm.INPUT_RATES_HZ))
def test_silence_lasts_as_long_as_asked(ms: int, rate: int) -> None:
    """Its length is whole samples and right to one of them."""
    quiet = pcm.silence(ms, rate)
    assert len(quiet) % pcm.BYTES_PER_SAMPLE == 0
    assert not any(quiet)
    assert abs(pcm.duration_ms(quiet, rate) - ms) <= 1000 / rate


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Samples and rate survive, and so does the length in seconds."""
    sound = wav.Sound(bytes(range(200)) * 4, 8_000)
    wav.write(tmp_path / "a.wav", sound)
    assert wav.read(tmp_path / "a.wav") == sound
    assert sound.seconds == 0.05


def test_the_recorded_speech_can_be_read(jfk_wav: Path) -> None:
    """Eleven seconds at the rate that travels inside."""
    sound = wav.read(jfk_wav)
    assert (sound.sample_rate_hz, round(sound.seconds)) == (pcm.SAMPLE_RATE_HZ, 11)


@pytest.mark.parametrize(
    ("channels", "width", "rate", "said"),
    [(2, 2, 16_000, "2 channels"), (1, 1, 16_000, "8-bit"), (1, 2, 44_100, "44100")],
)
def test_what_does_not_fit_is_named(tmp_path: Path, channels: int, width: int, rate: int, said: str) -> None:
    """Stereo, other widths and other rates are refused with the reason."""
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(bytes(8))
    with pytest.raises(InvalidAudioFormat, match=said):
        wav.read(tmp_path / "a.wav")


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a sound at all, but long enough to be read"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """Text, stumps and nothing are no sound."""
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(InvalidAudioFormat, match="not a PCM WAV"):
        wav.read(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("tag", "language"),
    [("en", "en"), ("ES", "es"), ("es-MX", "es"), ("pt_BR", "pt"), ("zh-Hant-TW", "zh"), ("gsw", "gsw")],
)
def test_a_tag_counts_as_its_language(tag: str, language: str) -> None:
    """Regions and scripts make no difference, nor does case."""
    assert languages.normalise(tag, parameter="targetLanguage") == language


@pytest.mark.parametrize(
    "tag", ["", "e", "engl", "en-", "-en", "en es", "en\n", "en-" + "x" * 33, "ël", "12"]
)
def test_other_words_are_no_language(tag: str) -> None:
    """The error names the field that held the word."""
    with pytest.raises(InvalidLanguage) as caught:
        languages.normalise(tag, parameter="targetLanguage")
    assert caught.value.details == {"parameter": "targetLanguage"}


@given(tag=st.text(max_size=40))
def test_normalising_twice_is_normalising_once(tag: str) -> None:
    """Whatever passes is in its final form."""
    try:
        language = languages.normalise(tag, parameter="x")
    except InvalidLanguage:
        return
    assert languages.normalise(language, parameter="x") == language
