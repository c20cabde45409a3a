"""What of a decode is believed; the model itself is tested with real speech elsewhere."""

import pytest

from transcription_svc.engines.whisper import agree, says_again


@pytest.mark.parametrize(
    ("text", "when_sure", "when_unsure"),
    [
        ("And so am I, so am I!", False, True),
        ("I don't know, I don't know.", False, True),
        ("no no no", False, False),
        ("s'en s'en s'en s'en", False, True),
        ("of it of it of it", False, True),
        ("of it of it", False, False),
        ("one two three four, one two three four", True, True),
        ("ask what you can, ask what I can", False, False),
        ("", False, False),
    ],
)
def test_a_loop_is_long_or_improbable(text: str, when_sure: bool, when_unsure: bool) -> None:
    """Speakers say few words again, and are believed when they are heard well; a model in noise is not."""
    assert says_again(text.split(), sure=True) is when_sure
    assert says_again(text.split(), sure=False) is when_unsure


@pytest.mark.parametrize(
    ("first", "second", "understood"),
    [
        ("Ask not.", "ASK NOT!", True),
        ("For a company directly placed on.", "For a company directly platform.", True),
        ("For an open needle, place the yarn.", "For another video, thank you very much.", False),
        ("Thank you.", "", False),
        ("你好谢谢", "你好，谢谢", True),
    ],
)
def test_two_looks_agree_in_their_words(first: str, second: str, understood: bool) -> None:
    """Signs and capitals make no difference; words do."""
    assert agree(first, second) is understood
