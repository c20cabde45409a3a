"""Text that grows on a terminal."""

from rich.console import Console

from cli.subtitles import Subtitles, clean, tentative
from tests.unit.cli.page import Page


def test_a_server_cannot_steer_the_terminal() -> None:
    """Escape sequences and other control characters become blanks."""
    assert clean("a\x1b[2Jb\nc\x07") == "a [2Jb c "


def test_what_is_tentative_is_grey_behind_what_is_stable() -> None:
    """Stable text is plain; text that contradicts it is tentative as a whole."""
    text = tentative("ask not what", stable="ask not")
    assert text.plain == "ask not what"
    assert [(span.start, span.end) for span in text.spans] == [(7, 12)]
    assert [(span.start, span.end) for span in tentative("other", stable="ask").spans] == [(0, 5)]


def test_in_a_file_only_finals_are_lines(console: Console, page: Page) -> None:
    """Nothing tentative is printed where it cannot be repainted."""
    with Subtitles(console) as subtitles:
        subtitles.partial("1", tentative("ask"))
        subtitles.final("1", "Ask not.")
        subtitles.note("The speaker paused.")
    assert page.getvalue() == "Ask not.\nThe speaker paused.\n"


def test_on_a_terminal_partials_are_repainted_and_gone_in_the_end(terminal: Console, page: Page) -> None:
    """A partial is shown at once; after the final only that remains below nothing."""
    with Subtitles(terminal) as subtitles:
        subtitles.partial("1", tentative("ask no"))
        assert "ask no" in page.getvalue()
        subtitles.final("1", "Ask not.")
        shown = page.getvalue()
        assert shown.rindex("Ask not.") > shown.rindex("ask no")
        subtitles.partial("2", tentative("what"))
    assert "what" in page.getvalue()
