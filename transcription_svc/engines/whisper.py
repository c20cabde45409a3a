"""Whisper on CTranslate2, int8 on CPU.

The audio is padded to a short context instead of Whisper's 30 s, which is 3 to 8 times cheaper. A thorough
result that loops or is improbable is decoded once more with a longer context. In noise the two differ in most
of their words: then nothing was understood, and nothing is said.
"""

import dataclasses
import math
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ctranslate2
import numpy as np
import tokenizers

from babelcast.pcm import SAMPLE_RATE_HZ
from transcription_svc.audio import Samples
from transcription_svc.capacity import DecodeCost
from transcription_svc.engines.base import Capabilities, DecodeTask, Effort, Hypothesis, Word
from transcription_svc.engines.mel import FRAMES_PER_SECOND, log_mel
from transcription_svc.engines.model import ModelFiles, english_alone, size_of
from transcription_svc.stabilizer import prefix_distances
from transcription_svc.words import join, key, pieces, unspaced

LANGUAGES = ("ca", "de", "en", "es", "fr", "gl", "it", "nl", "pl", "pt", "ru")
"""Those that the multilingual base model does decently, of those that have a name here."""
_ENGLISH = ("en",)
"""What a model made for English alone does."""

_FULL_CONTEXT_S = 30.0
_MARGIN_S = 1.0
_SECOND_CONTEXT_S = 15.0
"""Context of the second look: at least this, and twice as long as what was said. Whisper's own 30 s cost half
as much again in noise and were no better on clear speech."""
_CONTEXT_S = {Effort.QUICK: 6.0, Effort.THOROUGH: 8.0}
_BEAM = {Effort.QUICK: 1, Effort.THOROUGH: 5}
_UNSURE_BELOW = -0.7
"""Mean log probability under which a thorough result needs a second look. Clear speech hardly ever does."""
_AGREEMENT = 0.3
"""Share of the words in which both looks must agree. Of words in noise at 0 to 10 dB under a fifth were right
far below it, and half of them above it."""
_DROP_BELOW = {Effort.QUICK: -1.0, Effort.THOROUGH: -1.2}
"""Mean log probability under which nothing is said: of such words in noise two in three were wrong."""
_SILENT_ABOVE = 0.6
"""Probability of `no speech` above which an improbable text is taken for a phantom (Whisper's default)."""
_SILENT_BELOW = -0.8
_LOOP_RATIO = 2.4
"""Compression ratio above which a text repeats itself (Whisper's own default)."""
_PHANTOMS = frozenset(
    (
        "you",
        "thanks for watching",
        "thank you for watching",
        "thanks for watching, and i'll see you next time",
        "please subscribe",
        "gracias por ver el video",
        "subtítulos realizados por la comunidad de amara.org",
        "sous-titrage st' 501",
        "sous-titres réalisés par la communauté d'amara.org",
        "sottotitoli creati dalla comunità amara.org",
        "sottotitoli e revisione a cura di qtss",
        "legendas pela comunidade amara.org",
        "untertitel der amara.org-community",
        "untertitel im auftrag des zdf für funk, 2017",
    )
)
"""What the model says to sounds without words, from the subtitles it has learnt from."""
_SURE_OF_PHANTOM = -0.3
"""Mean log probability above which such a text was really said."""
_TOKENS_PER_SECOND = 12
_TOKENS_AT_LEAST = 24
_LOOP_WORDS = 4
"""So many words said again at once are a loop, too few for the compression to show."""
_TIMES_WHEN_UNSURE = {1: 4, 2: 3, 3: 2}
"""Fewer words, by their number, said so many times at once are a loop in a text that is improbable too."""
_SURE_OF_REPETITION = -0.5
"""Mean log probability from which a speaker is believed to have said few words again and again."""
_SECONDS_PER_ALIGNMENT_STEP = 0.02
_BROKEN = "\N{REPLACEMENT CHARACTER}"
"""What the tokenizer makes of a part of a sign."""


@dataclass(frozen=True, slots=True)
class _Text:
    tokens: list[int]
    text: str
    average_logprob: float
    no_speech: float

    @property
    def loops(self) -> bool:
        raw = self.text.encode()
        if len(raw) / max(1, len(zlib.compress(raw))) > _LOOP_RATIO:
            return True
        return says_again(self.text.split(), sure=self.average_logprob >= _SURE_OF_REPETITION)


