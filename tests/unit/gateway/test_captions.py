"""Captions of open sentences."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.captions import OpenCaption, common_words


def _shown(*translations: str, segment: int = 0) -> list[str | None]:
    caption = OpenCaption()
    return [caption.show(segment, translation) for translation in translations]


def test_words_are_shown_once_two_translations_agree() -> None:
    """Without the last two that they agree on, which change most."""
    assert _shown("La casa", "La casa es", "La casa es blanca", "La casa es blanca y alta") == [
        "La",
        None,
        None,
        "La casa",
    ]


def test_while_nothing_is_shown_all_words_but_the_last_are() -> None:
    """Many a short sentence has no second translation before it is final."""
    assert _shown("Lo que su país puede hacer") == ["Lo que su país puede"]
    assert _shown("Lo", "Lo que su") == [None, "Lo que"]


def test_what_is_shown_stays_when_one_translation_says_otherwise() -> None:
    """A single change of mind is not shown."""
    translations = ("la casa es", "el hogar es de", "la casa es de mi", "la casa es de mi")
    assert _shown(*translations) == ["la casa", None, None, "la casa es"]


def test_a_lasting_change_of_mind_is_shown() -> None:
    """Or the caption would stand still until the sentence is final."""
    translations = ("la casa es", "el sol es muy", "el sol es muy alto", "el sol es muy alto")
    assert _shown(*translations) == ["la casa", None, None, "el sol es"]


def test_case_and_punctuation_are_no_change_of_mind() -> None:
    """The full stop behind the last word so far goes when more words come."""
    assert _shown("Sí, la", "sí la casa.", "Sí. La casa, es") == ["Sí,", None, None]
    assert _shown("Sí, la", "sí la casa. Es", "Sí. La casa, es") == ["Sí,", None, "Sí, La"]


def test_a_new_segment_begins_empty_and_an_old_one_is_over() -> None:
    """Numbers of segments count up."""
    caption = OpenCaption()
    assert caption.show(1, "uno dos") == "uno"
    assert caption.show(2, "tres cuatro") == "tres"
    assert caption.show(1, "uno dos tres cuatro cinco") is None
    assert caption.show(2, "tres cuatro cinco seis") is None
    assert caption.show(2, "tres cuatro cinco seis") == "tres cuatro"


def test_the_same_caption_is_not_shown_twice() -> None:
    """None says that nothing changed."""
    assert _shown("a b", "a b", "a b") == ["a", None, None]


_TEXTS = st.lists(st.text(alphabet="ab ", max_size=16), max_size=12)


@given(_TEXTS)
def test_what_is_shown_was_agreed_on_and_changes_only_to_last(translations: list[str]) -> None:
    """A caption either grows or follows two agreements in a row that contradict it."""
    caption = OpenCaption()
    before = ""
    for one, other in zip(["", *translations], translations, strict=False):
        shown = caption.show(0, other)
        if shown is None:
            continue
        assert shown != before
        words = shown.split()
        if not before:
            assert other.split()[: len(words)] == words
            before = shown
            continue
        if common_words(before.split(), words) != len(before.split()):
            assert common_words(words, one.split()) == len(words)
        assert common_words(words, other.split()) == len(words) < len(other.split())
        before = shown


@given(st.lists(st.sampled_from(["uno", "dos", "tres"]), max_size=20))
def test_a_translation_that_only_grows_is_never_corrected(words: list[str]) -> None:
    """Then all that is shown is a beginning of what comes."""
    caption = OpenCaption()
    for count in range(len(words) + 1):
        shown = caption.show(0, " ".join(words[:count]))
        assert shown is None or words[: len(shown.split())] == shown.split()
