"""Writes the tables of the documentation from the code: `python -m docs.generate`.

A page keeps its prose; what stands between `<!-- begin NAME -->` and `<!-- end NAME -->` is replaced.
"""

import ast
import inspect
import itertools
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from babelcast import config, errors
from babelcast.archive.config import ArchiveConfig
from babelcast.auth.config import AuthConfig
from babelcast.bus.config import BusConfig
from babelcast.client.settings import ClientSettings
from babelcast.protocol import client_messages as ask
from babelcast.protocol import server_messages as say
from babelcast.protocol.codec import ALIASES
from babelcast.rpc.credentials import CallingConfig, ServingConfig
from babelcast.telemetry.config import TelemetryConfig
from docs import measures
from docs.notes import ANSWERS, FIELDS, HEARD_BY, SETTINGS, STATUSES
from gateway import permissions
from gateway.config import GatewayConfig
from gateway.permissions import ALLOWED, Role
from session_svc.config import SessionConfig
from transcription_svc.config import TranscriptionConfig
from translation_svc.config import TranslationConfig

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = (
    *(ROOT / "docs" / name for name in ("protocol.md", "client.md", "metrics.md")),
    ROOT / "README.md",
)
CONFIGS: Final = {
    "gateway": (GatewayConfig, AuthConfig, BusConfig, ArchiveConfig, CallingConfig, TelemetryConfig),
    "session": (SessionConfig, BusConfig, ServingConfig, TelemetryConfig),
    "transcription": (TranscriptionConfig, ServingConfig, TelemetryConfig),
    "translation": (TranslationConfig, ServingConfig, TelemetryConfig),
}
_BLOCK = re.compile(r"(<!-- begin (?P<name>[a-z-]+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)
_UNSHOWN_LIMIT = 2**53
_ROLES = {Role.NONE: "a connection without a role", Role.SPEAKER: "speaker", Role.LISTENER: "listener"}


class NoNoteError(Exception):
    """A field that docs/notes.py says nothing about."""


def render(page: str) -> str:
    """`page` with every generated block as the code would have it."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{BLOCKS[block['name']]()}\n\n{block[3]}", page)


def client_messages() -> str:
    """All that clients say."""
    kinds = typing.get_args(ask.AnyClientMessage)
    overview = _table(
        ("action", "also", "who", "answer"),
        (
            [f"[`{_tag(kind)}`](#{_tag(kind).lower()})", _aliases(kind), _who(kind), _answers(kind)]
            for kind in kinds
        ),
    )
    sections = [_section(_tag(kind), kind, hidden=_fields(ask.ClientMessage)) for kind in kinds]
    return "\n\n".join([overview, *sections])


def client_common() -> str:
    """What any message of a client may hold."""
    return _field_table(ask.ClientMessage)


def roles() -> str:
    """Who may do what with their own session, while it is live and when it has ended."""
    standings = [
        (Role.NONE, False),
        (Role.SPEAKER, False),
        (Role.LISTENER, False),
        (Role.SPEAKER, True),
        (Role.LISTENER, True),
    ]
    return _table(
        ("action", "no role", "speaker", "listener", "speaker, ended", "listener, ended"),
        (
            [f"`{_tag(kind)}`", *(_verdict(kind, role=role, ended=ended) for role, ended in standings)]
            for kind in typing.get_args(ask.AnyClientMessage)
        ),
    )


def server_messages() -> str:
    """All that the server says."""
    kinds = typing.get_args(say.AnyServerMessage)
    overview = _table(
        ("type", "to", "meaning"),
        ([f"[`{_tag(kind)}`](#{_tag(kind).lower()})", HEARD_BY[kind], _doc(kind)] for kind in kinds),
    )
    sections = [_section(_tag(kind), kind, hidden=_fields(say.ServerMessage)) for kind in kinds]
    parts = [
        _section(kind.__name__, kind, hidden=())
        for kind in (
            say.BroadcastState,
            say.Dynamics,
            say.Timing,
            say.SessionView,
            say.Usage,
            say.EngineUse,
        )
    ]
    return "\n\n".join([overview, *sections, *parts])


def server_common() -> str:
    """What any message of the server may hold."""
    return _field_table(say.ServerMessage)


def error_codes() -> str:
    """All errors, in the order of the code."""
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.BabelcastError) and "code" in vars(kind)
    ]
    meanings: dict[errors.ErrorCode, str] = {errors.ErrorCode.INTERNAL_ERROR: _doc(errors.InternalError)}
    for kind in kinds:
        meanings.setdefault(kind.code, _doc(kind))
    return _table(
        ("code", "status", "meaning"),
        ([f"`{code}`", str(STATUSES[code].value), meanings[code]] for code in errors.ErrorCode),
    )


def configuration() -> str:
    """The environment variables of all services."""
    rows: dict[str, tuple[config.Setting, list[str]]] = {}
    for service, kinds in CONFIGS.items():
        for setting in itertools.chain.from_iterable(map(config.settings, kinds)):
            rows.setdefault(setting.variable, (setting, []))[1].append(service)
    return _table(
        ("variable", "default", "read by", "meaning"),
        (
            [
                f"`{setting.variable}`",
                _shown_default(setting.default),
                ", ".join(services),
                SETTINGS.get(setting.variable) or _sentence(setting.help),
            ]
            for setting, services in rows.values()
        ),
    )


def client_settings() -> str:
    """What the Python client can be told, by the notes in its code."""
    (kind,) = ast.parse(inspect.getsource(ClientSettings)).body
    assert isinstance(kind, ast.ClassDef)  # noqa: S101 - that is what it is
    defaults = ClientSettings()
    rows: list[Sequence[str]] = []
    for field, note in itertools.pairwise(kind.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(note, ast.Expr) and isinstance(note.value, ast.Constant)  # noqa: S101
            name = field.target.id
            rows.append(
                [f"`{name}`", f"`{getattr(defaults, name):,}`".replace(".0`", "`"), str(note.value.value)]
            )
    return _table(("setting", "default", "meaning"), iter(rows))


BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "client-common": client_common,
    "client-messages": client_messages,
    "client-settings": client_settings,
    "roles": roles,
    "server-common": server_common,
    "server-messages": server_messages,
    "error-codes": error_codes,
    "configuration": configuration,
    "metrics": lambda: _table(
        ("instrument", "exported as", "kind", "unit", "attributes", "told by", "meaning"), measures.rows()
    ),
    "metrics-attributes": lambda: _table(("attribute", "meaning"), measures.attribute_rows()),
    "metrics-checklist": lambda: _table(
        ("of", "on the checklist", "here", "look at"), measures.checklist_rows()
    ),
}


def _section(title: str, kind: type[msgspec.Struct], *, hidden: Sequence[str]) -> str:
    shown = [name for name in _fields(kind) if name not in hidden]
    body = _field_table(kind, shown) if shown else "No fields of its own."
    return f"#### {title}\n\n{_doc(kind)}\n\n{body}"


def _field_table(kind: type[msgspec.Struct], names: Sequence[str] | None = None) -> str:
    described = msgspec.inspect.type_info(kind)
    assert isinstance(described, msgspec.inspect.StructType)  # noqa: S101 - that is what structs are
    from_server = kind.__module__ == say.__name__
    return _table(
        ("field", "type", "there" if from_server else "default", "meaning"),
        (
            [
                f"`{field.encode_name}`",
                _type(field.type),
                _presence(field) if from_server else _default(field),
                _note(kind, field.encode_name),
            ]
            for field in described.fields
            if names is None or field.encode_name in names
        ),
    )


def _note(kind: type[msgspec.Struct], name: str) -> str:
    for owner in (*kind.__mro__, None):
        note = FIELDS.get(f"{owner.__name__}.{name}" if owner is not None else name)
        if note is not None:
            return note
    raise NoNoteError(f"{kind.__name__}.{name}")


def _presence(field: msgspec.inspect.Field) -> str:
    return "where it applies" if field.default is msgspec.UNSET else "always"


def _default(field: msgspec.inspect.Field) -> str:
    if field.required:
        return "required"
    value = {} if field.default_factory is dict else field.default
    if value in ("", None, {}) or value is msgspec.NODEFAULT or value is msgspec.UNSET:
        return ""
    return f"`{msgspec.json.encode(value).decode().strip(chr(34))}`"


def _type(kind: msgspec.inspect.Type) -> str:
    match kind:
        case msgspec.inspect.UnionType(types=types):
            shown = [_type(part) for part in types if not isinstance(part, msgspec.inspect.NoneType)]
            return "number" if set(shown) == {"integer", "number"} else " or ".join(shown)
        case msgspec.inspect.LiteralType(values=values):
            return ", ".join(f"`{value}`" for value in values)
        case msgspec.inspect.StructType(cls=cls):
            return "object" if cls is ask.SpeakerState else f"[{cls.__name__}](#{cls.__name__.lower()})"
        case msgspec.inspect.DictType():
            return "object"
        case msgspec.inspect.CollectionType():
            return "list"
        case msgspec.inspect.BoolType():
            return "boolean"
        case msgspec.inspect.StrType(pattern=str()):
            return "session code"
        case msgspec.inspect.StrType(min_length=low, max_length=high):
            return "string" + _range(low, high, " characters")
        case msgspec.inspect.IntType(ge=low, le=high):
            return "integer" + _range(low, high, "")
        case msgspec.inspect.FloatType(ge=low, le=high):
            return "number" + _range(low, high, "")
    return "any"


def _range(low: float | None, high: float | None, unit: str) -> str:
    if high is None or high >= _UNSHOWN_LIMIT:
        return ""
    return f", {low:g} to {high:g}{unit}" if low is not None else f", at most {high:g}{unit}"


def _who(kind: type[ask.AnyClientMessage]) -> str:
    if kind in permissions.OPERATORS:
        return "operator"
    roles = ALLOWED[kind]
    return "anyone" if roles == frozenset(Role) else ", ".join(_ROLES[role] for role in Role if role in roles)


def _verdict(kind: type[ask.AnyClientMessage], *, role: Role, ended: bool) -> str:
    if kind in permissions.OPERATORS:
        return "operator"
    try:
        permissions.check(
            kind, action=_tag(kind), role=role, own_session="own", named_session="", ended=ended
        )
    except errors.BabelcastError as refused:
        return f"`{refused.code}`"
    return "yes"


def _aliases(kind: type[ask.AnyClientMessage]) -> str:
    return ", ".join(f"`{alias}`" for alias, (name, _) in ALIASES.items() if name == _tag(kind))


def _answers(kind: type[ask.AnyClientMessage]) -> str:
    return ", ".join(f"[`{_tag(answer)}`](#{_tag(answer).lower()})" for answer in ANSWERS[kind]) or "none"


def _tag(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)


def _fields(kind: type[msgspec.Struct]) -> Sequence[str]:
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def _doc(kind: type) -> str:
    return (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")


def _shown_default(text: str) -> str:
    if text in ("True", "False"):
        text = text.lower()
    return f"`{text.removesuffix('.0')}`" if text else ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""


def _table(head: Sequence[str], rows: "Iterator[Sequence[str]]") -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main() -> None:
    """Bring the pages up to date."""
    for path in PAGES:
        path.write_text(render(path.read_text()))


if __name__ == "__main__":
    main()
