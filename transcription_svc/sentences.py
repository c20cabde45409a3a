"""Sentences in running words, in any language.

Inside a text sentencex tells where sentences end: it knows the stops and the abbreviations of some 300
languages. What is added here are abbreviations that it lacks and what live text asks for: a stop after which
the text goes on in small letters ends nothing, since the recogniser may have heard a pause.
"""

from collections.abc import Sequence

import sentencex

from transcription_svc.words import bare, join, unspaced

_STOPS = tuple(".!?。．！？｡।॥؟۔።፧။។៕։")
_CLAUSE_STOPS = (*",;:–—…，、；：､،؛፣፤፥၊՝", *_STOPS)
_ELLIPSES = ("...", "…", "。。。")
_CLOSERS = "\"'»”’)]」』）】 "
_ABBREVIATIONS = """
mr. mrs. ms. dr. prof. st. vs. etc. e.g. i.e. sr. sra. srta. dra. ud. uds. m. mme. mlle. sig. dott. hr. fr.
z.b. d.h. u.a. usw. bzw. nr. ca. p.ex. pág. págs. art. núm. av. avda. o.a. d.w.z. bijv. dhr. mw. mevr. m.in.
np. tzn. tj. itd. itp. ul. inż. mgr. т.е. т.к. т.д. т.п. др. им. ул. exmo. exma.
"""
_NO_SENTENCE_END = frozenset(_ABBREVIATIONS.split())
_MIN_WORDS = 3
_MIN_UNSPACED_SIGNS = 4
"""So many signs of a script without spaces are no mere interjection."""


def ends_text(word: str) -> bool:
    """Whether a text that ends with this word ends with a whole sentence."""
    end = word.rstrip(_CLOSERS)
    return end.endswith(_STOPS) and not end.endswith(_ELLIPSES) and end.casefold() not in _NO_SENTENCE_END


def ends_clause(word: str) -> bool:
    """Whether a clause or a sentence ends with this word; in Thai and its like a space ends one."""
    return word.rstrip(_CLOSERS).endswith(_CLAUSE_STOPS) or (word.endswith(" ") and unspaced(word))


def ends_sentence(word: str, following: str = "") -> bool:
    """Whether a sentence ends with this word inside a text: "J." is an initial, "1." may become "1.5"."""
    if not ends_text(word):
        return False
    if not word.rstrip(_CLOSERS).endswith("."):
        return True
    stem = bare(word).lstrip("\"'«“‘(¿¡")
    initial = len(stem) == 1 and not stem.isdigit()
    dotted = "." in stem.strip(".") and not stem.replace(".", "").isdigit()  # a.m., U.S.
    if dotted and not following[:1].isupper():
        return False
    if initial or following[:1].islower():
        return False
    return not (stem[-1:].isdigit() and (not following or following[:1].isdigit()))


def sentence_end(words: Sequence[str], language: str = "en") -> int:
    """Number of words of the first whole sentence that has something after it; 0 if there is none.

    Sentences of fewer than three words stay with the next one: they are mostly no sentences, and not worth a
    voice of their own.
    """
    candidates = [count for count in range(1, len(words)) if ends_sentence(words[count - 1], words[count])]
    candidates = [count for count in candidates if _is_more_than_a_call(words[:count])]
    if not candidates:
        return 0
    text = join(words)
    ends = {
        len(text[: found["end_index"]].rstrip())
        for found in sentencex.get_sentence_boundaries(language, text)
    }
    return next((count for count in candidates if len(join(words[:count])) in ends), 0)


def clause_end(words: Sequence[str]) -> int:
    """Number of words up to the last end of a clause that has something after it; 0 if there is none."""
    return next((count for count in range(len(words) - 1, 0, -1) if ends_clause(words[count - 1])), 0)


def _is_more_than_a_call(words: Sequence[str]) -> bool:
    spaced = [word for word in words if not unspaced(word)]
    signs = sum(unspaced(sign) and sign.isalnum() for word in words for sign in word)
    return len(spaced) + signs * _MIN_WORDS / _MIN_UNSPACED_SIGNS >= _MIN_WORDS
