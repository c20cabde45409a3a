"""Engine failures.

EngineFailure            an engine did not do its work; the segment's language gets a Failure, others go on
├── EngineTimedOut       no answer before the deadline; the engine's process was ended
├── EngineDied           the engine's process ended during the call
├── EngineMissing        it cannot be started or reached, or failed so often that it rests for a while
│   └── EngineForbidden  it does not take our credentials, or they do not allow this
├── EngineBusy           it turned us away until the retries were used up
└── EngineRefused        it answered that it cannot do this
    ├── EngineLacksLanguage  ... since it does not know the language, or not this pair
    └── EnginePoisoned       it was not asked: it died of this text, or hung, as often as we try
"""

from babelcast.errors import BabelcastError, ErrorCode, ServiceUnavailable
from babelcast.telemetry.instruments import CODE, COMPONENT, ENGINE, TRANSLATION_FAILURES
from translation_svc.segments import Component


class EngineFailure(ServiceUnavailable):
    """An engine did not do its work."""

    def __init__(self, engine: str, what: str) -> None:
        BabelcastError.__init__(self, f"The engine {engine} {what}.", component=engine)
        self.engine = engine


class EngineTimedOut(EngineFailure):
    """No answer in time."""

    def __init__(self, engine: str, timeout_s: float) -> None:
        super().__init__(engine, f"did not answer within {timeout_s:g} s")


class EngineDied(EngineFailure):
    """The process ended during the call."""

    def __init__(self, engine: str) -> None:
        super().__init__(engine, "ended unexpectedly")


class EngineMissing(EngineFailure):
    """The engine is not there."""

    def __init__(self, engine: str, why: str) -> None:
        super().__init__(engine, f"is not available: {why}")


class EngineForbidden(EngineMissing):
    """The engine does not take our credentials, or they do not allow what was asked."""


class EngineBusy(EngineFailure):
    """The engine has no room for us at the moment."""

    def __init__(self, engine: str, why: str) -> None:
        super().__init__(engine, f"is overloaded: {why}")


class EngineRefused(EngineFailure):
    """The engine says that it cannot."""

    code = ErrorCode.INTERNAL_ERROR

    def __init__(self, engine: str, why: str) -> None:
        super().__init__(engine, f"refused: {why}")


class EngineLacksLanguage(EngineRefused):
    """The engine does not know the language, or not this pair."""

    code = ErrorCode.UNSUPPORTED_LANGUAGE


class EnginePoisoned(EngineRefused):
    """The text is not tried any more."""

    def __init__(self, engine: str) -> None:
        super().__init__(engine, "it did not survive this before")


def count(component: Component, error: BaseException) -> None:
    """Count a segment that a language does not get, by the engine that failed; none when time ran out."""
    engine = error.engine if isinstance(error, EngineFailure) else ""
    code = error.code if isinstance(error, BabelcastError) else ErrorCode.SERVICE_UNAVAILABLE
    TRANSLATION_FAILURES.add(1, {COMPONENT: component.value, ENGINE: engine, CODE: code.value})
