"""Frames that a client could send, from good ones to rubbish, made from the schema of the client protocol.

Everything follows from the random source, so that a seed gives the same frames again.
"""

import base64
import json
import random
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec

from babelcast.protocol import client_messages as ask
from babelcast.protocol.codec import ALIASES

Fields: TypeAlias = dict[str, object]

KINDS: Final[tuple[type[ask.AnyClientMessage], ...]] = typing.get_args(ask.AnyClientMessage)
WORDS: Final = (
    "",
    " ",
    "null",
    "\x00",
    "a\x00b",
    "\u202eright to left",
    "\u0301\u0302\u0303" * 20,
    "🎙️👩‍👩‍👧‍👦",
    "Ⅷ١٢٣",
    "\ud800",  # half a character: JSON has it, UTF-8 does not
    "{}",
    "${jndi:ldap://x}",
    "'; DROP TABLE sessions; --",
    "../../etc/passwd",
    "<script>",
    "%s%n",
    "x" * 65,
    "golden-eagle-427\n",
    "GOLDEN-EAGLE-427",
)
NUMBERS: Final = (
    0,
    -1,
    1,
    2**31,
    2**53,
    2**53 + 1,
    2**63,
    2**64,
    -(2**63) - 1,
    10**400,
    0.5,
    -0.0,
    1e308,
    5e-324,
)
LANGUAGES: Final = ("en", "es", "fr", "pt", "de", "es-MX", "ES", "xx", "en_GB", "zz-Zzzz", "e", "english")
AUDIO_SIZES: Final = (0, 1, 2, 99, 100, 101, 640, 3200, 3201, 32_768, 32_770, 65_537)
HUGE_CHARS: Final = (70, 2_001, 70_000, 300_000)
DEPTHS: Final = (10, 500, 20_000)
TOO_LONG: Final = 2 * 1024 * 1024 + 1


@dataclass(frozen=True, slots=True)
class Frame:
    """One WebSocket frame. Bytes with `text` set claim to be text without being it, perhaps."""

    data: str | bytes
    text: bool = False


@dataclass(slots=True)
class Known:
    """What a client could have learnt: with these, frames get past the first checks."""

    session_ids: list[str] = field(default_factory=lambda: ["golden-eagle-427"])
    resume_tokens: list[str] = field(default_factory=lambda: ["connection.secret"])
    tokens: list[str] = field(default_factory=lambda: ["a.b.c"])

    def learn(self, *, session_id: str = "", resume_token: str = "", most: int = 200) -> None:
        """Keep the newest."""
        for value, values in ((session_id, self.session_ids), (resume_token, self.resume_tokens)):
            if value:
                values.append(value)
                del values[:-most]


