"""Listeners who keep what they get, and what of it is wrong."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

from babelcast import scripted
from babelcast.client import EventsDropped, Listener, Reconnected, SequenceGap, Voice
from babelcast.errors import BabelcastError
from babelcast.protocol.server_messages import Caption, SessionEnded, SpokenOver

MOST_SHOWN = 6
"""So many differences of one listener are told."""


@dataclass(slots=True)
class Heard:
    """What one listener got, from before the first sentence to the end."""

    name: str
    language: str
    captions: list[str] = field(default_factory=list)
    voices: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    """What nobody should be told."""
    reconnections: int = 0

    async def listen(self, listener: Listener) -> None:
        """Take in what comes until the session ends."""
        try:
            async for event in listener:
                match event:
                    case Caption(is_final=True):
                        self.captions.append(event.text)
                    case Voice(message=message):
                        self.voices.append(message.transcript)
                        self.numbers.append(message.sequence_number)
                    case Reconnected():
                        self.reconnections += 1
                    case SequenceGap() | EventsDropped() | SpokenOver():
                        self.trouble.append(repr(event))
                    case SessionEnded():
                        return
            self.trouble.append("cut off before the end")
        except BabelcastError as error:
            self.trouble.append(f"sent away: {error!r}")

    def wrong(self, said: Sequence[str]) -> list[str]:
        """Where this is not every sentence of `said` once and in order; a voice may have several."""
        due = [scripted.translated(text, self.language) for text in said]
        found = [f"caption {difference}" for difference in _differences(due, self.captions)]
        spoken = " ".join(self.voices)
        if spoken != " ".join(due):
            found += [f"voice {difference}" for difference in _differences(due, _sentences(spoken))]
        if self.numbers != list(range(1, len(self.numbers) + 1)):
            found.append(f"voices are numbered {self.numbers}")
        return [f"{self.name}: {words}" for words in (*self.trouble, *found)]


def _sentences(text: str) -> list[str]:
    return [f"{sentence.strip()}." for sentence in text.split(".") if sentence.strip()]


def _differences(due: Sequence[str], got: Sequence[str]) -> list[str]:
    matcher = difflib.SequenceMatcher(a=due, b=got, autojunk=False)
    told = [
        f"{first}: wanted {list(due[first:last])}, got {list(got[start:end])}"
        for what, first, last, start, end in matcher.get_opcodes()
        if what != "equal"
    ]
    more = len(told) - MOST_SHOWN
    return told if more <= 0 else [*told[:MOST_SHOWN], f"and {more} more"]
