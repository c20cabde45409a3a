"""docs/operations.md: the whole checklist, each line of it a command that exists."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import figures, watch
from cli.main import app
from deploy.gates.preflight import LEAST_COVERAGE
from docs import generate, measures
from tests.alerting import RULES, assert_exists, known
from tests.exported import exported

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text()
PROGRAMS = {
    *("aws", "cat", "curl", "cut", "diff", "docker", "git", "jq", "kubectl", "mkdir", "promtool", "sed"),
    *("seq", "sleep"),
}
"""Of others."""
SHELL = {"export", "for", "do", "done", "break", "[", "}", "{", "if", "then", "fi"}
CHECKLIST = (
    # section, what a line there is about, what its command is
    ("Before", "all of it at once", "make preflight ENV="),
    ("Code", "all tests pass", "make check"),
    ("Code", "coverage above 80 %", "coverage"),
    ("Code", "linting", "make check"),
    ("Code", "formatted", "make check"),
    ("Code", "types", "make check"),
    ("Documentation", "readme", "make docs"),
    ("Documentation", "changelog", "CHANGELOG.md"),
    ("Documentation", "api", "tests/unit/docs"),
    ("Documentation", "integration points", "pytest"),
    ("Documentation", "troubleshooting", "runbook"),
    ("Security", "no secrets in code", "make secrets"),
    ("Security", "environment variables documented", "make settings"),
    ("Security", "permissions reviewed", "tests/integration/aws"),
    ("Security", "security validation", "abuse"),
    ("Security", "vulnerability", "deploy/dev/audit"),
    ("Images", "built", "make images"),
    ("Images", "recorded", "RepoDigests"),
    ("Compose", "the first time", "make up"),
    ("Compose", "a new version", "make rollout ENV=compose"),
    ("Kubernetes", "manifests can be made", "kubectl kustomize"),
    ("Kubernetes", "tables made", "babelcast tables check"),
    ("Kubernetes", "rolled out", "make rollout ENV=$ENV"),
    ("Kubernetes", "deployments", "kubectl --namespace"),
    ("Kubernetes", "the address", "get ingress"),
    ("Kubernetes", "eventbridge", "sweep"),
    ("Kubernetes", "log", "logs deployment/$service"),
    ("Environment variables", "every variable", "make settings ENV="),
    ("Permissions", "trust policies", "deploy/aws/iam/render"),
    ("Permissions", "roles have these", "aws iam get-role-policy"),
    ("Alarms", "rules are right", "check rules"),
    ("Alarms", "prometheus has them", "api/v1/rules"),
    ("Alarms", "who is told", "amtool config routes"),
    ("Smoke tests", "all seven", "babelcast smoke"),
    ("Smoke tests", "counters", "--metrics-url"),
    ("Smoke tests", "logs", "kubectl --namespace"),
    ("Dashboards", "the four", "api/dashboards"),
    ("Figures", "first day", "babelcast watch --over 24h"),
    ("Logs", "all errors", '.level == "ERROR"'),
    ("Logs", "latency by operation", "histogram_quantile"),
    ("Logs", "life of a session", "sort_by(.timestamp)"),
    ("Triggers", "none is met", "babelcast watch"),
    ("Procedure", "what it would go back to", "previous-revision"),
    ("Procedure", "rolled back", "make rollback ENV="),
    ("Procedure", "verified", "babelcast smoke"),
    ("Procedure", "team and status page", "curl"),
    ("Readiness", "tried in staging", "make rollback ENV=staging"),
    ("Readiness", "the team has done it", "make rollback"),
    ("Readiness", "who is called", "severity=page"),
    ("Sign-off", "the form", "make signoff ENV="),
)
"""What operators have to do, in the order of their old checklist."""
VARIABLES = {
    *("COGNITO_USER_POOL_ID", "COGNITO_CLIENT_ID", "AWS_REGION", "SESSIONS_TABLE_NAME"),
    *("CONNECTIONS_TABLE_NAME", "RATE_LIMITS_TABLE_NAME", "IDLE_TIMEOUT_SECONDS"),
    *("TRANSLATION_PIPELINE_FUNCTION_NAME", "ENABLE_EMOTION_DETECTION", "EMOTION_CACHE_TTL_SECONDS"),
    *("MAX_AUDIO_CHUNKS_PER_SECOND", "AUDIO_BUFFER_MAX_SECONDS", "TRANSLATION_CACHE_TABLE_NAME"),
}
"""Of the old checklist."""
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Item:
    """One line to tick."""

    section: str
    text: str
    commands: str


def items() -> list[Item]:
    """All, in their order."""
    found = []
    for section, body in re.findall(r"^##+ (.+?)\n(.*?)(?=^##+ |\Z)", PAGE, re.MULTILINE | re.DOTALL):
        for text in re.split(r"^- \[ \] ", body, flags=re.MULTILINE)[1:]:
            said, _, rest = text.partition("```sh\n")
            found.append(Item(section, " ".join(said.split()), rest.partition("```")[0]))
    return found


def lines() -> list[str]:
    """All lines of all blocks; those that go on are one."""
    blocks = "\n".join(_BLOCK.findall(PAGE)).replace("\\\n", " ")
    return [line.strip() for line in blocks.splitlines() if line.strip()]


def commands(line: str) -> Iterator[list[str]]:
    """The simple commands of a line, without what is redirected; what is between `$(` and `)` too."""
    inner = re.findall(r"\$\(([^()]+)\)", line) + re.findall(r"<\(([^()]+)\)", line)
    for one in inner:
        yield from commands(one)
    bare = re.sub(r"[$<]\([^()]+\)", "X", line)
    lexer = shlex.shlex(bare, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("|&;"):
            yield words
            words = []
        elif not (not words and word in {"do", "{", "then"}):
            words.append(word)
    yield words


COMMANDS = [words for line in lines() for words in commands(line) if words]


def test_every_line_has_its_command() -> None:
    """Nothing is to be ticked that cannot be run, and nothing is to be run that says not what it prints."""
    found = items()
    assert len(found) > 50
    assert [item.text for item in found if not item.commands.strip()] == []
    assert [item.commands for item in found if len(item.text) < 10] == []


@pytest.mark.parametrize(("section", "about", "command"), CHECKLIST)
def test_the_checklist_is_complete(section: str, about: str, command: str) -> None:
    """Each of its lines is in its section, as a command."""
    assert [
        item
        for item in items()
        if item.section == section and about in item.text.lower() and command in item.commands
    ]


def test_bash_reads_every_block() -> None:
    """As it stands."""
    for block in _BLOCK.findall(PAGE):
        done = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", COMMANDS, ids=[" ".join(words)[:60] for words in COMMANDS])
def test_every_command_exists(words: list[str]) -> None:
    """Targets of make, subcommands and options of ours, scripts, tests; and no program that is not known."""
    program = words[0]
    match program:
        case "make":
            targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
            named = {word for word in words[1:] if "=" not in word}
            assert named
            assert named <= targets
        case "babelcast":
            _assert_of_ours(words[1:])
        case _ if "/" in program:
            path = ROOT / program
            inside = path.parent == ROOT / ".venv" / "bin"
            assert os.access(Path(sys.executable).parent / path.name if inside else path, os.X_OK)
        case _:
            assert program in PROGRAMS | SHELL


def _assert_of_ours(words: list[str]) -> None:
    groups = {group.name for group in app.registered_groups}
    names = words[: 2 if words[0] in groups else 1]
    told = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": "300", "TERM": "dumb"})
    assert told.exit_code == 0, told.output
    assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", told.output))


def test_every_file_exists() -> None:
    """Those that commands name, in each environment."""
    for env in ("staging", "prod"):
        text = "\n".join(lines()).replace("$ENV", env)
        named = set(re.findall(r"(?<![\w./$-])((?:deploy|tests|cli|docs)/[\w./-]+)", text))
        assert len(named) > 15
        assert [name for name in named if not (ROOT / name).exists()] == []


def test_a_command_that_does_not_exist_is_found() -> None:
    """What is checked can fail."""
    for wrong in (
        "make deploy-all",
        "babelcast smoke --fast",
        "babelcast sessions kill X",
        "deploy/no",
        "wscat x",
    ):
        with pytest.raises(AssertionError):
            for words in commands(wrong):
                test_every_command_exists(words)


def test_queries_ask_for_what_is_exported() -> None:
    """Each PromQL of the page."""
    queries = re.findall(r"promtool query instant \$PROMETHEUS_URL '(.*)'", PAGE)
    assert len(queries) >= 4
    for query in queries:
        assert_exists(query, known(), exported())


def test_variables_are_those_of_services() -> None:
    """The old checklist's are all there; what stands for them can be set."""
    table = PAGE.split("| on the checklist | here | dev, compose |")[1].split("\n\n")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("|")][1:]
    assert set(re.findall(r"`([A-Z_]+)`", "".join(row[1] for row in rows))) == VARIABLES
    same = [row[1] for row in rows if "the same" in row[2]]
    named = set(re.findall(r"`([A-Z_]+)`", "".join([*same, *(row[2] for row in rows)])))
    assert named <= set(re.findall(r"^\| `([A-Z_0-9]+)` \|", generate.configuration(), re.MULTILINE))


