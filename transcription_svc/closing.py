"""How long a pause must be to end a segment."""

from collections.abc import Sequence

from transcription_svc.segment_policy import SegmentPolicy
from transcription_svc.sentences import ends_clause, ends_text


def enough_ms(policy: SegmentPolicy, *, length_ms: float, said: Sequence[str]) -> float:
    """How long a pause after `said` must be to end a segment of `length_ms`.

    The more finished the text and the longer the segment, the shorter.
    """
    enough = policy.close_ms
    if not said or ends_text(said[-1]):
        enough = policy.sentence_close_ms
    elif ends_clause(said[-1]):
        enough = policy.clause_close_ms
    late = (length_ms - policy.patient_ms) / (policy.impatient_ms - policy.patient_ms)
    return max(policy.early_close_ms, enough * (1.0 - 0.5 * min(1.0, max(0.0, late))))
