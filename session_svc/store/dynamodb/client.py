"""The connection to DynamoDB, as boto is configured: credentials, AWS_ENDPOINT_URL_DYNAMODB and the like."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from botocore.exceptions import BotoCoreError

from session_svc.store.base import StoreUnavailable
from session_svc.store.dynamodb.calls import Client
from session_svc.store.dynamodb.provisioning import Admin

CONNECT_TIMEOUT_S: Final = 1.0
READ_TIMEOUT_S: Final = 2.0
CONNECTIONS: Final = 64


class Boto(Client, Admin, Protocol):
    """What is used of aiobotocore's client."""


async def open_client(region: str) -> tuple[Boto, Callable[[], Awaitable[None]]]:
    """A client, and how to close it. An empty region is for boto to find.

    Raises: StoreUnavailable when the region is not known, or the configuration makes no sense.
    """
    import aioboto3
    from aiobotocore.config import AioConfig

    # Retries are ours: only we know which of them are safe.
    config = AioConfig(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        max_pool_connections=CONNECTIONS,
        retries={"total_max_attempts": 1},
    )
    stack = contextlib.AsyncExitStack()
    try:
        client: Boto = await stack.enter_async_context(
            aioboto3.Session().client("dynamodb", region_name=region or None, config=config)
        )
    except (BotoCoreError, ValueError) as error:
        raise StoreUnavailable(f"DynamoDB cannot be used: {error}") from error
    return client, stack.aclose
