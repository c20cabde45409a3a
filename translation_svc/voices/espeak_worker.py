"""The process that holds espeak-ng: a GPL library with global state that is not thread-safe."""

import ctypes
import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from babelcast.pcm import SAMPLE_RATE_HZ
from translation_svc.loudness import finished, from_pcm
from translation_svc.worker_loop import run

VOICES: Mapping[str, Sequence[str]] = {
    "ca": ("ca+f2", "ca+m3"),
    "de": ("de+f3", "de+m3"),
    "en": ("en-us+f2", "en-us+m3", "en+f2", "en+m3"),
    "es": ("es+f2", "es+m3", "es-419+f2", "es-419+m3"),
    "fr": ("fr+f2", "fr+m3"),
    "gl": ("es+f2", "es+m3"),  # espeak-ng has no Galician; Spanish has its sounds, see below
    "it": ("it+f2", "it+m3"),
    "nl": ("nl+f3", "nl+m3"),
    "pl": ("pl+f2", "pl+m3"),
    "pt": ("pt-br+f2", "pt-br+m3", "pt+f2", "pt+m3"),
    "ru": ("ru+f3", "ru+m3"),
}
"""The voices of a language, its usual one first."""
_RESPELLINGS: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    "gl": (
        (re.compile(r"nh", re.IGNORECASE), "n"),  # unha: a velar n, which Spanish has where no vowel follows
        (re.compile(r"x(?=[aeiouáéíóú])", re.IGNORECASE), "sh"),  # xente
    ),
}
# Asynchronous retrieval would cost 20 ms a sentence: the library polls its own thread.
_OUTPUT_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_CHARS_UTF8, _SSML = 1, 0x10
_POSITION_CHARACTER = 1
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Request(msgspec.Struct, array_like=True, frozen=True):
    """Something to say: SSML whose text is escaped, and the gain against the usual loudness, dB."""

    voice: str
    ssml: str
    gain_db: float


class EspeakError(Exception):
    """The library did not take what it was given."""


class Espeak:
    """espeak-ng through ctypes. One per process."""

    def __init__(self, library_path: str, data_path: str) -> None:
        self._library = ctypes.CDLL(library_path)
        self.sample_rate_hz: int = self._library.espeak_Initialize(
            _OUTPUT_SYNCHRONOUS, 0, data_path.encode(), _DONT_EXIT
        )
        if self.sample_rate_hz <= 0:
            raise EspeakError("espeak_Initialize")
        self._pieces: list[bytes] = []
        self._callback = _CALLBACK(self._take)  # kept: the library holds only its address
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, ssml: str, voice: str) -> bytes:
        """16-bit PCM at `sample_rate_hz`. Raises: EspeakError."""
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise EspeakError("espeak_SetVoiceByName")
        self._pieces.clear()
        text = ssml.encode() + b"\0"
        failed = self._library.espeak_Synth(
            text, len(text), 0, _POSITION_CHARACTER, 0, _CHARS_UTF8 | _SSML, None, None
        )
        if failed:
            raise EspeakError("espeak_Synth")
        return b"".join(self._pieces)

    def _take(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._pieces.append(ctypes.string_at(samples, count * 2))
        return 0


def respell(text: str, language: str) -> str:
    """Text as a related language's voice reads it right."""
    for pattern, replacement in _RESPELLINGS.get(language, ()):
        text = pattern.sub(replacement, text)
    return text


def make_handler(speak: Callable[[str, str], bytes], sample_rate_hz: int) -> Callable[[bytes], bytes]:
    """A handler that answers with 16 kHz PCM: trimmed, at the usual loudness plus the gain."""

    def handle(payload: bytes) -> bytes:
        request = msgspec.msgpack.decode(payload, type=Request)
        raw = from_pcm(speak(request.ssml, request.voice))
        return finished(raw, from_hz=sample_rate_hz, to_hz=SAMPLE_RATE_HZ, gain_db=request.gain_db)

    return handle


def main(_arguments: list[str]) -> Callable[[bytes], bytes]:
    """The handler for the library of the espeakng-loader package."""
    import espeakng_loader  # only this process may load it

    espeak = Espeak(espeakng_loader.get_library_path(), espeakng_loader.get_data_path())
    return make_handler(espeak.speak, espeak.sample_rate_hz)


if __name__ == "__main__":
    run(main)
