"""A client of DynamoDB that does only what the session service's policy allows."""

import functools
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from session_svc.store.dynamodb.tables import TableNames
from tests.aws_gate import asked
from tests.aws_policies import Asked, Policy, policy, rendered

READS_A_WHOLE_TABLE = "dynamodb:Scan"
"""For a system that nobody else uses, which has its own tables and an operator's rights."""


class Permitted:
    """Passes calls on, and fails the test that asks for more than `session.json` allows."""

    def __init__(self, client: object, names: TableNames) -> None:
        self._client = client
        self._usual = {
            f"table/{names.sessions}": "table/Sessions",
            f"table/{names.connections}": "table/Connections",
            f"table/{names.rate_limits}": "table/RateLimits",
        }

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        call: Callable[..., Awaitable[object]] = getattr(self._client, name)
        operation = "".join(word.capitalize() for word in name.split("_"))

        async def checked(**parameters: object) -> object:
            denied = [one for one in self._asked(operation, parameters) if not _rights().allows(one)]
            assert not denied, denied
            return await call(**parameters)

        return checked

    def _asked(self, operation: str, parameters: Mapping[str, object]) -> list[Asked]:
        found = [one for one in asked(operation, parameters) if one.action != READS_A_WHOLE_TABLE]
        for name, usual in self._usual.items():
            found = [replace(one, resource=one.resource.replace(name, usual)) for one in found]
        return found


@functools.cache
def _rights() -> Policy:
    with tempfile.TemporaryDirectory() as folder:
        return policy(rendered(Path(folder)), "session")
