"""What a Prometheus knows, by its HTTP API."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import aiohttp
import msgspec

from babelcast.errors import ServiceUnavailable

TIMEOUT_S: Final = 15.0
"""For one question, its wait for a turn included."""
AT_ONCE: Final = 8
"""Questions under way; a Prometheus answers 20 unless it is told otherwise, and others ask it too."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One series' value now. NaN is what a division by nothing gives."""

    labels: Mapping[str, str]
    value: float

    @property
    def is_number(self) -> bool:
        """Whether there is anything to compare."""
        return math.isfinite(self.value)


class _Series(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Vector(msgspec.Struct):
    result: list[_Series]


class _Rule(msgspec.Struct):
    name: str
    health: str = "unknown"


class _Group(msgspec.Struct):
    rules: list[_Rule]


class _Groups(msgspec.Struct):
    groups: list[_Group]


class _VectorAnswer(msgspec.Struct):
    data: _Vector


class _RulesAnswer(msgspec.Struct):
    data: _Groups


_Answer = TypeVar("_Answer", _VectorAnswer, _RulesAnswer)


class Prometheus:
    """Asks one Prometheus. Errors name its address."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url.rstrip("/")
        self._session = session
        self._turns = asyncio.Semaphore(AT_ONCE)

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, url: str) -> AsyncIterator["Prometheus"]:
        """One at `url`, http:// or https://."""
        async with aiohttp.ClientSession() as session:
            yield cls(url, session)

    async def ask(self, expression: str) -> Sequence[Sample]:
        """What `expression` is now, a sample for each series; none when there are none.

        Raises: ServiceUnavailable when it does not answer, or does not take the expression.
        """
        answer = await self._get("query", {"query": expression}, _VectorAnswer)
        return [Sample(one.metric, float(one.value[1])) for one in answer.data.result]

    async def alerts(self) -> Mapping[str, str]:
        """The alerts that it has rules for, and the rules' health: `ok`, `unknown` or `err`.

        Raises: ServiceUnavailable.
        """
        answer = await self._get("rules", {"type": "alert"}, _RulesAnswer)
        return {rule.name: rule.health for group in answer.data.groups for rule in group.rules}

    async def _get(self, what: str, query: Mapping[str, str], kind: type[_Answer]) -> _Answer:
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._turns,
                self._session.get(f"{self._url}/api/v1/{what}", params=query) as response,
            ):
                body = await response.read()
                if response.status == 400:  # noqa: PLR2004 - Bad Request
                    raise ServiceUnavailable(f"Prometheus does not take a question: {body.decode()[:300]}")
                response.raise_for_status()
            return msgspec.json.decode(body, type=kind)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ServiceUnavailable(f"Prometheus at {self._url} cannot be asked: {_said(error)}.") from error


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s"
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
