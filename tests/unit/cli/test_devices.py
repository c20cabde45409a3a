"""The microphone, as sounddevice would give it."""

import sys
import types
from collections.abc import Callable

import pytest

from babelcast.errors import ServiceUnavailable
from cli import devices

CHUNK = bytes(3_200)


class PortAudioError(Exception):
    """As sounddevice's."""


class FakeInput:
    """A microphone that hears two chunks as soon as it is opened."""

    def __init__(self, *, callback: Callable[[object, int, object, object], None], **_: object) -> None:
        self._callback = callback

    def __enter__(self) -> "FakeInput":
        for _ in range(2):
            self._callback(CHUNK, 1_600, None, None)
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to let go of."""


class BrokenInput:
    """A microphone that somebody else uses."""

    def __init__(self, **_: object) -> None:
        raise PortAudioError("busy")


def install(monkeypatch: pytest.MonkeyPatch, **parts: object) -> None:
    """Put a sounddevice of ours in place."""
    module = types.ModuleType("sounddevice")
    module.__dict__.update({"PortAudioError": PortAudioError, "query_devices": lambda **_: {}} | parts)
    monkeypatch.setitem(sys.modules, "sounddevice", module)


async def test_the_microphone_gives_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the device hears comes in order, from its own thread or not."""
    install(monkeypatch, RawInputStream=FakeInput)
    devices.require_microphone()
    heard: list[bytes] = []
    microphone = devices.microphone()
    async for chunk in microphone:
        heard.append(chunk)
        if len(heard) == 2:
            break
    await microphone.aclose()
    assert heard == [CHUNK, CHUNK]


async def test_a_microphone_in_use_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's own words are passed on."""
    install(monkeypatch, RawInputStream=BrokenInput)
    with pytest.raises(ServiceUnavailable, match="busy"):
        await anext(devices.microphone())


def test_why_there_is_no_device_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing device and a missing PortAudio are told apart."""

    def none(**_: object) -> None:
        raise PortAudioError("no default device")

    install(monkeypatch)
    assert devices.why_no_device("output") == ""
    install(monkeypatch, query_devices=none)
    assert devices.why_no_device("output") == "there is no audio output device"
    with pytest.raises(ServiceUnavailable, match="No microphone"):
        devices.require_microphone()


def test_an_output_that_cannot_be_opened_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nobody else needs to know the library's own errors."""

    def broken(**_: object) -> None:
        raise PortAudioError("busy")

    install(monkeypatch, RawOutputStream=broken)
    with pytest.raises(OSError, match="busy"):
        devices._open_output(16_000)
