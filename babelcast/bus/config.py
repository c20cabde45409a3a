"""Which bus, and how to reach it."""

import dataclasses
import ssl
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from babelcast.config import ConfigError, setting

Bytes = Annotated[int, Meta(ge=1_000_000)]


@dataclasses.dataclass(frozen=True, slots=True)
class BusConfig:
    """The address of a NATS server or cluster, who we are there, and how much it keeps for us."""

    bus_url: str = setting(
        "",
        "NATS servers that join gateways, nats:// or tls://, with commas; empty for one gateway alone.",
    )
    nats_creds: str = setting("", "File with the credentials (JWT and seed) for NATS; empty for none.")
    nats_user: str = setting("", "User at NATS; may stand in BUS_URL instead.")
    nats_password: str = dataclasses.field(
        default="", repr=False, metadata={"help": "Password of NATS_USER."}
    )
    nats_token: str = dataclasses.field(
        default="", repr=False, metadata={"help": "Token for NATS, in place of user and password."}
    )
    nats_tls_ca: str = setting(
        "", "File with the certificates that NATS is known by; empty for the system's."
    )
    nats_tls_cert: str = setting("", "File with our certificate for NATS, for mutual TLS.")
    nats_tls_key: str = setting("", "File with the key of NATS_TLS_CERT.")
    nats_replicas: Literal[1, 3, 5] = setting(1, "How many servers of a NATS cluster keep each message.")
    nats_max_bytes: Bytes = setting(
        1_000_000_000, "Most that the history may take on a NATS server, bytes; above it the oldest goes."
    )

    @property
    def servers(self) -> list[str]:
        """The addresses."""
        return [url.strip() for url in self.bus_url.split(",") if url.strip()]

    @property
    def tls(self) -> bool:
        """Whether a server without TLS is refused."""
        return bool(
            self.nats_tls_ca or self.nats_tls_cert or any(url.startswith("tls://") for url in self.servers)
        )

    def tls_context(self) -> ssl.SSLContext:
        """How a server is known, and we to it.

        Raises: ConfigError.
        """
        try:
            context = ssl.create_default_context(cafile=self.nats_tls_ca or None)
            if self.nats_tls_cert:
                context.load_cert_chain(self.nats_tls_cert, self.nats_tls_key or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"NATS_TLS_CA, NATS_TLS_CERT or NATS_TLS_KEY: {error.strerror or error}"
            ) from error
        return context

    def check(self) -> None:
        """Say what does not fit before anything is tried.

        Raises: ConfigError.
        """
        for url in self.servers:
            if not url.startswith(("nats://", "tls://")):
                raise ConfigError("BUS_URL: an address begins with nats:// or tls://")
        if self.nats_creds and not Path(self.nats_creds).is_file():
            raise ConfigError("NATS_CREDS: there is no such file")
        if bool(self.nats_user) != bool(self.nats_password):
            raise ConfigError("NATS_USER and NATS_PASSWORD go together")