def agree(one: str, other: str) -> bool:
    """Whether two texts of the same sound have so much in common that something was understood."""
    first, second = [[key(word) for word in pieces(text)] for text in (one, other)]
    return prefix_distances(first, second)[-1] <= (1.0 - _AGREEMENT) * max(len(first), len(second))


def says_again(words: Sequence[str], *, sure: bool) -> bool:
    """Whether words are said again at once as speakers hardly do: at least four in a row.

    Unless the text is `sure`, three words twice are enough, two words three times, or one word four times.
    """
    keys = [key(word) for word in words]
    times = {} if sure else _TIMES_WHEN_UNSURE
    return any(
        keys[start : start + length * (count - 1)] == keys[start + length : start + length * count]
        for length in range(1, len(keys) // 2 + 1)
        if (count := times.get(length, 2 if length >= _LOOP_WORDS else 0))
        for start in range(len(keys) - length * count + 1)
    )


def _confirms(second: _Text, first: _Text) -> bool:
    """Whether the second look leaves something to believe."""
    if first.loops:
        return second.average_logprob >= _UNSURE_BELOW
    return agree(first.text, second.text)


class WhisperDecoder:
    """Decodes pieces of audio up to 30 s; several threads may call it, `workers` run at once."""

    def __init__(self, model: ModelFiles, *, workers: int) -> None:
        """Load the model: 1–2 s, about 250 MB."""
        self._model = ctranslate2.models.Whisper(
            model.name,
            files=dict(model.files),
            compute_type="int8",
            inter_threads=workers,
            intra_threads=1,
        )
        self._tokenizer = tokenizers.Tokenizer.from_buffer(model.files["tokenizer.json"])
        self._multilingual = bool(self._model.is_multilingual)
        self._bands = int(self._model.n_mels)
        english = not self._multilingual or english_alone(size_of(model.name))
        self._capabilities = Capabilities(
            name=model.name, languages=_ENGLISH if english else LANGUAGES, word_times=True
        )
        self._end = self._special("<|endoftext|>")

    @property
    def capabilities(self) -> Capabilities:
        """Name and languages."""
        return self._capabilities

    def decode(self, samples: Samples, task: DecodeTask) -> Hypothesis:
        """Decode at most 30 s of samples."""
        samples = samples[: int(_FULL_CONTEXT_S * SAMPLE_RATE_HZ)]
        seconds = len(samples) / SAMPLE_RATE_HZ
        context_s = min(_FULL_CONTEXT_S, max(_CONTEXT_S[task.effort], seconds + _MARGIN_S))
        encoded, text = self._generate(samples, task, context_s)
        if task.effort is Effort.THOROUGH and (text.loops or text.average_logprob < _UNSURE_BELOW):
            context_s = min(_FULL_CONTEXT_S, max(_SECOND_CONTEXT_S, 2 * seconds))
            encoded_again, again = self._generate(samples, task, context_s)
            if not _confirms(again, text):
                return Hypothesis(average_logprob=text.average_logprob)
            if text.loops or again.average_logprob > text.average_logprob:
                encoded, text = encoded_again, again
        if not self._credible(text, task.effort):
            return Hypothesis(average_logprob=text.average_logprob)
        words = self._words(text.tokens)
        if task.timed:
            words = self._timed(encoded, task, words, frames=int(seconds * FRAMES_PER_SECOND))
        return Hypothesis(
            words=tuple(dataclasses.replace(word, tokens=tuple(own)) for word, own in words),
            timed=task.timed,
            average_logprob=text.average_logprob,
        )

    def warm_up(self) -> None:
        """Decode something, so that the first speaker does not wait for first-time work."""
        self._decode_noise(Effort.QUICK)

    def measure_cost(self, clock_s: Callable[[], float] = time.process_time) -> DecodeCost:
        """CPU seconds of one decode of each effort, by noise: it takes about as long as speech. About 1 s.

        `clock_s` counts the CPU of the process, so that other work on the machine does not count.
        """
        self.warm_up()
        took = {}
        for effort in Effort:
            began = clock_s()
            self._decode_noise(effort)
            took[effort] = clock_s() - began
        return DecodeCost(quick_s=took[Effort.QUICK], thorough_s=took[Effort.THOROUGH])

    def _decode_noise(self, effort: Effort) -> None:
        noise = np.random.default_rng(0).normal(scale=0.1, size=3 * SAMPLE_RATE_HZ).astype(np.float32)
        task = DecodeTask(language=self._capabilities.languages[0], effort=effort)
        self._generate(noise, task, _CONTEXT_S[effort])

    def _generate(
        self, samples: Samples, task: DecodeTask, context_s: float
    ) -> tuple[ctranslate2.StorageView, _Text]:
        features = log_mel(samples, math.ceil(context_s * SAMPLE_RATE_HZ), bands=self._bands)
        encoded = self._model.encode(ctranslate2.StorageView.from_array(features[None]))
        prefix = self._prefix(task)
        prompt = [*self._prompt(task), self._special("<|notimestamps|>"), *prefix]
        limit = len(prompt) + _TOKENS_AT_LEAST + int(len(samples) / SAMPLE_RATE_HZ * _TOKENS_PER_SECOND)
        (result,) = self._model.generate(
            encoded,
            [prompt],
            beam_size=_BEAM[task.effort],
            max_length=min(limit, 448),
            return_scores=True,
            return_no_speech_prob=True,
        )
        # what was given comes back with what was found, and counts in the mean but not in its sum
        found = result.sequences_ids[0]
        tokens = [token for token in found[len(prefix) :] if token < self._end]
        # the score is a mean over the tokens; Whisper's thresholds count the end token too
        average = result.scores[0] * len(found) / (len(found) - len(prefix) + 1)
        text = self._tokenizer.decode(tokens).strip()
        return encoded, _Text(tokens, text, average, result.no_speech_prob)

    def _credible(self, text: _Text, effort: Effort) -> bool:
        if text.average_logprob < _SURE_OF_PHANTOM and text.text.casefold().strip(" .!") in _PHANTOMS:
            return False
        if not text.text or text.loops or text.average_logprob < _DROP_BELOW[effort]:
            return False
        return text.no_speech < _SILENT_ABOVE or text.average_logprob > _SILENT_BELOW

    def _prompt(self, task: DecodeTask) -> list[int]:
        # no words of earlier segments: they make the model go on in their style and repeat itself
        if not self._multilingual:
            return [self._special("<|startoftranscript|>")]
        return [
            self._special("<|startoftranscript|>"),
            self._special(f"<|{task.language}|>"),
            self._special("<|transcribe|>"),
        ]

    def _prefix(self, task: DecodeTask) -> list[int]:
        return [token for word in task.prefix for token in word.tokens]

    def _words(self, tokens: list[int]) -> list[tuple[Word, list[int]]]:
        """Words with their tokens. Signs that stand alone belong to the word before."""
        words: list[tuple[str, list[int]]] = []
        own: list[int] = []
        for token in tokens:
            # a sign may be spread over tokens that are no valid text by themselves
            own.append(token)
            spelt = self._tokenizer.decode(own)
            if spelt.endswith(_BROKEN):
                continue
            if words and not spelt.startswith(" ") and not unspaced(spelt):
                words[-1] = (words[-1][0] + spelt, [*words[-1][1], *own])
            else:
                words.append((spelt, own))
            own = []
        joined: list[tuple[Word, list[int]]] = []
        for spelt, own in words:
            text = spelt.strip()
            if joined and spelt.startswith(" ") and unspaced(joined[-1][0].text[-1:]):
                last, before = joined.pop()
                joined.append((Word(f"{last.text} "), before))
            if any(sign.isalnum() for sign in text):
                joined.append((Word(text), own))
            elif joined and text:
                last, before = joined.pop()
                joined.append((Word(join([last.text, text])), [*before, *own]))
        return joined

    def _timed(
        self,
        encoded: ctranslate2.StorageView,
        task: DecodeTask,
        words: list[tuple[Word, list[int]]],
        *,
        frames: int,
    ) -> list[tuple[Word, list[int]]]:
        """Words with times, from the decoder's attention to the audio."""
        before = self._prefix(task)
        tokens = [*before, *(token for _, own in words for token in own)]
        (found,) = self._model.align(encoded, self._prompt(task), [tokens], frames)
        first_step: dict[int, int] = {}
        last_step = 0
        for token, step in found.alignments:
            first_step.setdefault(token, step)
            last_step = max(last_step, step)
        timed: list[tuple[Word, list[int]]] = []
        position = len(before)
        for word, own in words:
            after = position + len(own)
            begin = first_step.get(position, last_step) * _SECONDS_PER_ALIGNMENT_STEP
            finish = first_step.get(after, last_step) * _SECONDS_PER_ALIGNMENT_STEP
            timed.append((Word(word.text, begin, max(begin, finish)), own))
            position = after
        return timed

    def _special(self, name: str) -> int:
        token = self._tokenizer.token_to_id(name)
        if token is None:
            raise ValueError(f"the model's tokenizer has no {name}")
        return int(token)
