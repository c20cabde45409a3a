"""Rate limits as single conditional updates, so that any number of processes share a bucket."""

from typing import Final

from session_svc import quotas
from session_svc.quotas import Quota, Verdict
from session_svc.store.dynamodb import rows
from session_svc.store.dynamodb.calls import Calls, Write
from session_svc.store.dynamodb.faults import ConditionFailed
from session_svc.store.dynamodb.rows import Value, number

_US_PER_MS: Final = 1000


async def take(calls: Calls, table: str, key: str, quota: Quota, *, now_ms: int) -> Verdict:
    """Take one token, deciding as `quotas.take` does.

    A bucket that is in use takes a sum, which no other one that takes can spoil; only one that was full, and
    one left in disorder by a clock that went back, are set.

    Raises: ConditionFailed when another one did that first; StoreUnavailable.
    """
    now_us = now_ms * _US_PER_MS
    most_us = now_us + quota.limit * quota.cost_us
    values: dict[str, Value] = {
        "now": number(now_us),
        "cost": number(quota.cost_us),
        "room": number(most_us - quota.cost_us),
        "most": number(most_us),
        "ttl": rows.rate_ttl(most_us),
        "sum": number(now_us + quota.cost_us),
    }

    async def update(change: str, condition: str) -> int:
        row = await calls.update(
            Write(
                "Update",
                table,
                {"rateKey": rows.text(key)},
                condition,
                values,
                f"SET {change}, #ttl = :ttl",
            )
        )
        return int(row["fullAt"]["N"])

    try:
        in_use = "#fullAt BETWEEN :now AND :room"
        return Verdict(granted=True, full_at_us=await update("#fullAt = #fullAt + :cost", in_use))
    except ConditionFailed as failed:
        row = failed.rows[0]
    full_at_us = int(row["fullAt"]["N"]) if row else 0
    verdict = quotas.take(quota, full_at_us, now_ms=now_ms)
    if verdict.granted:
        full = "attribute_not_exists(#fullAt) OR #fullAt < :now"
        await update("#fullAt = :sum", full)
    elif full_at_us > most_us:
        await update("#fullAt = :most", "#fullAt > :most")
    return verdict
