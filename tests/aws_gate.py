"""DynamoDB Local behind a gate that reads every request off the wire, as AWS reads it to decide."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp import web

from tests.aws_policies import ACCOUNT, REGION, Asked

_PARTS: Final = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_HOP: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})


def asked(operation: str, body: Mapping[str, object]) -> Iterator[Asked]:
    """What a request to DynamoDB needs the right to: a transaction that of each of its parts, a batch that on
    each of its tables, a query that on its index.
    """
    match operation, body:
        case "TransactWriteItems", {"TransactItems": list(items)}:
            for item in items:
                for kind, part in item.items():
                    yield Asked(f"dynamodb:{_PARTS[kind]}", _table(part["TableName"]))
        case "BatchWriteItem" | "BatchGetItem", {"RequestItems": dict(tables)}:
            for table in tables:
                yield Asked(f"dynamodb:{operation}", _table(table))
        case _, {"TableName": str(table), "IndexName": str(index)}:
            yield Asked(f"dynamodb:{operation}", f"{_table(table)}/index/{index}")
        case _, {"TableName": str(table)}:
            yield Asked(f"dynamodb:{operation}", _table(table))
        case _, {"ResourceArn": str(arn)}:
            yield Asked(f"dynamodb:{operation}", _table(arn.rpartition("/")[2]))
        case _:
            yield Asked(f"dynamodb:{operation}", "*")


def _table(name: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


@dataclass(slots=True)
class Gate:
    """Passes on what may be done, refuses the rest as AWS does, and keeps both."""

    behind: str
    may: Callable[[Asked], bool]
    url: str = ""
    passed: set[Asked] = field(default_factory=set)
    refused: set[Asked] = field(default_factory=set)
    session: aiohttp.ClientSession | None = None

    async def answer(self, request: web.Request) -> web.Response:
        """Any request."""
        body = await request.read()
        operation = request.headers["X-Amz-Target"].rpartition(".")[2]
        wanted = set(asked(operation, json.loads(body)))
        denied = {one for one in wanted if not self.may(one)}
        self.refused |= denied
        if denied:
            name = "com.amazon.coral.service#AccessDeniedException"
            return web.json_response({"__type": name, "Message": f"may not {operation}"}, status=400)
        self.passed |= wanted
        assert self.session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        async with self.session.post(self.behind, data=body, headers=headers) as response:
            return web.Response(
                status=response.status,
                body=await response.read(),
                headers={
                    name: value
                    for name, value in response.headers.items()
                    if name.lower().startswith("x-amz") or name.lower() == "content-type"
                },
            )


@asynccontextmanager
async def gate(behind: str, may: Callable[[Asked], bool]) -> AsyncIterator[Gate]:
    """A gate in front of a DynamoDB, on a port of its own."""
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        made = Gate(behind, may, session=session)
        application = web.Application(client_max_size=2**24)
        application.router.add_route("POST", "/{path:.*}", made.answer)
        runner = web.AppRunner(application, shutdown_timeout=0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
