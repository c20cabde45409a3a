"""How speakers sign in on the pages: by a login elsewhere, or with one click on the machine itself. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from babelcast.config import ConfigError
from gateway.address import Network, is_in
from gateway.config import GatewayConfig
from gateway.web.origins import Origin, is_loopback

# Any of these says that a proxy passed the request on, for somebody elsewhere perhaps.
PASSED_ON: Final = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip")
LOCAL_SUBJECT: Final = "local-speaker"


@dataclass(frozen=True, slots=True)
class Login:
    """An OpenID Connect provider: Authorization Code with PKCE, without a secret (RFC 9700, 2.1.1)."""

    authorize_url: str
    token_url: str
    client_id: str
    scope: str

    @classmethod
    def of(cls, config: GatewayConfig) -> Self | None:
        """The one that is configured; None when there is none.

        Raises: ConfigError when it is configured in part, or an address is not https.
        """
        needed = {
            "LOGIN_AUTHORIZE_URL": config.login_authorize_url,
            "LOGIN_TOKEN_URL": config.login_token_url,
            "LOGIN_CLIENT_ID": config.login_client_id,
        }
        if not any(needed.values()):
            return None
        missing = [name for name, value in needed.items() if not value]
        if missing:
            raise ConfigError(f"{', '.join(missing)} must be set too")
        for name in ("LOGIN_AUTHORIZE_URL", "LOGIN_TOKEN_URL"):
            origin = Origin.of(needed[name])
            if origin is None or not (origin.scheme == "https" or origin.is_loopback):
                raise ConfigError(f"{name}: must be an https address")
        return cls(
            authorize_url=config.login_authorize_url,
            token_url=config.login_token_url,
            client_id=config.login_client_id,
            scope=config.login_scope,
        )

    @property
    def token_origin(self) -> str:
        """Where the page asks for the token."""
        return str(Origin.of(self.token_url))


def is_local(*, peer: str, host: str, headers: Mapping[str, str]) -> bool:
    """Whether a request comes from this machine itself, for this machine, and through no proxy that says so.

    The Host keeps out pages whose name was made to lead here (DNS rebinding).
    """
    here = Origin.of(f"http://{host}")
    return (
        is_loopback(peer)
        and here is not None
        and here.is_loopback
        and not any(name in headers for name in PASSED_ON)
    )


def is_local_to_proxy(*, peer: str, host: str, trusted: Sequence[Network]) -> bool:
    """Whether a trusted proxy passed a request on that is for its own machine, as the Host says, which a
    browser does not make up. That nobody else can reach the proxy has to be known otherwise.
    """
    here = Origin.of(f"http://{host}")
    return here is not None and here.is_loopback and is_in(peer, trusted)


def from_own_page(*, host: str, origin_headers: Sequence[str], fetch_site: str) -> bool:
    """Whether a request was made by a page of ours: browsers say so, and nobody else asks like this."""
    if len(origin_headers) != 1:
        return False
    origin = Origin.of(origin_headers[0])
    return (
        origin is not None
        and origin == Origin.of(f"{origin.scheme}://{host}")
        and fetch_site in {"", "same-origin"}
    )
