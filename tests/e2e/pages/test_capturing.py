"""The words of what a microphone delivered: whatever was lost or came twice after it shows."""

import pytest

from babelcast import scripted
from tests.e2e.pages import capturing
from tests.e2e.pages.capturing import Captured, Place
from tests.e2e.pages.reading import words

SENTENCES = 3
TEXTS = [scripted.sentence(17, number) for number in range(SENTENCES)]
SPEECH = scripted.script_speech(17, SENTENCES)
PIECE = 3200


def said(pcm: bytes) -> list[Place]:
    """What is heard in a sound that comes in pieces."""
    return Captured([pcm[at : at + PIECE] for at in range(0, len(pcm), PIECE)]).words()


def skipping(at_ms: int, ms: int) -> bytes:
    """The speech without so many ms of it."""
    return SPEECH[: at_ms * 32] + SPEECH[(at_ms + ms) * 32 :]


@pytest.mark.parametrize("lead_ms", [0, 7, 1000])
def test_whole_speech_has_one_reading(lead_ms: int) -> None:
    """Silence before and after it does not matter."""
    heard = said(bytes(32 * lead_ms) + SPEECH + bytes(32_000))
    assert all(len(place.readings) == 1 for place in heard)
    assert capturing.matches(words(TEXTS), heard)
    assert capturing.share(words(TEXTS), heard) == 1


def test_a_word_that_is_lost_or_twice_later_does_not_match() -> None:
    """Nor does one that is damaged, or two that have changed places."""
    heard, right = said(SPEECH), words(TEXTS)
    assert not capturing.matches(right[:9] + right[10:], heard)
    assert not capturing.matches([*right[:9], right[8], *right[9:]], heard)
    assert not capturing.matches([*right[:9], scripted.DAMAGED, *right[10:]], heard)
    assert not capturing.matches([*right[:9], right[10], right[9], *right[11:]], heard)
    assert not capturing.matches(right[:-1], heard)


@pytest.mark.parametrize("ms", range(10, 60, 5))
def test_a_skip_of_the_microphone_is_no_loss_later(ms: int) -> None:
    """However the windows of a recogniser lie, what it hears is among the readings; other words are not."""
    pcm = skipping(9 * 200 + 600 + 40, ms)
    heard = said(pcm)
    for offset in range(0, 128, 8):
        again = [place.readings[0] for place in said(bytes(2 * (4096 + offset)) + pcm)]
        assert capturing.matches([word for reading in again for word in reading], heard), (ms, offset)
    assert capturing.share(words(TEXTS), heard) >= 1 - 1 / (SENTENCES * scripted.WORDS_PER_SENTENCE)
    assert not capturing.matches(words(TEXTS)[1:], heard)


def test_a_microphone_that_is_silent_is_told() -> None:
    """And how long it has been, from the last sound on."""
    assert said(bytes(64_000)) == []
    assert capturing.share(words(TEXTS), []) == 0
    assert Captured([SPEECH, bytes(32_000)]).silent_s == pytest.approx(
        1 + (scripted.PAUSE_MS + scripted.GAP_MS) / 1000, abs=0.01
    )
