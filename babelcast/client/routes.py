"""Which gateway is tried next. Pure: the clock is an argument."""

from collections.abc import Sequence


class Routes:
    """The addresses of gateways that serve the same sessions, tried in turn.

    The one that worked stays the first choice. One that asked for patience is passed over until it is due;
    when all have asked for it, the one that is due first is the next.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        """`urls` are normalised; there is at least one."""
        self._urls = tuple(urls)
        self._turn = 0
        self._due_s = dict.fromkeys(self._urls, float("-inf"))

    def __len__(self) -> int:
        return len(self._urls)

    def pick(self, now_s: float) -> tuple[str, float]:
        """The address to try, and how long to wait before that (s)."""
        in_turn = self._urls[self._turn :] + self._urls[: self._turn]
        url = min(in_turn, key=lambda url: max(now_s, self._due_s[url]))
        return url, max(0.0, self._due_s[url] - now_s)

    def worked(self, url: str) -> None:
        """`url` is the first choice from now on."""
        self._turn = self._urls.index(url)

    def pass_over(self, url: str, *, until_s: float = float("-inf")) -> None:
        """Try the others before `url`, and not `url` before `until_s`."""
        self._turn = (self._urls.index(url) + 1) % len(self._urls)
        self._due_s[url] = until_s
