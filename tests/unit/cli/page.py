"""A file that a test can wait for."""

import asyncio
import io


class Page(io.StringIO):
    """What was printed so far."""

    def __init__(self) -> None:
        super().__init__()
        self._awaited: list[tuple[str, asyncio.Event]] = []

    def write(self, text: str, /) -> int:
        """Append, and wake those who wait for it."""
        written = super().write(text)
        for words, seen in self._awaited:
            if words in self.getvalue():
                seen.set()
        return written

    async def until(self, words: str, *, timeout_s: float = 5) -> None:
        """Wait until `words` were printed."""
        if words not in self.getvalue():
            seen = asyncio.Event()
            self._awaited.append((words, seen))
            async with asyncio.timeout(timeout_s):
                await seen.wait()
