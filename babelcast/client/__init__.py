"""The asynchronous Python client: `Speaker` talks, `Listener` listens, `Operator` sees and ends sessions.

All raise the errors of `babelcast.errors`; a refusal of the server is a RemoteError with the server's code.
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
from babelcast.client.listener import Listener
from babelcast.client.operator import Operator
from babelcast.client.settings import ClientSettings
from babelcast.client.speaker import Speaker

__all__ = [
    "AudioDropped",
    "ClientSettings",
    "Event",
    "EventsDropped",
    "Listener",
    "Operator",
    "Reconnected",
    "Reconnecting",
    "SequenceGap",
    "Speaker",
    "Voice",
]