class Mutator:
    """Makes frames."""

    def __init__(self, chance: random.Random, known: Known) -> None:
        self._chance = chance
        self._known = known
        self._number = 0

    def frame(self, kinds: Sequence[type[ask.AnyClientMessage]] = KINDS) -> Frame:
        """Any frame; messages are of one of `kinds`."""
        make: Callable[[], Frame] = self._chance.choices(
            (lambda: self._good(kinds), lambda: self._near(kinds), self._alias, self._broken, self._binary),
            weights=(30, 40, 5, 15, 10),
        )[0]
        return make()

    def message(self, kind: type[ask.AnyClientMessage]) -> Fields:
        """A message of a kind that the schema takes."""
        described = msgspec.inspect.type_info(kind)
        assert isinstance(described, msgspec.inspect.StructType)  # noqa: S101 - that is what messages are
        fields: Fields = {"action": described.tag}
        for part in described.fields:
            if part.required or self._chance.random() < 0.3:
                fields[part.encode_name] = self._value(part.encode_name, part.type)
        if self._chance.random() < 0.8:
            self._number += 1
            fields["requestId"] = f"r{self._number}"
        return fields

    def _good(self, kinds: Sequence[type[ask.AnyClientMessage]]) -> Frame:
        return Frame(json.dumps(self.message(self._chance.choice(kinds))))

    def _near(self, kinds: Sequence[type[ask.AnyClientMessage]]) -> Frame:
        fields = self.message(self._chance.choice(kinds))
        for _ in range(self._chance.choice((1, 1, 1, 2, 5))):
            self._spoil(fields)
        return Frame(
            json.dumps(fields, ensure_ascii=self._chance.random() < 0.9).encode("utf-8", "replace").decode()
        )

    def _alias(self) -> Frame:
        alias = self._chance.choice(tuple(ALIASES))
        fields: Fields = {"action": alias, "requestId": "alias", "controlAction": self._chance.choice(WORDS)}
        if self._chance.random() < 0.5:
            fields |= {"targetLanguage": "fr", "audioData": self._audio_text()}
        return Frame(json.dumps(fields))

    def _broken(self) -> Frame:
        text = json.dumps(self.message(self._chance.choice(KINDS)))
        at = self._chance.randrange(len(text))
        character = chr(self._chance.randrange(32, 0x2FFF))
        deep = self._chance.choice(DEPTHS)
        return self._chance.choice(
            (
                lambda: Frame(text[:at]),
                lambda: Frame(text[:at] + character + text[at + 1 :]),
                lambda: Frame(text + text),
                lambda: Frame(text[:at] + text[self._chance.randrange(len(text)) :]),
                lambda: Frame("[" * deep),
                lambda: Frame('{"action":' * deep),
                lambda: Frame('{"action":"heartbeat","timestamp":' + "[" * deep + "]" * deep + "}"),
                lambda: Frame(json.dumps(self._chance.choice((None, True, 7, "text", [], [{}], {}, [text])))),
                lambda: Frame('{"action":"heartbeat","timestamp":1e999}'),
                lambda: Frame('{"action":"heartbeat","timestamp":NaN}'),
                lambda: Frame('{"action":"heartbeat","timestamp":' + "9" * 5000 + "}"),
                lambda: Frame("".join(chr(self._chance.randrange(1, 0xD7FF)) for _ in range(at + 1))),
                lambda: Frame(""),
                lambda: Frame("x" * self._chance.choice((65_536, 65_537, 1_000_000))),
                lambda: Frame(self._chance.randbytes(at + 1), text=True),
                lambda: Frame("x" * TOO_LONG) if self._chance.random() < 0.1 else Frame("x"),
            )
        )()

    def _binary(self) -> Frame:
        size = self._chance.choice((*AUDIO_SIZES, self._chance.randrange(40_000)))
        if self._chance.random() < 0.02:
            size = 1024 * 1024
        return Frame(self._chance.randbytes(size))

    def _spoil(self, fields: Fields) -> None:
        if not fields:
            return
        name = self._chance.choice(tuple(fields))
        match self._chance.randrange(9):
            case 0:
                fields.pop(name, None)
            case 1:
                fields[name] = None
            case 2:
                fields[name] = self._chance.choice(WORDS)
            case 3:
                fields[name] = self._chance.choice(NUMBERS)
            case 4:
                fields[name] = self._chance.choice(([], {}, True, False, [[]], {"a": {"b": 1}}, ["x", 1]))
            case 5:
                fields[name] = "x" * self._chance.choice(HUGE_CHARS)
            case 6:
                fields[name] = self._nested(self._chance.choice((5, 200)))
            case 7:
                fields[name.swapcase()] = fields.pop(name)
            case _:
                fields[self._chance.choice((*WORDS, "sessionId", "token", "type"))] = self._chance.choice(
                    WORDS
                )

    def _nested(self, depth: int) -> object:
        value: object = self._chance.choice(WORDS)
        for _ in range(depth):
            value = [value] if self._chance.random() < 0.5 else {"a": value}
        return value

    def _audio_text(self) -> str:
        text = base64.b64encode(self._chance.randbytes(self._chance.choice(AUDIO_SIZES[:-1]))).decode()
        return text if self._chance.random() < 0.8 else text[:-1]

    def _value(self, name: str, kind: msgspec.inspect.Type) -> object:
        match name:
            case "sessionId":
                return self._chance.choice(self._known.session_ids)
            case "resumeToken":
                return self._chance.choice(self._known.resume_tokens)
            case "token":
                return self._chance.choice(self._known.tokens)
            case "audioData":
                return self._audio_text()
            case "sourceLanguage" | "targetLanguage":
                return self._chance.choice(LANGUAGES)
            case "segmentId":
                return self._chance.choice(("0", "1", "2", "99", "-1", "x", "9" * 30, "٣"))
            case "sampleRate":
                return self._chance.choice((8000, 16_000, 24_000, 48_000, 44_100, 0, -1, 2**40))
            case "channels":
                return self._chance.choice((1, 1, 1, 2, 0))
        return self._of_type(kind)

    def _of_type(self, kind: msgspec.inspect.Type) -> object:
        match kind:
            case msgspec.inspect.UnionType(types=types):
                return self._of_type(self._chance.choice(types))
            case msgspec.inspect.LiteralType(values=values):
                return self._chance.choice(values)
            case msgspec.inspect.StructType(fields=parts):
                return {
                    part.encode_name: self._of_type(part.type)
                    for part in parts
                    if self._chance.random() < 0.7
                }
            case msgspec.inspect.DictType(key_type=key, value_type=value):
                return {
                    str(self._of_type(key)): self._of_type(value) for _ in range(self._chance.randrange(4))
                }
            case msgspec.inspect.BoolType():
                return self._chance.random() < 0.5
            case msgspec.inspect.IntType(ge=low, le=high):
                return self._chance.randint(low or 0, high if high is not None else 2**40)
            case msgspec.inspect.FloatType(ge=low, le=high):
                low, high = low or 0.0, high if high is not None else 1e6
                return self._chance.choice((low, high, self._chance.uniform(low, high)))
            case msgspec.inspect.StrType(min_length=low, max_length=high):
                size = self._chance.randint(low or 1, min(high or 40, 200))
                return "".join(self._chance.choice("aé字🎙 b") for _ in range(size))
        return None
