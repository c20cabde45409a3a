"""Events as callbacks."""

import pytest

from babelcast.client import ClientSettings, Handlers, Listener, Voice
from babelcast.protocol.server_messages import SessionEnded
from tests.unit.babelcast.client.canned_server import CODE, CannedServer, make_voice

ENDED = SessionEnded(session_id=CODE, reason="speakerEnded")


async def test_each_event_goes_to_the_handlers_of_its_type(
    canned: CannedServer, quick: ClientSettings
) -> None:
    """Plain and asynchronous functions, in their order, until the session ends."""
    handlers, calls = Handlers(), list[str]()

    @handlers.on(Voice)
    def first(voice: Voice) -> None:
        calls.append(f"first {voice.message.sequence_number}")

    @handlers.on(Voice)
    async def second(voice: Voice) -> None:
        calls.append(f"second {voice.message.sequence_number}")

    async with await Listener.connect(canned.url, settings=quick) as listener:
        await listener.join(CODE, "es")
        await canned.say(make_voice(1, audio=""), make_voice(2, audio=""), ENDED)
        await handlers.run(listener)
    assert calls == ["first 1", "second 1", "first 2", "second 2"]


async def test_what_a_handler_raises_is_raised(canned: CannedServer, quick: ClientSettings) -> None:
    """It is not swallowed."""
    handlers = Handlers()

    @handlers.on(SessionEnded)
    def fail(ended: SessionEnded) -> None:
        raise LookupError(ended.reason)

    async with await Listener.connect(canned.url, settings=quick) as listener:
        await listener.join(CODE, "es")
        await canned.say(ENDED)
        with pytest.raises(LookupError):
            await handlers.run(listener)
