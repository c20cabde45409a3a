"""The microphone and the loudspeaker, where there are any."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Protocol

from babelcast.channel import Channel
from babelcast.client.pace import CHUNK_S
from babelcast.errors import ServiceUnavailable
from babelcast.pcm import SAMPLE_RATE_HZ
from babelcast.wav import Sound

_WAITING_SENTENCES = 16
_WAITING_CHUNKS = 50
_logger = logging.getLogger(__name__)


class OutputStream(Protocol):
    """What is used of sounddevice's raw output stream."""

    def start(self) -> None:
        """Begin."""
        ...

    def write(self, data: bytes) -> object:
        """Play, waiting until there is room."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


def why_no_device(kind: str) -> str:
    """Why there is no "input" or "output" device; empty when there is one."""
    try:
        import sounddevice
    except OSError:
        return "PortAudio is not installed (Debian: libportaudio2)"
    try:
        sounddevice.query_devices(kind=kind)
    except (sounddevice.PortAudioError, ValueError):
        return f"there is no audio {kind} device"
    return ""


def require_microphone() -> None:
    """Raises: ServiceUnavailable when there is none."""
    missing = why_no_device("input")
    if missing:
        raise ServiceUnavailable(f"No microphone: {missing}.")


async def microphone() -> AsyncGenerator[bytes, None]:
    """16 kHz mono PCM in 100 ms chunks, until the iteration is left.

    Policy: when nobody takes the chunks, the oldest go.
    Raises: ServiceUnavailable when it cannot be opened.
    """
    import sounddevice

    loop = asyncio.get_running_loop()
    heard: Channel[bytes] = Channel(_WAITING_CHUNKS)

    def on_chunk(data: object, _frames: int, _time: object, _status: object) -> None:
        loop.call_soon_threadsafe(heard.send_dropping_oldest, bytes(memoryview(data)))  # type: ignore[arg-type]

    try:
        stream = sounddevice.RawInputStream(
            samplerate=SAMPLE_RATE_HZ,
            channels=1,
            dtype="int16",
            blocksize=round(SAMPLE_RATE_HZ * CHUNK_S),
            callback=on_chunk,
        )
    except sounddevice.PortAudioError as error:
        raise ServiceUnavailable(f"The microphone cannot be opened: {error}.") from error
    with stream:
        async for chunk in heard:
            yield chunk


class Loudspeaker:
    """Plays sentences one after the other. Policy: when it is far behind, the oldest sentences go."""

    def __init__(self) -> None:
        self._waiting: Channel[Sound] = Channel(_WAITING_SENTENCES)
        self._player = asyncio.create_task(self._play(), name="loudspeaker")

    def play(self, sound: Sound) -> None:
        """Queue a sentence."""
        if not self._waiting.closed:
            self._waiting.send_dropping_oldest(sound)

    async def finish(self) -> None:
        """Wait until everything queued has been heard."""
        self._waiting.close()
        await asyncio.wait([self._player])

    async def aclose(self) -> None:
        """Be silent at once."""
        self._waiting.close()
        self._player.cancel()
        await asyncio.wait([self._player])

    async def _play(self) -> None:
        stream: OutputStream | None = None
        rate_hz = 0
        try:
            async for sound in self._waiting:
                if stream is None or rate_hz != sound.sample_rate_hz:
                    if stream is not None:
                        await asyncio.to_thread(stream.close)
                    rate_hz = sound.sample_rate_hz
                    stream = await asyncio.to_thread(_open_output, rate_hz)
                await asyncio.to_thread(stream.write, sound.pcm)
        except OSError as error:
            _logger.warning("the loudspeaker failed", extra={"why": str(error)})
            self._waiting.close()
        finally:
            if stream is not None:
                stream.close()


def _open_output(rate_hz: int) -> OutputStream:
    """Raises: OSError."""
    import sounddevice

    try:
        stream: OutputStream = sounddevice.RawOutputStream(samplerate=rate_hz, channels=1, dtype="int16")
        stream.start()
    except sounddevice.PortAudioError as error:
        raise OSError(str(error)) from error
    return stream
