"""Words of any script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription_svc.words import bare, join, key, unspaced


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["So", "my", "fellow"], "So my fellow"),
        (["今天", "天气", "好。", "你"], "今天天气好。你"),
        (["私の", "iPhone", "です。"], "私のiPhoneです。"),
        (["สวัสดี", "ครับ ", "วันนี้ ", "iPhone", "ดี"], "สวัสดีครับ วันนี้ iPhoneดี"),
        (["안녕", "하세요"], "안녕 하세요"),
        ([], ""),
    ],
)
def test_words_make_a_text_as_their_script_does(words: list[str], text: str) -> None:
    """Spaces stand between words where the script has them, and where a Thai word carries one."""
    assert join(words) == text


@given(st.lists(st.sampled_from(["one", "two,", "今", "好。", "ดี ", "é"]), max_size=8), st.integers(0, 8))
def test_the_text_of_the_first_words_begins_the_text(words: list[str], count: int) -> None:
    """Joining some of the words gives a beginning of joining all: stable text depends on it."""
    assert join(words).startswith(join(words[:count]))


@pytest.mark.parametrize("word", ["¡Hola!", "HOLA。", "«hola»", "hola…", "(hola),", "hola؟"])
def test_key_ignores_case_and_punctuation(word: str) -> None:
    """Only the word itself counts, whatever the punctuation around it."""
    assert key(word) == "hola"
    assert key("holas") != "hola"


def test_signs_that_are_read_stay() -> None:
    """A percent sign is part of its word, and vowel signs are no punctuation."""
    assert key("50%,") == "50%"
    assert bare("नमस्ते।") == "नमस्ते"
    assert bare("ดี ") == "ดี"


def test_scripts_without_spaces_are_known() -> None:
    """Chinese, Japanese and Thai put no spaces between words; Korean and Latin do."""
    assert all(unspaced(sign) for sign in ("今", "の", "ด", "。"))
    assert not any(unspaced(sign) for sign in ("a", "한", "", "я"))
