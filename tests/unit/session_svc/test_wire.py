"""Changes as they travel."""

from hypothesis import given
from hypothesis import strategies as st

from babelcast.session.v1 import session_pb2 as pb
from session_svc.events import Change, Ended, Event
from session_svc.model import Audience, Broadcast
from session_svc.wire import event_in, event_out

CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(Audience, st.dictionaries(st.sampled_from(["es", "fr", "de"]), st.integers(1, 9_999))),
    st.builds(
        Broadcast,
        last_change_ms=st.integers(0, 2**50),
        is_paused=st.booleans(),
        is_muted=st.booleans(),
        volume=st.floats(0, 1),
    ),
    st.builds(Ended, st.text(max_size=64)),
)


@given(CHANGES, st.integers(0, 2**50))
def test_what_is_said_is_what_is_heard(change: Change, revision: int) -> None:
    """Another replica reads the very event, and how new it is."""
    event = Event("golden-eagle-427", change, revision)
    sent = event_out(event).SerializeToString()
    heard = event_in(pb.WatchSessionsResponse.FromString(sent), revision=revision)
    assert heard == event
    assert heard.revision == revision


def test_what_a_later_version_says() -> None:
    """A change that is not known here is none."""
    assert event_in(pb.WatchSessionsResponse(session_id="x"), revision=1) is None
