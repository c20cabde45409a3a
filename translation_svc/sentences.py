"""Cutting text into sentences that an engine can take at once."""

import re
from collections.abc import Iterator

_END = re.compile(r"[.!?…]+[\"'”’»)\]]*\s+(?=[\"'“‘«(\[¿¡—–-]*[A-ZÀ-ÖØ-Þ0-9])")
_CLAUSE_END = re.compile(r"[,;:—–][\"'”’»)\]]*$")
_NO_END = re.compile(
    r"(?:^|[\s(«“\"])(?:[A-ZÀ-ÖØ-Þ]|Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|No|Nos|Inc|Ltd|Jr|Sr|Sra|Srta|Dra"
    r"|Sig|Dott|Mme|Mlle|M|Art|pág|págs|p\.\s?ej|aprox|núm|[ap]\.m|U\.S|D\.C|EE\.\s?UU)\.\s+$"
)


def split(text: str, *, max_words: int) -> list[str]:
    """Sentences of at most `max_words` words. Joined with single blanks they are `text`, blanks collapsed.

    A longer sentence is cut after the last clause in its allowance, or else between two words.
    """
    return [
        piece for sentence in _sentences(" ".join(text.split())) for piece in _pieces(sentence, max_words)
    ]


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for end in _END.finditer(text):
        if not _NO_END.search(text[start : end.end()]):
            yield text[start : end.end()].rstrip()
            start = end.end()
    if start < len(text):
        yield text[start:]


def _pieces(sentence: str, max_words: int) -> Iterator[str]:
    words = sentence.split(" ")
    while len(words) > max_words:
        half = max_words // 2
        clause_ends = [n for n in range(half, max_words) if _CLAUSE_END.search(words[n])]
        cut = clause_ends[-1] + 1 if clause_ends else max_words
        yield " ".join(words[:cut])
        words = words[cut:]
    if words:
        yield " ".join(words)
