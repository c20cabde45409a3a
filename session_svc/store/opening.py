"""The store that the configuration names."""

from session_svc.config import SessionConfig, StoreKind
from session_svc.store.base import SessionStore
from session_svc.store.sqlite import SqliteStore


async def open_store(config: SessionConfig) -> SessionStore:
    """Open it.

    Raises: StoreUnavailable.
    """
    if config.session_store is StoreKind.SQLITE:
        return await SqliteStore.open(config.sessions_file)
    from session_svc.store.dynamodb import DynamoDbStore
    from session_svc.store.dynamodb.tables import TableNames

    names = TableNames(
        config.sessions_table_name, config.connections_table_name, config.rate_limits_table_name
    )
    return await DynamoDbStore.open(names, region=config.aws_region)
