"""The times by which a live stream is decoded and becomes segments. Pure."""

from dataclasses import dataclass

from babelcast.pcm import SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class SegmentPolicy:
    """The times of a live stream, ms of audio."""

    preroll_ms: int = 300
    """Audio before the first voiced frame that is decoded with it; soft sounds begin words."""
    first_partial_ms: int = 300
    """Speech before the first partial result."""
    eager_partial_ms: int = 300
    """Between partial results until words are committed, so that there is something to show soon."""
    eager_partials: int = 4
    """So many partial results of a segment come so soon."""
    partial_ms: int = 500
    """Between partial results from then on."""
    hold_ms: int = 100
    """Pause after which no partial result is started: the end may be near."""
    early_close_ms: int = 200
    """Pause after which the utterance is decoded as if it had ended."""
    sentence_close_ms: int = 400
    """Pause that ends a short segment whose text ends a sentence."""
    clause_close_ms: int = 500
    """The same if its text ends a clause."""
    close_ms: int = 650
    """Pause that ends any segment."""
    patient_ms: int = 1000
    """Up to this length a segment is short; pauses count more from here on."""
    impatient_ms: int = 3000
    """From this length half the pause is enough."""
    cut_from: float = 0.45
    """From this share of its longest time on a segment ends at a breath after a clause, or at a clause."""
    breath_from: float = 0.7
    """From this share of its longest time on a segment ends at any breath that lies late enough."""
    cut_margin_ms: int = 600
    """How long before the longest time of a segment a cut is looked for."""
    context_ms: int = 1000
    """So much before a cut, in whole words, is decoded with what follows: it tells how that goes on."""
    cut_choice_ms: int = 1400
    """The words of so much audio stay uncommitted in a long segment, so that there is a choice of cuts."""
    deaf_sentence_ms: int = 500
    """Speech after the last word of a whole sentence, in two hypotheses: no more will come of it."""
    deaf_ms: int = 1200
    """The same after any other word."""
    sure_logprob: float = -0.7
    """Mean log probability of a quick hypothesis below which it ends no segment."""
    firm_logprob: float = -0.5
    """Mean log probability of a hypothesis from which it commits words, is gone on from after a cut, and only
    the last word of a partial result is held back.
    """
    held_back_firm: int = 1
    """Words at the end of a partial result that are not shown while speech goes on, but never all of them."""
    held_back_unsure: int = 2
    """The same of a less probable hypothesis."""
    min_voiced_ms: int = 160
    """Voiced audio below which an utterance is a click, not speech."""

    def held_back(self, average_logprob: float) -> int:
        """How many words at the end of such a hypothesis are not shown while speech goes on."""
        return self.held_back_firm if average_logprob >= self.firm_logprob else self.held_back_unsure


@dataclass(frozen=True, slots=True)
class Due:
    """Positions in the stream from which a segment may, or must, end without a closing pause."""

    clause: int
    """From here on a clause may end it."""
    breath: int
    """From here on any breath that is late enough ends it."""
    end: int
    """From here on it is cut even without a good place."""


def due(policy: SegmentPolicy, speech_start: int, *, longest_s: float) -> Due:
    """Those of a segment that starts at a position and may last so long."""
    longest = longest_s * SAMPLE_RATE_HZ
    return Due(
        clause=speech_start + int(policy.cut_from * longest),
        breath=speech_start + int(policy.breath_from * longest),
        end=speech_start + int(longest) - policy.cut_margin_ms * SAMPLE_RATE_HZ // 1000,
    )
