"""What a log must not tell, taken out of text: tokens, other secrets, and people's addresses. Pure.

A net under the rule that nothing logs such things in the first place. It knows tokens by their looks, by the
words in front of them, and by being long and random; a shortened opaque token looks like any other word.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final

HIDDEN: Final = "[hidden]"

_SECRET_NAMES: Final = re.compile(r"(?i)(?:^|_)(token|secret|password|authorization|cookie|credentials?)$")
_WEB_TOKEN: Final = re.compile(r"eyJ[\w-]{6,}(?:\.[\w-]*){0,4}", re.ASCII)
_SCHEME: Final = re.compile(r"(?i)\b(bearer|basic)(\s+|%20)[\w.~+/=-]{8,}", re.ASCII)
_NAMED: Final = re.compile(
    r"""(?ix) (token|secret|password|authorization|cookie|credential|api_?key)
    (\\*["']? \s* (?:[=:]|%3D) \s* \\*["']?) (?!\[hidden\]) [^\s"'\\&,;)}\]<>]+"""
)
_IN_URL: Final = re.compile(r"(://)[^/\s@]+@")
# the longest identifiers people write have no capitals, or no small letters
_OPAQUE: Final = re.compile(r"(?:[\w-]{12,}\.)?(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{40,}", re.ASCII)
_IPV6: Final = re.compile(r"(?<![\w.:])[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?!\w)")
_IPV4: Final = re.compile(r"(?<![\d.])(\d{1,3}\.\d{1,3})\.\d{1,3}\.\d{1,3}(?!\.?\d)", re.ASCII)
# whoever is here is nobody in particular
_NOBODYS: Final = frozenset({"127.0.0.1", "0.0.0.0", "::1", "::"})  # noqa: S104 - nothing listens there


def redacted(text: str) -> str:
    """The text with secrets hidden and addresses cut to the network they are in."""
    text = _IN_URL.sub(rf"\1{HIDDEN}@", text)
    text = _WEB_TOKEN.sub(HIDDEN, text)
    text = _SCHEME.sub(rf"\1\2{HIDDEN}", text)
    text = _NAMED.sub(rf"\1\2{HIDDEN}", text)
    text = _OPAQUE.sub(HIDDEN, text)
    text = _IPV6.sub(_network_v6, text)
    return _IPV4.sub(_network_v4, text)


def redacted_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """The same for fields of JSON's types; what is named as a secret is hidden whatever it is."""
    return {
        redacted(name): HIDDEN if _SECRET_NAMES.search(name) else _redacted_value(value)
        for name, value in fields.items()
    }


def _redacted_value(value: object) -> object:
    match value:
        case str():
            return redacted(value)
        case dict():
            return redacted_fields({str(name): inner for name, inner in value.items()})
        case list() | tuple():
            return [_redacted_value(inner) for inner in value]
        case _:
            return value


def _network_v4(found: re.Match[str]) -> str:
    return found[0] if found[0] in _NOBODYS else f"{found[1]}.x.x"


def _network_v6(found: re.Match[str]) -> str:
    text = found[0].rstrip(".")
    try:
        address = ip_address(text)
    except ValueError:
        return found[0]
    if text in _NOBODYS:
        return found[0]
    first, second, *_ = address.exploded.split(":")
    return f"{first}:{second}:x{found[0][len(text) :]}"
