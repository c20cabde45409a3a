"""Voices: how well a recogniser understands them, how loud they are, and how soon they speak.

Every voice says the project's own sentences; Whisper, as it comes, writes down what it hears. Synthetic
speech is unlike what a recogniser learnt from, so that the error rates compare voices of one language and say
little of listeners. Engines are the embedded ones.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.measures import Summary
from bench.quality.alignment import Errors, errors
from bench.quality.interpreting import in_time, interpreting, took
from bench.quality.parallel_text import own
from bench.quality.report import number, percent, table
from bench.quality.translation import COUNTS, SPEED, speed_row
from bench.quality.whole_window import WholeWindowWhisper
from bench.wer import normalise
from transcription_svc.config import TranscriptionConfig
from translation_svc.loudness import TARGET_LUFS, from_pcm, integrated_loudness
from translation_svc.segments import Clip, Prosody
from translation_svc.voices.base import Voice
from translation_svc.voices.espeak import EspeakVoice
from translation_svc.voices.pico import PicoVoice
from translation_svc.worker import Deadlines

VOICES = ("language", "voice", "WER", "loudness, LUFS: mean (least … most)", "first sound, ms: p50 / p95")
MOST_OFF_LU = 2.0
_SPELT_LIKE = {"gl": "pt", "ca": "es"}
"""For figures in languages whose number words are not known."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One voice."""

    language: str
    voice: str
    errors: Errors
    loudness_lufs: Sequence[float]
    first_sound_s: Summary

    @property
    def even(self) -> bool:
        """Whether every sentence was as loud as promised."""
        return all(abs(lufs - TARGET_LUFS) <= MOST_OFF_LU for lufs in self.loudness_lufs)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("--sentences", type=int, default=20, help="how many of the sentences to say")
    parser.add_argument("--parts", nargs="+", choices=["voices", "speed"], default=["voices", "speed"])
    parser.add_argument("--json", type=Path, help="write the figures there too")


def run(arguments: argparse.Namespace) -> bool:
    """Measure and print; whether all voices are as loud and as quick as promised."""
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> bool:
    texts = own()
    kept = True
    heard: list[Heard] = []
    if "voices" in arguments.parts:
        whisper = WholeWindowWhisper(TranscriptionConfig())
        for language in sorted(texts):
            for voice in _voices(language):
                heard.append(await _hear(voice, language, texts[language][: arguments.sentences], whisper))
                await voice.aclose()
        print(table(VOICES, [_row(one) for one in heard]))
        kept = all(one.even for one in heard)
    if "speed" in arguments.parts:
        async with interpreting() as app:
            targets = [code for code in sorted(texts) if app.interpreter.routes.find("en", code)]
            counts = [count for count in COUNTS if count <= len(targets)]
            speeds = await took(app, texts["en"][: arguments.sentences], "en", targets, counts=counts)
        print(f"\n{table(SPEED, [speed_row(each) for each in speeds])}")
        kept = kept and in_time(speeds)
    if arguments.json:
        arguments.json.write_text(json.dumps([_plain(one) for one in heard], indent=1))
    return kept


def _voices(language: str) -> list[Voice]:
    """Every local voice of a language, each as one that always speaks."""
    deadlines = Deadlines(start_s=60, call_s=30)
    names = EspeakVoice(deadlines=deadlines).names(language)
    voices: list[Voice] = [EspeakVoice(deadlines=deadlines, wanted={language: name}) for name in names]
    pico = PicoVoice(deadlines=deadlines)
    return [*voices, pico] if language in pico.languages else voices


async def _hear(voice: Voice, language: str, sentences: Sequence[str], whisper: WholeWindowWhisper) -> Heard:
    await voice.speak(sentences[0], language=language, prosody=Prosody())
    total = Errors()
    delays: list[float] = []
    loudness: list[float] = []
    for sentence in sentences:
        began_s = time.perf_counter()
        clip = await voice.speak(sentence, language=language, prosody=Prosody())
        delays.append(time.perf_counter() - began_s)
        loudness.append(integrated_loudness(from_pcm(clip.pcm), clip.sample_rate_hz))
        text = await asyncio.to_thread(whisper.whole_file, _samples(clip), language)
        spelt = _SPELT_LIKE.get(language, language)
        total += errors(normalise(sentence, spelt), normalise(text, spelt))
    return Heard(language, voice.names(language)[0], total, loudness, Summary.of(delays))


def _samples(clip: Clip) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    return from_pcm(clip.pcm).astype(np.float32)


def _row(one: Heard) -> list[str]:
    lufs = one.loudness_lufs
    mean = sum(lufs) / len(lufs)
    return [
        one.language,
        one.voice,
        percent(one.errors.rate),
        f"{number(mean, places=1)} ({number(min(lufs), places=1)} … {number(max(lufs), places=1)})",
        f"{1000 * one.first_sound_s.median_s:.0f} / {1000 * one.first_sound_s.p95_s:.0f}",
    ]


def _plain(one: Heard) -> dict[str, str | float]:
    return {
        "language": one.language,
        "voice": one.voice,
        "wer": one.errors.rate,
        "least_lufs": min(one.loudness_lufs),
        "most_lufs": max(one.loudness_lufs),
        "first_sound_p50_s": one.first_sound_s.median_s,
        "first_sound_p95_s": one.first_sound_s.p95_s,
    }
