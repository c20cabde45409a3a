"""Session codes."""

import contextlib
import re
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelcast.errors import InvalidSessionId
from session_svc.ids import draw, load_words, parse

WORDS = load_words()
# Fragments that must show up nowhere, not even where two words meet.
FRAGMENTS = [
    "anal",
    "anus",
    "arse",
    "ass",
    "boob",
    "bum",
    "butt",
    "chink",
    "cock",
    "coon",
    "crap",
    "cum",
    "cunt",
    "damn",
    "dead",
    "dick",
    "die",
    "dyke",
    "evil",
    "fag",
    "fart",
    "fat",
    "gay",
    "gook",
    "hate",
    "hell",
    "hitler",
    "homo",
    "hore",
    "jew",
    "kike",
    "kill",
    "kkk",
    "meth",
    "nazi",
    "nigg",
    "nude",
    "paki",
    "piss",
    "poo",
    "porn",
    "prick",
    "puss",
    "rape",
    "sex",
    "shit",
    "slag",
    "slut",
    "sod",
    "spic",
    "stupid",
    "tard",
    "tit",
    "turd",
    "ugly",
    "vag",
    "wank",
    "weed",
]
ADJECTIVES_ABOUT_PEOPLE = {"black", "white", "yellow", "red", "fat", "old", "dirty", "naked", "horny", "gay"}
ANIMALS_USED_AS_INSULTS = {
    "ass",
    "ape",
    "cow",
    "dog",
    "donkey",
    "monkey",
    "pig",
    "rat",
    "snake",
    "swine",
    "worm",
}


def test_there_are_enough() -> None:
    """At least 150 adjectives, 150 animals and 900 numbers, each once, and easily typed."""
    for words in (WORDS.adjectives, WORDS.animals):
        assert len(words) >= 150
        assert len(set(words)) == len(words)
        assert all(re.fullmatch("[a-z]{3,12}", word) for word in words)
    assert not set(WORDS.adjectives) & set(WORDS.animals)


def test_words_are_friendly() -> None:
    """No word holds a bad one, speaks of people's looks, or is used as an insult."""
    words = WORDS.adjectives + WORDS.animals
    assert [(word, bad) for word in words for bad in FRAGMENTS if bad in word] == []
    assert not ADJECTIVES_ABOUT_PEOPLE & set(WORDS.adjectives)
    assert not ANIMALS_USED_AS_INSULTS & set(WORDS.animals)


def test_pairs_are_friendly() -> None:
    """No pair that is not denied spells a bad word where its words meet."""
    bad = re.compile("|".join(FRAGMENTS))
    met = {
        (adjective, animal)
        for adjective in WORDS.adjectives
        for animal in WORDS.animals
        if bad.search(adjective + animal)
    }
    assert met <= WORDS.denied


def test_denied_pairs_are_of_our_words() -> None:
    """A denied pair with a typing error would deny nothing."""
    for adjective, animal in WORDS.denied:
        assert adjective in WORDS.adjectives
        assert animal in WORDS.animals


def test_denied_pairs_are_not_drawn() -> None:
    """A draw that hits a denied pair is made again."""
    adjective, animal = sorted(WORDS.denied)[0]
    numbers = iter([WORDS.adjectives.index(adjective), WORDS.animals.index(animal), 1, 2, 3])
    assert draw(WORDS, lambda _: next(numbers)) == f"{WORDS.adjectives[1]}-{WORDS.animals[2]}-103"


def test_the_example_of_the_protocol_can_be_drawn() -> None:
    """golden-eagle-427 is one of ours."""
    numbers = iter([WORDS.adjectives.index("golden"), WORDS.animals.index("eagle"), 327])
    assert draw(WORDS, lambda _: next(numbers)) == "golden-eagle-427"


def test_drawn_codes_are_codes() -> None:
    """Every code reads back as itself, and a thousand are nearly all different."""
    codes = [draw(WORDS, secrets.randbelow) for _ in range(1000)]
    assert [parse(code) for code in codes] == codes
    assert len(set(codes)) > 990
    assert {int(code.rsplit("-")[-1]) // 100 for code in codes} == set(range(1, 10))


def test_how_people_write_codes() -> None:
    """Capitals and spaces around do not matter."""
    assert parse(" Golden-EAGLE-427\n") == "golden-eagle-427"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "golden-eagle",
        "golden-eagle-42",
        "golden-eagle-042",
        "golden-eagle-4271",
        "golden eagle 427",
        "golden-eagle-427-1",
        "gölden-eagle-427",
        "golden-eagle-４２７",
        "../-eagle-427",
        "a" * 5000,
    ],
)
def test_what_is_no_code(text: str) -> None:
    """What no session can be called has an error of its own."""
    with pytest.raises(InvalidSessionId):
        parse(text)


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    """Text is a code in its plain form, or it is refused."""
    with contextlib.suppress(InvalidSessionId):
        assert re.fullmatch(r"[a-z]+-[a-z]+-[1-9]\d\d", parse(text))
