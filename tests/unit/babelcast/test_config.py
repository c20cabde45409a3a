"""Configuration from environment variables."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from msgspec import Meta

from babelcast.config import ConfigError, Setting, load, setting, settings


@dataclass(frozen=True, slots=True)
class Example:
    """One field of each kind."""

    host: str = setting("127.0.0.1", "Where.")
    port: Annotated[int, Meta(ge=0, le=65535)] = setting(8080, "Which.")
    ratio: float = setting(0.5, "How much, 0 to 1.")
    open: bool = setting(False, "Whether.")


def test_defaults_hold_where_nothing_is_set() -> None:
    """Absent and empty variables leave the default."""
    assert load(Example, {}) == Example()
    assert load(Example, {"PORT": "", "HOST": "", "SOMETHING": "else"}) == Example()


def test_variables_are_read_as_their_fields() -> None:
    """Text becomes what the field holds."""
    environ = {"HOST": "::1", "PORT": "0", "RATIO": "1", "OPEN": "true"}
    assert load(Example, environ) == Example(host="::1", port=0, ratio=1.0, open=True)


def test_everything_wrong_is_named_at_once() -> None:
    """One error names each variable that does not fit."""
    with pytest.raises(ConfigError) as caught:
        load(Example, {"PORT": "65536", "RATIO": "half", "OPEN": "perhaps", "HOST": "fine"})
    message = str(caught.value)
    assert [name in message for name in ("PORT", "RATIO", "OPEN", "HOST")] == [True, True, True, False]


def test_settings_are_what_documentation_shows() -> None:
    """Variable, default and help of each field, in order."""
    assert list(settings(Example))[:2] == [
        Setting("HOST", "127.0.0.1", "Where."),
        Setting("PORT", "8080", "Which."),
    ]


def test_a_field_without_a_default_shows_none() -> None:
    """A required field is documented too."""

    @dataclass(frozen=True, slots=True)
    class Required:
        name: str

    assert list(settings(Required)) == [Setting("NAME", "", "")]
