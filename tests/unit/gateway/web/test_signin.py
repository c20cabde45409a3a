"""What is configured of a login elsewhere."""

import pytest

from babelcast.config import ConfigError
from gateway.config import GatewayConfig
from gateway.web.signin import Login

HERE = "http://127.0.0.1:9000"


def test_without_settings_there_is_no_login() -> None:
    """A scope alone says nothing."""
    assert Login.of(GatewayConfig(login_scope="openid email")) is None


def test_a_login_has_three_settings_and_a_scope() -> None:
    """The token endpoint's origin is what a page must be allowed to ask."""
    login = Login.of(
        GatewayConfig(
            login_authorize_url=f"{HERE}/authorize", login_token_url=f"{HERE}/token", login_client_id="pages"
        )
    )
    assert login == Login(f"{HERE}/authorize", f"{HERE}/token", "pages", "openid")
    assert login is not None
    assert login.token_origin == HERE


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (GatewayConfig(login_client_id="pages"), "LOGIN_AUTHORIZE_URL, LOGIN_TOKEN_URL must be set too"),
        (GatewayConfig(login_authorize_url=HERE, login_token_url=HERE), "LOGIN_CLIENT_ID must be set too"),
        (
            GatewayConfig(login_authorize_url=HERE, login_token_url="http://a.example", login_client_id="x"),
            "LOGIN_TOKEN_URL: must be an https address",
        ),
        (
            GatewayConfig(login_authorize_url="javascript:x", login_token_url=HERE, login_client_id="x"),
            "LOGIN_AUTHORIZE_URL: must be an https address",
        ),
    ],
)
def test_half_a_login_is_refused(config: GatewayConfig, named: str) -> None:
    """With what is missing or wrong."""
    with pytest.raises(ConfigError, match=named):
        Login.of(config)
