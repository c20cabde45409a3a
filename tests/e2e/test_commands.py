"""The commands as a newcomer uses them, each a process of its own."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from babelcast.wav import read
from cli import places
from tests.e2e.served import Served, command, environment, run

pytestmark = pytest.mark.engines

CODE = re.compile(r"[a-z]+-[a-z]+-[1-9][0-9]{2}")


def test_what_one_speaks_another_hears(system: Served, tmp_path: Path) -> None:
    """`speak` prints the code and its transcript; `listen` prints captions and writes the voice."""
    out = tmp_path / "talk.wav"
    with subprocess.Popen(
        command("speak", str(places.SPEECH), "--url", system.url, "--data-dir", str(system.data_dir)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(PYTHONUNBUFFERED="1"),
    ) as speaking:
        assert speaking.stdout is not None
        code = next(found[0] for line in speaking.stdout if (found := CODE.search(line)))
        listened = run("listen", code, "--to", "es", "--url", system.url, "--no-voice", "--out", str(out))
        transcript, _ = speaking.communicate(timeout=60)
    assert (speaking.returncode, listened.returncode) == (0, 0), listened.stderr
    assert "country" in transcript
    assert "país" in listened.stdout
    assert read(out).seconds > 1


def test_all_seven_smoke_tests_pass(system: Served) -> None:
    """`smoke` prints one line each, the latency in the last, and ends with exit code 0."""
    done = run("smoke", system.url, "--data-dir", str(system.data_dir))
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line[:8] for line in lines] == [f"PASS  {number} " for number in range(1, 8)]
    assert re.search(r"latency \d+\.\d\d s median", lines[-1])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["listen", "golden-eagle-427", "--to", "es", "--no-voice"], "SESSION_NOT_FOUND"),
        (["listen", "nonsense", "--to", "es", "--no-voice"], "INVALID_SESSION_ID"),
        (["smoke", "--token", "nonsense"], "UNAUTHORIZED"),
    ],
)
def test_a_refusal_is_one_line(system: Served, words: list[str], code: str) -> None:
    """What the server refuses is one line with its code, and exit code 1."""
    where = [system.url] if words[0] == "smoke" else ["--url", system.url]
    done = run(*words, *where)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"babelcast: {code}: ")


def test_a_port_or_a_directory_in_use_is_one_line(system: Served, tmp_path: Path) -> None:
    """A second server where one is ends at once and says why."""
    started_s = time.monotonic()
    port = run("serve", "--port", str(system.port), "--data-dir", str(tmp_path))
    directory = run("serve", "--port", "0", "--data-dir", str(system.data_dir))
    assert (port.returncode, directory.returncode) == (1, 1)
    assert port.stderr.count("\n") == directory.stderr.count("\n") == 1
    assert "in use" in port.stderr
    assert str(system.data_dir) in directory.stderr
    assert time.monotonic() - started_s < 15
