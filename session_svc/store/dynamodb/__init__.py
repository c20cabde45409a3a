"""The record in DynamoDB: one row per session with its counters, one per connection, one per rate limit."""

from session_svc.store.dynamodb.store import DynamoDbStore

__all__ = ["DynamoDbStore"]
