"""Which engines a server has, and whether any of them is a scripted one."""

from collections.abc import Mapping
from enum import StrEnum

from babelcast import scripted

SETTINGS = ("TRANSCRIPTION_ENGINE", "TRANSLATION_ENGINE", "VOICE_ENGINE")
"""The environment variables that choose engines."""
_ROOM = {"TRANSLATION_MAX_STREAMS": "1000"}
"""What a load test needs, and real engines would not stand."""


class Engines(StrEnum):
    """What `babelcast serve --engines` takes."""

    CONFIGURED = "configured"
    SCRIPTED = "scripted"


def chosen(engines: Engines, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment with these engines."""
    if engines is Engines.CONFIGURED:
        return environ
    return {**_ROOM, **environ, **dict.fromkeys(SETTINGS, scripted.NAME)}


def scripted_in(environ: Mapping[str, str]) -> list[str]:
    """The settings that ask for a scripted engine."""
    return [name for name in SETTINGS if environ.get(name) == scripted.NAME]
