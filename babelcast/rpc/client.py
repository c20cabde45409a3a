"""Channels to other services."""

from collections.abc import Sequence

import grpc
import msgspec

from babelcast.rpc.credentials import Calling
from babelcast.rpc.credentials_channel import CredentialedChannel
from babelcast.rpc.errors import domain_errors
from babelcast.rpc.options import CLIENT

__all__ = ["domain_errors", "open_channel"]


def open_channel(
    target: str, *, service: str = "", idempotent: Sequence[str] = (), calling: Calling | None = None
) -> grpc.aio.Channel:
    """A channel to `target` ("host:port"), spread over all its addresses; as `calling` says, or in the clear.

    `idempotent` names the unary methods of `service` that may be sent again when the server was not reached.
    Nothing else is retried: streams are reopened by their owner, who knows what was answered.
    """
    config: dict[str, object] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if idempotent:
        config["methodConfig"] = [
            {
                "name": [{"service": service, "method": method} for method in idempotent],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    options = [*CLIENT, ("grpc.service_config", msgspec.json.encode(config).decode())]
    if calling is None or calling == Calling():
        return grpc.aio.insecure_channel(target, options=options)
    return CredentialedChannel(target, calling, options)
