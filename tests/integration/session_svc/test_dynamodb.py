"""The service on DynamoDB: two replicas of it, as one."""

from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from session_svc.store.dynamodb.tables import TableNames
from tests.integration.session_svc.running import on_tables, running


async def test_replicas_share_the_record(dynamodb: TableNames, tmp_path: Path) -> None:
    """What one replica makes, the other knows, limits included; the start of one loses no connection."""
    settings = replace(
        await on_tables(tmp_path, dynamodb),
        rate_limit_address_key="one for all",
        rate_limit_listener_joins_per_min=2,
    )
    async with running(settings) as one:
        code = (await one.created()).session.session_id
        await one.joined(code, "l1")
        async with running(settings, connections_lost=True) as other:
            assert (await other.got(code)).audience.listener_count == 1
            await other.joined(code, "l2", "fr")
            assert dict((await one.got(code)).audience.languages) == {"es": 1, "fr": 1}
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await one.joined(code, "l3")
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            await one.disconnected("l2")
            assert (await other.got(code)).audience.listener_count == 1
    assert not (tmp_path / "sessions.sqlite3").exists()
