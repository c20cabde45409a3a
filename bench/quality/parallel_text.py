"""The same sentences in several languages. Pure but for reading files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

OWN_SOURCE = "en"


@dataclass(frozen=True, slots=True)
class Direction:
    """Sentences, and how a person translated them."""

    source: str
    target: str
    sentences: Sequence[str]
    references: Sequence[str]


def own() -> Mapping[str, Sequence[str]]:
    """The project's own sentences by language, in the same order in each."""
    text = resources.files("bench.quality").joinpath("sentences.txt").read_text(encoding="utf-8")
    return read(text)


def read(text: str) -> dict[str, list[str]]:
    """Blocks apart by an empty line: a sentence in English, then lines of a code and a translation.

    Raises: ValueError when a language lacks a sentence.
    """
    found: dict[str, list[str]] = {OWN_SOURCE: []}
    for block in text.strip().split("\n\n"):
        english, *others = block.splitlines()
        found[OWN_SOURCE].append(english)
        for line in others:
            language, _, sentence = line.partition(" ")
            found.setdefault(language, []).append(sentence)
    short = [language for language, lines in found.items() if len(lines) != len(found[OWN_SOURCE])]
    if short:
        raise ValueError(f"sentences are missing in {', '.join(short)}")
    return found


def own_directions() -> list[Direction]:
    """From English into every other language and back."""
    texts = own()
    others = sorted(set(texts) - {OWN_SOURCE})
    out = [Direction(OWN_SOURCE, other, texts[OWN_SOURCE], texts[other]) for other in others]
    return out + [Direction(other, OWN_SOURCE, texts[other], texts[OWN_SOURCE]) for other in others]


def from_files(source: Path, reference: Path, *, languages: tuple[str, str]) -> Direction:
    """FLORES-style: a sentence a line, the same line of both files means the same.

    Raises: OSError, ValueError when the files do not have as many lines.
    """
    sentences = source.read_text(encoding="utf-8").splitlines()
    references = reference.read_text(encoding="utf-8").splitlines()
    if len(sentences) != len(references):
        raise ValueError(f"{source} has {len(sentences)} lines and {reference} has {len(references)}")
    return Direction(*languages, sentences, references)
