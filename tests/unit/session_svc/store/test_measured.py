"""A store that tells how long it takes."""

import inspect

import pytest

from babelcast.telemetry.zeros import STORE_OPERATIONS
from session_svc.store.base import Refused, SessionStore, StoreUnavailable
from session_svc.store.measured import MeasuredStore
from tests.measured import Measured


class Lost:
    """A store whose every operation fails as it is told."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> object:
        async def fail(*_: object, **__: object) -> None:
            raise self.error

        return fail


def operations() -> list[str]:
    """All that a store can be asked."""
    return [
        name
        for name, member in vars(SessionStore).items()
        if inspect.iscoroutinefunction(member) and name != "aclose"
    ]


@pytest.mark.parametrize("operation", operations())
async def test_what_the_store_cannot_do_is_counted(operation: str, measured: Measured) -> None:
    """Under the operation's name, with the time that it took; a refusal is an answer."""
    parameters = inspect.signature(getattr(SessionStore, operation)).parameters.values()
    positional = [None for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD][1:]
    named = {each.name: None for each in parameters if each.kind is each.KEYWORD_ONLY}
    for error in (StoreUnavailable(), Refused()):
        store = MeasuredStore(Lost(error))  # type: ignore[arg-type]
        with pytest.raises(type(error)):
            await getattr(store, operation)(*positional, **named)
    assert measured.total("babelcast.store.failures", operation=operation) == 1
    assert measured.times("babelcast.store.duration", operation=operation) == 2


def test_every_operation_begins_at_zero() -> None:
    """Alarms see the first failure of each."""
    assert sorted(STORE_OPERATIONS) == sorted(operations())
