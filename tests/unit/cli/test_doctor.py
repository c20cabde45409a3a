"""What the doctor finds."""

import json
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from cli import devices, doctor
from cli.doctor import Finding, Patient, Verdict
from tests.unit.cli.page import Page
from translation_svc.translators import model_checks
from translation_svc.translators.models import RECORD, Record


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    """A machine with any port."""
    return Patient(host="127.0.0.1", port=0, data_dir=tmp_path / "data", environ={})


def verdicts(findings: Iterable[Finding]) -> list[Verdict]:
    """Only how bad it is."""
    return [finding.verdict for finding in findings]


def test_a_port_in_use_is_a_warning(patient: Patient) -> None:
    """It may be the server itself."""
    assert verdicts(doctor.port(patient)) == [Verdict.OK]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        used = Patient(host="127.0.0.1", port=taken.getsockname()[1], data_dir=patient.data_dir, environ={})
        (finding,) = doctor.port(used)
    assert finding.verdict is Verdict.WARN
    assert "--port" in finding.mend


def test_missing_debian_packages_are_named_with_the_command(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer languages are a warning, and the mending is one command."""
    monkeypatch.setattr(doctor, "DEBIAN_PACKAGES", {"apertium-x": "/nowhere/x", "bash": "/bin/sh"})
    (finding,) = doctor.apertium(patient)
    assert (finding.verdict, finding.mend) == (Verdict.WARN, "apt-get install apertium-x")


def test_a_missing_module_is_a_failure(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine's package that is not installed is named."""
    assert verdicts(doctor.packages(patient)) == [Verdict.OK]
    monkeypatch.setattr(doctor, "ENGINE_MODULES", ("no_such_module", "numpy"))
    (finding,) = doctor.packages(patient)
    assert finding.verdict is Verdict.FAIL
    assert "no_such_module" in finding.found


def test_a_missing_better_voice_is_only_warned_of(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """espeak-ng speaks its languages then."""
    assert verdicts(doctor.better_voice(patient)) == [Verdict.OK]
    monkeypatch.setattr(doctor, "PICO_MODULE", "no_such_module")
    assert verdicts(doctor.better_voice(patient)) == [Verdict.WARN]
    assert doctor.better_voice in doctor.CHECKS


def test_another_python_is_a_failure(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only 3.11 will do."""
    assert verdicts(doctor.python(patient)) == [Verdict.OK]
    monkeypatch.setattr(doctor, "PYTHON", (2, 7))
    assert verdicts(doctor.python(patient)) == [Verdict.FAIL]


def test_a_damaged_model_is_a_failure(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not as its package's record says is found."""
    assert verdicts(doctor.translation(patient)) == [Verdict.OK, Verdict.OK]
    assert verdicts(doctor.endpointing(patient)) == [Verdict.OK]
    monkeypatch.setattr(doctor, "_intact", lambda _distribution, _file: False)
    monkeypatch.setattr(model_checks, "sha256", lambda _file: "0")
    added = patient.data_dir / "models" / "en-de"
    added.mkdir(parents=True)
    for name in ("model.ende.bin", "vocab.ende.spm"):
        (added / name).write_bytes(b"x")
    record = Record(origin="", registry="", added="", checked=True, files={"model.ende.bin": "1"})
    (added / RECORD).write_bytes(msgspec.json.encode(record))
    found = list(doctor.translation(patient))
    assert verdicts(found) == [Verdict.FAIL] * 3
    assert found[0].mend == "babelcast models add en-de"
    assert verdicts(doctor.endpointing(patient)) == [Verdict.FAIL]


def test_a_package_s_record_tells_whole_files_from_damaged_ones(tmp_path: Path) -> None:
    """A recorded file is intact, one beside it is unknown, and so is every file of an unknown package."""
    import msgspec

    inside = Path(msgspec.__file__)
    assert doctor._intact("msgspec", inside) is True
    assert doctor._intact("msgspec", tmp_path / "x") is None
    assert doctor._intact("no-such-distribution", inside) is None


def test_a_model_folder_that_is_not_there_is_a_failure(patient: Patient, tmp_path: Path) -> None:
    """A named folder without a model is not passed over."""
    named = Patient(
        host="", port=0, data_dir=tmp_path, environ={"TRANSCRIPTION_MODEL": str(tmp_path / "absent")}
    )
    (finding,) = doctor.recognition(named)
    assert finding.verdict is Verdict.FAIL
    assert "TRANSCRIPTION_MODEL" in finding.mend


def test_the_disk_is_looked_at_where_the_data_will_be(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that does not exist yet counts as its parent; little room is a warning."""
    assert verdicts(doctor.disk(patient)) == [Verdict.OK]
    monkeypatch.setattr(doctor, "ENOUGH_DISK_BYTES", 1 << 62)
    assert verdicts(doctor.disk(patient)) == [Verdict.WARN]
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    assert verdicts(doctor.disk(patient)) == [Verdict.FAIL]


def test_devices_are_only_warned_of(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server needs neither microphone nor loudspeaker."""
    monkeypatch.setattr(
        devices, "why_no_device", lambda kind: "PortAudio is not installed" * (kind == "input")
    )
    microphone, loudspeaker = doctor.sound_devices(patient)
    assert (microphone.verdict, loudspeaker.verdict) == (Verdict.WARN, Verdict.OK)
    assert microphone.mend == "apt-get install libportaudio2"


def test_the_report_is_lines_or_json_and_only_failures_count(
    patient: Patient,
    console: Console,
    page: Page,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit code 0 with warnings, 1 with a failure; --json says the same for programs."""

    def warns(_patient: Patient) -> Iterator[Finding]:
        yield Finding("a", Verdict.WARN, "so so", "do this")

    def fails(_patient: Patient) -> Iterator[Finding]:
        yield Finding("b", Verdict.FAIL, "bad")

    monkeypatch.setattr(doctor, "CHECKS", (warns,))
    assert doctor.doctor(patient, console, as_json=False) == 0
    assert page.getvalue() == "WARN a: so so  → do this\n"
    monkeypatch.setattr(doctor, "CHECKS", (warns, fails))
    assert doctor.doctor(patient, console, as_json=True) == 1
    found = json.loads(capsys.readouterr().out)
    assert [finding["verdict"] for finding in found] == ["warn", "fail"]
    assert found[0]["mend"] == "do this"


@pytest.mark.engines
def test_this_machine_has_its_models(patient: Patient) -> None:
    """Recognition and voice are found where the tests run."""
    assert verdicts(doctor.recognition(patient)) == [Verdict.OK]
    assert verdicts(doctor.voice(patient)) == [Verdict.OK]
