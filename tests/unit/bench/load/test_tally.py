"""What counts as lost."""

from bench.load.figures import Second
from bench.load.run import COURSE_AT_MOST, Course, LoadOptions, rooms, shares
from bench.load.talk import due_ms
from bench.load.tally import RoomEnd, Tally, count, loss


def room(**changed: object) -> RoomEnd:
    """Two listeners who have got three sentences."""
    fields: dict[str, object] = {
        "session_id": "s",
        "language": "es",
        "voice": True,
        "finals": "e",
        "voiced": "e",
        "last_number": 3,
        "lasts": {3: 2},
        "missing_numbers": 0,
        "texts": {"0:e": 2},
    }
    return RoomEnd(**{**fields, **changed})  # type: ignore[arg-type]  # as the fields have it


def test_all_that_came_is_no_loss() -> None:
    """Nothing missing, in any process."""
    assert loss([room(), room()], {"s": {1, 2, 3}}).total == 0


def test_each_kind_of_loss_is_found() -> None:
    """Tails, gaps, texts, voices, languages; also what another process alone has seen."""
    assert loss([room(), room(last_number=5, lasts={5: 1})], {}).voices == 4
    assert loss([room(missing_numbers=7)], {}).voices == 7
    assert loss([room(texts={"0:e": 1, "0:c": 1})], {}).texts == 1
    assert loss([room(texts={"2:c": 1})], {}).texts == 0  # came in later
    assert loss([room(voiced="6")], {}).unvoiced == 1
    assert loss([room()], {"s": {1, 2, 3, 4}}).untranslated == 1
    assert loss([room(absent=1, not_ended=2)], {}).total == 3
    assert loss([room(voice=False, voiced="0", lasts={0: 2}, last_number=0)], {}).total == 0


def test_tallies_add_up() -> None:
    """Counters, counts by code and times."""
    one, other = Tally(messages=1), Tally(messages=2)
    count(one.errors, "X")
    count(other.errors, "X")
    other.join.add(5.0)
    one.merge(other)
    assert (one.messages, one.errors, one.join.count) == (3, {"X": 2}, 1)


def test_listeners_are_spread_evenly() -> None:
    """Over sessions, languages and processes, and all of them are there."""
    options = LoadOptions(urls=["ws://x"], token="", listeners=10, languages=["es", "en"], sessions=2)
    plans = rooms(options, ["a", "b"])
    assert [plan.seats for plan in plans] == [3, 3, 2, 2]
    assert [plan.voice for plan in plans] == [True, False, True, False]
    parts = shares(plans, 3)
    assert sum(plan.seats for part in parts for plan in part) == 10


def test_a_long_course_stays_short() -> None:
    """Its points stand for more and more seconds, and nothing of it is forgotten."""
    course = Course()
    for number in range(3 * COURSE_AT_MOST):
        course.add(Second(float(number), seconds=1.0, messages=1))
    assert len(course.points) <= COURSE_AT_MOST
    assert sum(point.messages for point in course.points) == 3 * COURSE_AT_MOST


def test_a_place_in_the_audio_has_its_due_time() -> None:
    """By the stretch of speech that it is in."""
    anchors = [(0.0, 1000.0), (2.0, 5000.0)]
    assert [due_ms(anchors, place) for place in (0.5, 2.0, 3.0)] == [1500.0, 5000.0, 6000.0]
