"""Sentences in several languages."""

from pathlib import Path

import pytest

from bench.quality.parallel_text import from_files, own, own_directions, read


def test_the_project_s_own_sentences_are_whole() -> None:
    """Forty in each of seven languages, none empty, none twice."""
    texts = own()
    assert sorted(texts) == ["ca", "en", "es", "fr", "gl", "it", "pt"]
    for sentences in texts.values():
        assert len(set(sentences)) == len(sentences) == 40
        assert all(sentence.strip() == sentence and sentence[-1] in ".?!" for sentence in sentences)


def test_every_language_is_measured_both_ways() -> None:
    """From English and into it."""
    directions = {(each.source, each.target): each for each in own_directions()}
    assert len(directions) == 12
    assert directions["en", "es"].sentences == directions["es", "en"].references


def test_a_sentence_that_is_missing_is_named() -> None:
    """By its language."""
    with pytest.raises(ValueError, match="fr"):
        read("One.\nes Uno.\nfr Un.\n\nTwo.\nes Dos.")


def test_two_files_are_one_direction(tmp_path: Path) -> None:
    """Line by line; files of different lengths are none."""
    source, reference = tmp_path / "source", tmp_path / "reference"
    source.write_text("One.\nTwo.\n")
    reference.write_text("Uno.\nDos.\n")
    found = from_files(source, reference, languages=("en", "es"))
    assert list(zip(found.sentences, found.references, strict=True)) == [("One.", "Uno."), ("Two.", "Dos.")]
    reference.write_text("Uno.\n")
    with pytest.raises(ValueError, match="2 lines"):
        from_files(source, reference, languages=("en", "es"))
