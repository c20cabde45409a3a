"""Languages that are made on for listeners whose gateway went away with them. Pure: the clock is an argument.

Who was here is known to the fan-out, with what it wants. Of listeners on other gateways an owner knows only
how many there are: when those of a language are gone, they may be on their way to another gateway.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

SETTLED_S = 10.0
"""By then the session service has told of a listener who left here."""


class Elsewhere:
    """One session's languages. `window_s` is how long a listener may take to come back."""

    def __init__(self, *, window_s: float) -> None:
        self._window_s = window_s
        self._left_s: dict[str, list[float]] = defaultdict(list)
        self._until_s: dict[str, float] = {}

    def left_here(self, language: str, *, now_s: float) -> None:
        """A listener on this gateway leaves a language; the audience will be one less."""
        self._left_s[language].append(now_s)

    def changed(self, before: Mapping[str, int], after: Mapping[str, int], *, now_s: float) -> None:
        """The audience changed: what it is by language, on all gateways."""
        for language, count in before.items():
            gone = count - after.get(language, 0)
            left_s = [at_s for at_s in self._left_s.pop(language, []) if at_s > now_s - SETTLED_S]
            here = max(0, min(gone, len(left_s)))
            if left_s[here:]:
                self._left_s[language] = left_s[here:]
            if gone > here and language not in after:
                self.expect([language], now_s=now_s)

    def expect(self, languages: Iterable[str], *, now_s: float) -> None:
        """There were listeners, and they may come back."""
        self._until_s.update(dict.fromkeys(languages, now_s + self._window_s))

    def awaited(self, *, now_s: float) -> set[str]:
        """The languages that are made though nobody is there."""
        self._until_s = {name: until_s for name, until_s in self._until_s.items() if until_s > now_s}
        return set(self._until_s)
