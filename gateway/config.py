"""What a gateway can be told."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from babelcast.auth.config import OPERATOR_GROUP
from babelcast.config import setting

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Minutes = Annotated[float, Meta(gt=0)]
Hours = Annotated[float, Meta(gt=0)]
Port = Annotated[int, Meta(ge=0, le=65535)]


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Addresses, limits and timings of one gateway."""

    host: str = setting("127.0.0.1", "Address to listen on.")
    port: Port = setting(8080, "Port for HTTP and WebSocket; 0 for any.")
    tls_cert: str = setting(
        "", "PEM file of the certificate with its chain, for https and wss; re-read when it changes."
    )
    tls_key: str = setting("", "PEM file of that certificate's key.")
    public_url: str = setting("", "Address that listeners are sent to; the request's own host when empty.")
    allowed_origins: str = setting(
        "",
        "Pages elsewhere that may open WebSockets, e.g. https://talks.example, with commas; * for any. Pages "
        "of the gateway itself and programs that are no browser always may.",
    )
    stage_frame_origins: str = setting("", "Sites that may show the stage page in a frame, with commas.")
    login_authorize_url: str = setting("", "Where speakers log in (OpenID Connect, code flow with PKCE).")
    login_token_url: str = setting("", "Where the page gets its token after the login.")
    login_client_id: str = setting("", "Client id of the pages at that login; a public client, no secret.")
    login_scope: str = setting("openid", "Scopes that the pages ask for at the login, with spaces.")
    local_sign_in: bool = setting(
        True, "Whether the speaker's page signs in with one click on the gateway's own machine."
    )
    local_sign_in_through_proxy: bool = setting(
        False,
        "Whether that works through TRUSTED_PROXIES too, for pages at localhost; for a proxy that nobody but "
        "its own machine can reach.",
    )
    data_dir: str = setting("var", "Directory of the local issuer's key.")
    session_target: str = setting("127.0.0.1:50051", "Session service, host:port.")
    transcription_target: str = setting("127.0.0.1:50052", "Transcription service, host:port.")
    translation_target: str = setting("127.0.0.1:50053", "Translation service, host:port.")
    max_audio_chunks_per_second: Positive = setting(10, "Audio chunks a speaker may send, average a second.")
    audio_buffer_max_seconds: Positive = setting(
        5, "Audio that may wait for a transcription that lags, s; above it the oldest goes."
    )
    rate_limit_heartbeats_per_min: Positive = setting(10, "Heartbeats a connection may send a minute.")
    rate_limit_connection_attempts_per_min: Positive = setting(
        1200, "Connections an address may open a minute."
    )
    rate_limit_wrong_codes_per_min: Positive = setting(
        100, "Session codes and resume tokens that an address may get wrong a minute."
    )
    max_connections: NotNegative = setting(
        0, "Connections that a gateway process holds at most; 0 for what its limit of open files allows."
    )
    heartbeat_interval_seconds: Positive = setting(30, "How often the gateway pings a client, s.")
    heartbeat_timeout_seconds: Positive = setting(90, "Silence after which a client counts as gone, s.")
    idle_timeout_seconds: Positive = setting(600, "Silence after which any connection is closed, s.")
    connection_refresh_minutes: Minutes = setting(
        100, "Age at which a connection is asked to be renewed, min."
    )
    connection_warning_minutes: Minutes = setting(105, "Age at which a connection is warned of its end, min.")
    session_max_duration_hours: Hours = setting(
        2.0, "How long a session lasts unless its speaker refreshes, and a connection at most, h."
    )
    trusted_proxies: str = setting(
        "", "Networks whose X-Forwarded-For and -Proto count, e.g. 10.0.0.0/8, with commas."
    )
    operator_group: str = setting(
        OPERATOR_GROUP,
        "Group or scope in the tokens of those who may see and end any session.",
    )
    resume_window_seconds: Positive = setting(120, "How long a listener can catch up on what it missed, s.")
    status_interval_seconds: Positive = setting(30, "How often a speaker is told the audience, s.")
    prices_file: str = setting(
        "", "File with prices of engines in place of the built-in ones; empty for none."
    )
    gateway_workers: Positive = setting(
        1, "Gateway processes that share the port; more than one need BUS_URL."
    )
    drain_seconds: Positive = setting(
        30, "Longest time to let sentences finish, and clients move to other gateways, when stopping, s."
    )
    drain_linger_seconds: Seconds = setting(
        5,
        "How long a gateway that stops still takes newcomers, if there are others, s: longer than load "
        "balancers need to notice /readyz.",
    )
    drain_window_seconds: Seconds = setting(
        10, "Time over which clients of a gateway that stops are asked to move, s."
    )

    @property
    def scheme(self) -> str:
        """Of the gateway's own addresses."""
        return "https" if self.tls_cert else "http"
