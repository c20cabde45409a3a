"""Credentials from boto's chain: the same that all other AWS adapters here use.

Environment, profile (with role or SSO), web identity (IRSA), container (ECS, EKS pod identity), EC2 instance.
The library's own resolver knows a shorter chain, and may renew credentials in the middle of a stream, whose
chunks are all signed with those that opened it.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from transcription_svc.engines.amazon.faults import NoCredentials


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Credentials as they are now."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


class KeySource(Protocol):
    """Where credentials come from."""

    async def keys(self) -> Keys:
        """Credentials that are good for a while.

        Raises: NoCredentials; BotoCoreError when they cannot be fetched now.
        """
        ...


class BotoKeys:
    """boto's chain. What expires is renewed in time, by boto."""

    def __init__(self) -> None:
        from aiobotocore.session import get_session

        self._session = get_session()
        self.region = str(self._session.get_config_variable("region") or "")
        """The region that the environment or the profile names; empty if none."""
        self._once = asyncio.Lock()

    async def keys(self) -> Keys:
        """Credentials that are good for a while.

        Raises: NoCredentials; BotoCoreError when they cannot be fetched now.
        """
        async with self._once:
            credentials = await self._session.get_credentials()
            if credentials is None:
                raise NoCredentials
            frozen = await credentials.get_frozen_credentials()
        if not frozen.access_key or not frozen.secret_key:
            raise NoCredentials
        return Keys(frozen.access_key, frozen.secret_key, frozen.token or None)
