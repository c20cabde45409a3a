"""How much of a topic is kept."""

import pytest

from babelcast.bus.ring import Ring, most_kept
from babelcast.event.v1.event_pb2 import Broadcast

PARTIALS_PER_S = 5


@pytest.mark.parametrize("retention_s", [120, 600, 3600])
def test_partial_texts_of_a_long_talk_push_no_final_text_out(retention_s: int) -> None:
    """As many as there may be, for as long as the window is."""
    ring = Ring(retention_s=retention_s)
    final = Broadcast()
    final.transcript.is_final = True
    ring.append(final, at_s=0, now_s=0)
    for number in range(1, PARTIALS_PER_S * retention_s):
        at_s = number / PARTIALS_PER_S
        ring.append(Broadcast(), at_s=at_s, now_s=at_s)
    assert ring.after(0, now_s=retention_s - 1)[0] == final


def test_there_is_a_bound() -> None:
    """Whatever is published."""
    ring = Ring(retention_s=300)
    for _ in range(most_kept(300) + 1):
        ring.append(Broadcast(), at_s=0, now_s=0)
    assert len(ring.after(0, now_s=0)) == most_kept(300) == 3_000
    assert most_kept(120) == 2_000