def test_figures_are_those_of_the_watch() -> None:
    """Each name and target, each trigger, and each exit code."""
    for kind, name, _, _ in measures.CHECKLIST:
        assert name in PAGE or (kind, name) == ("resources", "CacheHitRate")
    for trigger in figures.TRIGGERS:
        assert f"`{trigger.name}`" in PAGE
    for seconds in (figures.QUICK_TARGET_S, figures.LAG_TARGET_S, figures.CONTROL_TARGET_S):
        assert f"p95 at most {seconds:g} s" in PAGE
    assert f"p95 of calls {figures.CALL_TARGET_S:g} s" in PAGE
    assert f"at most {figures.ERRORS_TARGET:.0%}".replace("%", " %") in PAGE
    assert f"error rate above {figures.ROLLBACK_ERRORS:.0%}".replace("%", " %") in PAGE
    assert f"more than {figures.LOST_S:g} s of speech" in PAGE
    assert f"more than {figures.ENOUGH} sentences" in PAGE
    assert f"Coverage above {LEAST_COVERAGE:g} %" in PAGE
    for ending in watch.Ending:
        assert f"| {ending.value} | `{ending.name.lower().replace('_', ' ')}` |" in PAGE


def test_alarms_and_smoke_tests_are_named() -> None:
    """The nine, by who is told, and the seven."""
    from cli.smoke import TESTS

    for rule in RULES:
        if rule.alert in figures.ALARMS:
            assert f"`{rule.alert}`" in PAGE.split("## Alarms")[1].split("## Smoke tests")[0]
    for number, (title, _) in enumerate(TESTS, start=1):
        assert re.search(rf"^\| {number} \| {title}", PAGE, re.MULTILINE)
