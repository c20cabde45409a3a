"""The asynchronous Python client: `Speaker` talks, `Listener` listens, `Operator` sees and ends sessions.

All raise the errors of `babelcast.errors`; a refusal of the server is a RemoteError with the server's code.
docs/client.md tells how to use it. Messages of the server that are events as they come are in
`babelcast.protocol.server_messages`; the usual ones can be had from here.
"""

from babelcast.client.events import (
    AudioDropped,
    Event,
    EventsDropped,
    Reconnected,
    Reconnecting,
    SequenceGap,
    Voice,
)
from babelcast.client.handlers import Handlers
from babelcast.client.listener import Listener
from babelcast.client.operator import Operator
from babelcast.client.settings import ClientSettings
from babelcast.client.speaker import Speaker
from babelcast.errors import BabelcastError, ErrorCode
from babelcast.protocol.server_messages import Caption, Error, SessionEnded, SpokenOver, Transcript

__all__ = [
    "AudioDropped",
    "BabelcastError",
    "Caption",
    "ClientSettings",
    "Error",
    "ErrorCode",
    "Event",
    "EventsDropped",
    "Handlers",
    "Listener",
    "Operator",
    "Reconnected",
    "Reconnecting",
    "SequenceGap",
    "SessionEnded",
    "Speaker",
    "SpokenOver",
    "Transcript",
    "Voice",
]
