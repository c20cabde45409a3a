"""Words on a page, in whichever lines they stand."""

import time
from collections.abc import Sequence

from playwright.async_api import Locator

_POLL_MS = 100


def words(texts: Sequence[str]) -> list[str]:
    """All words, without capitals and full stops. A microphone that plays on a busy machine may stop for
    so long that a sentence is divided there; its words are the same.
    """
    return " ".join(texts).lower().replace(".", "").split()


async def read_words(lines: Locator, texts: Sequence[str], *, within_s: float) -> None:
    """Wait until the words of `texts`, each once and in order, are all that stands in `lines`."""
    wanted = words(texts)
    deadline = time.monotonic() + within_s
    found: list[str] = []
    while time.monotonic() < deadline:
        found = words(await lines.all_text_contents())
        if found == wanted:
            return
        await lines.page.wait_for_timeout(_POLL_MS)
    assert found == wanted, f"{' '.join(found)}\n instead of\n{' '.join(wanted)}"
