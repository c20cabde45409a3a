"""A second server beside the first, and its end in the middle of a talk."""

import asyncio
import signal
from pathlib import Path

import pytest

from babelcast.client import ClientSettings, Event, Listener, Reconnecting, Speaker, Voice, pace
from babelcast.errors import BabelcastError, ErrorCode
from babelcast.protocol.server_messages import Caption, Transcript
from babelcast.wav import read
from cli import places
from tests.e2e.served import STOP_S, Served, serving

pytestmark = pytest.mark.engines

# a server that is going does not come back: give up soon
BRIEF = ClientSettings(resume_window_s=1.0, backoff_cap_s=0.2)


async def test_two_servers_run_side_by_side_and_sigterm_drains_one(system: Served, tmp_path: Path) -> None:
    """The other's tokens are not good here; SIGTERM lets what was said through and ends with exit code 0."""
    with serving(tmp_path / "other", LOG_LEVEL="INFO") as other:
        with pytest.raises(BabelcastError) as caught:
            await Speaker.connect(system.url, token=other.token)
        assert caught.value.code is ErrorCode.UNAUTHORIZED
        heard = await _talk_until_sigterm(other)
        code = await asyncio.to_thread(other.process.wait, STOP_S)
    assert code == 0
    assert any(isinstance(event, Reconnecting) for event in heard)
    captions = [event.segment_id for event in heard if isinstance(event, Caption) and event.is_final]
    voices = [event.message.segment_id for event in heard if isinstance(event, Voice)]
    assert captions
    assert voices == captions
    async with await Listener.connect(system.url) as listener:
        assert (await listener.languages()).source


async def _talk_until_sigterm(served: Served) -> list[Event]:
    """Talk, and stop the server in the middle of the first sentence; returns what a listener got."""
    heard: list[Event] = []
    async with (
        await Speaker.connect(served.url, token=served.token, settings=BRIEF) as speaker,
        await Listener.connect(served.url, settings=BRIEF) as listener,
    ):
        session = await speaker.create_session("en")
        await listener.join(session.session_id, "es")
        talking = asyncio.create_task(_talk(speaker))
        async for event in speaker:
            if isinstance(event, Transcript):
                break
        served.process.send_signal(signal.SIGTERM)
        with pytest.raises(BabelcastError):
            async for event in listener:
                heard.append(event)  # noqa: PERF401 - what came before the failure counts
        talking.cancel()
        await asyncio.wait([talking])
    return heard


async def _talk(speaker: Speaker) -> None:
    async for chunk in pace.paced(pace.chunks(read(places.SPEECH))):
        await speaker.send_audio(chunk)
