"""Who is told of which alert."""

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from tests.alerting import FOLDER, PROGRAMS, RULES, Rule, program_there

CONFIG = FOLDER / "alertmanager.yaml"
ALERTS = [rule for rule in RULES if rule.alert]


class _Inhibition(msgspec.Struct):
    source_matchers: list[str]
    target_matchers: list[str]
    equal: list[str]


class _Config(msgspec.Struct):
    inhibit_rules: list[_Inhibition]


def amtool(*arguments: str | Path) -> str:
    """What it says."""
    program_there("amtool")
    environ = {**os.environ, "HOME": "/nonexistent"}  # a user's own settings would be mixed in
    done = subprocess.run(
        [PROGRAMS, "amtool", *arguments], check=False, capture_output=True, text=True, env=environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_goes_to(receiver: str, *labels: str) -> None:
    """What has these labels goes there, and nowhere else."""
    amtool("config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={receiver}", *labels)


def test_alertmanager_takes_it() -> None:
    """As it is."""
    assert "SUCCESS" in amtool("check-config", CONFIG)


@pytest.mark.parametrize("rule", ALERTS, ids=[rule.alert for rule in ALERTS])
def test_every_alert_goes_where_its_severity_says(rule: Rule) -> None:
    """Pages wake somebody, the rest waits in a mailbox, and the watchdog goes to who listens for silence."""
    wanted = {"page": "page", "email": "email", "none": "watchdog"}[rule.labels["severity"]]
    labels = [f"{name}={value}" for name, value in {**rule.labels, "alertname": rule.alert}.items()]
    assert_goes_to(wanted, *labels)


def test_what_nobody_thought_of_is_mailed() -> None:
    """An alert without a severity is not lost."""
    assert_goes_to("email", "alertname=New")


def test_a_wrong_route_is_found() -> None:
    """What is checked can fail."""
    with pytest.raises(AssertionError):
        assert_goes_to("page", "severity=email")


def test_inhibitions_name_what_exists() -> None:
    """Alerts, jobs and labels that rules have; and a page keeps back mails of its own part alone."""
    rules = msgspec.yaml.decode(CONFIG.read_text(), type=_Config).inhibit_rules
    values = {
        "alertname": {rule.alert for rule in ALERTS},
        "job": {f"babelcast-{name}" for name in ("gateway", "session", "transcription", "translation")},
        "severity": {rule.labels["severity"] for rule in ALERTS},
        "area": {rule.labels["area"] for rule in ALERTS},
    }
    for rule in rules:
        for matcher in rule.source_matchers + rule.target_matchers:
            label, _, value = matcher.partition(" = ")
            assert value.strip('"') in values[label], matcher
        assert "environment" in rule.equal
    assert any("severity" in one.target_matchers[0] and "area" in one.equal for one in rules)
