"""Text that comes again is left out: who comes back gets captions whose voice it did not hear once more."""

from collections import OrderedDict
from dataclasses import dataclass

from babelcast.protocol.server_messages import Caption, SpokenOver, Transcript


@dataclass(frozen=True, slots=True)
class _Seen:
    final: int = -1
    partial: int = -1
    spoken_over: bool = False


class CaptionTracker:
    """The newest revisions that were taken in, of the last `memory` segments of all languages."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._seen: OrderedDict[tuple[str, str], _Seen] = OrderedDict()

    def take(self, text: Caption | Transcript | SpokenOver) -> bool:
        """Take in a text; whether it is news. A final one is when no final one had that revision or a higher
        one, a partial one when nothing had, and nothing final came yet.
        """
        language = "" if isinstance(text, Transcript) else text.target_language
        key = language, text.segment_id
        seen = self._seen.get(key, _Seen())
        after = _after(seen, text)
        if after is None:
            return False
        self._seen[key] = after
        self._seen.move_to_end(key)
        if len(self._seen) > self._memory:
            self._seen.popitem(last=False)
        return True


def _after(seen: _Seen, text: Caption | Transcript | SpokenOver) -> _Seen | None:
    if isinstance(text, SpokenOver):
        return None if seen.spoken_over else _Seen(seen.final, seen.partial, spoken_over=True)
    if text.is_final:
        return _Seen(text.revision, seen.partial, seen.spoken_over) if text.revision > seen.final else None
    if seen.final >= 0 or text.revision <= seen.partial:
        return None
    return _Seen(seen.final, text.revision, seen.spoken_over)
