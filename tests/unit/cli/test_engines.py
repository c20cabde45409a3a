"""Which engines a server is asked for."""

from pathlib import Path

from babelcast import scripted
from cli import doctor, places, serve
from cli.doctor import Patient, Verdict
from cli.engines import SETTINGS, Engines, chosen, scripted_in


def test_scripted_engines_take_the_place_of_all() -> None:
    """Whatever was configured."""
    environ = {"VOICE_ENGINE": "polly", "PORT": "1"}
    assert chosen(Engines.CONFIGURED, environ) is environ
    found = chosen(Engines.SCRIPTED, environ)
    assert found["PORT"] == "1"
    assert {found[name] for name in SETTINGS} == {"scripted"}
    assert int(found["TRANSLATION_MAX_STREAMS"]) >= 1000
    assert chosen(Engines.SCRIPTED, {"TRANSLATION_MAX_STREAMS": "2"})["TRANSLATION_MAX_STREAMS"] == "2"
    assert scripted_in(found) == list(SETTINGS)
    assert scripted_in({"VOICE_ENGINE": "scripted"}) == ["VOICE_ENGINE"]
    assert scripted_in(environ) == []


def test_the_doctor_warns_of_scripted_engines(tmp_path: Path) -> None:
    """And says what to do for real speech."""
    patient = Patient(
        host="127.0.0.1", port=0, data_dir=tmp_path, environ={"TRANSCRIPTION_ENGINE": "scripted"}
    )
    (finding,) = doctor.engines(patient)
    assert (finding.verdict, finding.found) == (Verdict.WARN, scripted.NOTICE)
    assert "TRANSCRIPTION_ENGINE" in finding.mend
    assert list(doctor.engines(Patient(host="h", port=0, data_dir=tmp_path, environ={}))) == []


def test_what_to_try_with_scripted_engines() -> None:
    """Speech that they understand."""
    tries = serve.commands(places.DEFAULT_URL, Path("/data"), program="babelcast", tests=True)
    assert any("--scripted" in line for line in tries)
    assert not any(".wav" in line for line in tries)
