"""Text on a terminal that grows while somebody speaks: finals are lines, the tentative waits below."""

from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

TENTATIVE = "bright_black"


def clean(text: str) -> str:
    """Text without control characters: what a server sends must not steer the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def tentative(text: str, *, stable: str = "") -> Text:
    """A sentence under way: what will stay as it is, the rest grey."""
    kept = stable if text.startswith(stable) else ""
    return Text.assemble(clean(kept), (clean(text[len(kept) :]), TENTATIVE))


class Subtitles:
    """Shows segments. On a terminal the open ones are repainted in place; elsewhere only finals appear."""

    def __init__(self, console: Console, *, prefix: str = "") -> None:
        self._console = console
        self._prefix = prefix
        self._open: dict[str, Text] = {}
        self._live: Live | None = None

    def partial(self, segment_id: str, text: Text) -> None:
        """A segment as known now."""
        if self._live is not None:
            self._open[segment_id] = text
            self._live.update(self._tail(), refresh=True)

    def final(self, segment_id: str, text: str) -> None:
        """A segment for good."""
        self._open.pop(segment_id, None)
        self._print(Text.assemble((self._prefix, "cyan"), clean(text)))

    def note(self, text: str, *, style: str = "yellow") -> None:
        """A remark between the lines."""
        self._print(Text(clean(text), style=style))

    def _print(self, line: RenderableType) -> None:
        if self._live is not None:
            self._live.update(self._tail(), refresh=True)  # or the old tail would be painted below the line
        self._console.print(line, soft_wrap=True)

    def _tail(self) -> Text:
        return Text("\n").join(self._open.values())

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(Text(), console=self._console, transient=True, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
