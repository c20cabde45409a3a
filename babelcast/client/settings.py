"""What a client waits for and how much it keeps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Durations are seconds."""

    connect_timeout_s: float = 10.0
    """For the TCP connection, TLS and the upgrade together."""
    request_timeout_s: float = 10.0
    """From a request to its answer."""
    end_timeout_s: float = 30.0
    """From the request to end a session to its answer: the last sentences go through first."""
    heartbeat_interval_s: float = 15.0
    """Between heartbeats; the server allows 10 a minute and drops a connection after 90 s without one."""
    silence_timeout_s: float = 10.0
    """A connection on which nothing at all comes for so long after a heartbeat is given up."""
    close_timeout_s: float = 2.0
    """For the closing handshake."""
    resume_window_s: float = 120.0
    """How long altogether a lost connection is tried again; the server keeps what was missed as long."""
    backoff_base_s: float = 0.25
    """The first reconnection waits up to this long, each further one up to twice as long as the last."""
    backoff_cap_s: float = 8.0
    """The longest wait between reconnections."""
    event_capacity: int = 1_000
    """Events kept for an iterator that does not keep up; the oldest go first, and the loss is reported."""
    caption_memory: int = 1_000
    """Sentences by which a caption that comes again is known; the oldest are forgotten first."""
    audio_waiting_s: float = 60.0
    """Sound kept while the connection is slow or away; the oldest goes first, and the loss is reported."""
    audio_kept_s: float = 60.0
    """Sound kept after it was sent, to be sent again when its connection is lost."""
    audio_rate: float = 10.0
    """Audio messages a second; shorter chunks than that go several in one. The server's own limit."""
    audio_burst: float = 15.0
    """Audio messages at once; the server's limit is 20."""
    max_message_bytes: int = 8_000_000
    """The largest message accepted from the server."""
