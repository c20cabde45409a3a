"""How commands end."""

from collections.abc import Coroutine

import pytest
import typer

from babelcast.config import ConfigError
from babelcast.errors import ErrorCode, RemoteError, ServiceUnavailable, SessionNotFound
from cli import outcome


def ends(work: Coroutine[object, object, int]) -> int:
    """The exit code of a command's work."""
    with pytest.raises(typer.Exit) as caught:
        outcome.run(work)
    return caught.value.exit_code


async def _returns(code: int) -> int:
    return code


async def _raises(error: BaseException) -> int:
    raise error


def test_the_work_s_own_code_is_the_exit_code() -> None:
    """A command decides its exit code."""
    assert ends(_returns(0)) == 0
    assert ends(_returns(3)) == 3


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (SessionNotFound("a-b-100"), "SESSION_NOT_FOUND: There is no session a-b-100."),
        (ConfigError("PORT: expected int"), "PORT: expected int"),
        (
            FileNotFoundError(2, "No such file or directory", "talk.wav"),
            "talk.wav: No such file or directory",
        ),
        (
            ExceptionGroup("", [ExceptionGroup("", [ServiceUnavailable("Gone\nnow.")])]),
            "SERVICE_UNAVAILABLE: Gone now.",
        ),
        (
            RemoteError(ErrorCode.SERVICE_UNAVAILABLE, "Full.", {"retryAfter": 5}),
            "SERVICE_UNAVAILABLE: Full. Try again in 5 s.",
        ),
        (
            RemoteError(ErrorCode.UNSUPPORTED_LANGUAGE, "No de.", {"available": ["ca", "en"]}),
            "UNSUPPORTED_LANGUAGE: No de. There is: ca, en.",
        ),
        (OSError("odd"), "odd"),
    ],
)
def test_a_named_error_is_one_line(
    error: BaseException, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The code, what happened, exit code 1, and no traceback."""
    assert ends(_raises(error)) == 1
    assert capsys.readouterr().err == f"babelcast: {line}\n"


def test_ctrl_c_has_its_usual_code() -> None:
    """An interrupted command ends with 130."""
    assert ends(_raises(KeyboardInterrupt())) == 130


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    """What has no name is raised, alone or among others."""
    with pytest.raises(ZeroDivisionError):
        outcome.run(_raises(ZeroDivisionError()))
    with pytest.raises(ExceptionGroup):
        outcome.run(_raises(ExceptionGroup("", [ServiceUnavailable("x"), ZeroDivisionError()])))
