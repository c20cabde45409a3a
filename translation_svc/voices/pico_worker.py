"""The process that holds SVOX Pico: a library of C that some texts send into an endless loop."""

from collections.abc import Callable, Mapping

import msgspec

from babelcast.pcm import SAMPLE_RATE_HZ
from translation_svc.loudness import finished, from_pcm
from translation_svc.worker_loop import run

VOICES: Mapping[str, str] = {"de": "de-DE", "en": "en-US", "es": "es-ES", "fr": "fr-FR", "it": "it-IT"}
_LONGEST_WORD = 60
_USUAL_SPEED = 1.2
"""Its own usual pace is slow: 13 characters of Spanish a second, where speakers have about 15."""


class Request(msgspec.Struct, array_like=True, frozen=True):
    """Something to say: any text, speed and pitch as factors, the gain against the usual loudness in dB."""

    voice: str
    text: str
    speed: float
    pitch: float
    gain_db: float


def plain(text: str) -> str:
    """Text in which Pico finds no markup.

    It has elements that read and write files, and no way of escaping: what is no sign of writing becomes a
    blank. Words of more than 60 letters, at thousands of which it never ends, are spoken in pieces.
    """
    signs = "".join(sign if sign.isprintable() and sign not in "<>\\" else " " for sign in text)
    words = signs.encode(errors="ignore").decode().split()
    return " ".join(
        word[start : start + _LONGEST_WORD] for word in words for start in range(0, len(word), _LONGEST_WORD)
    )


def make_handler(speak: Callable[[Request], bytes]) -> Callable[[bytes], bytes]:
    """A handler that answers with 16 kHz PCM: trimmed, at the usual loudness plus the gain."""

    def handle(payload: bytes) -> bytes:
        request = msgspec.msgpack.decode(payload, type=Request)
        raw = from_pcm(speak(request))
        return finished(raw, from_hz=SAMPLE_RATE_HZ, to_hz=SAMPLE_RATE_HZ, gain_db=request.gain_db)

    return handle


def main(_arguments: list[str]) -> Callable[[bytes], bytes]:
    """The handler for the library and the voices of the py-nanotts package."""
    from py_nanotts import NanoTTS  # only this process may load it

    engine = NanoTTS()

    def speak(request: Request) -> bytes:
        sound: bytes = engine.speak(
            plain(request.text), voice=request.voice, speed=_USUAL_SPEED * request.speed, pitch=request.pitch
        )
        return sound

    return make_handler(speak)


if __name__ == "__main__":
    run(main)
