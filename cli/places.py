"""Where the command line keeps and finds things when nobody says."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

DEFAULT_URL = "ws://127.0.0.1:8080"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
SPEECH = Path(__file__).parent / "data" / "jfk.wav"
"""Eleven seconds of English in the public domain."""


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """$XDG_DATA_HOME/babelcast, by default ~/.local/share/babelcast."""
    home = environ.get("XDG_DATA_HOME") or ""
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "share"
    return base / "babelcast"


def data_dir_or_default(chosen: Path | None) -> Path:
    """What was chosen, else the default of this user."""
    return (chosen or default_data_dir(os.environ)).expanduser()


def models_dir(configured: str, data_dir: Path) -> Path:
    """Where fetched translation models are: what MODELS_DIR says, else in the data directory."""
    return Path(configured).expanduser() if configured else data_dir / "models"


def pages_at(url: str) -> str:
    """Where the pages are of the server whose WebSockets open at `url`: http for ws, https for wss."""
    return f"http{url.removeprefix('ws')}"


def shell(*words: str) -> str:
    """A command as one can paste it."""
    return " ".join(shlex.quote(word) for word in words)


def program() -> str:
    """How this program was called, so that it can be called again."""
    found = shutil.which("babelcast")
    called = Path(sys.argv[0])
    if found is None or not called.exists() or not called.samefile(found):
        return str(called) if called.name == "babelcast" else "babelcast"
    return "babelcast"
