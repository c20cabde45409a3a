"""When DynamoDB does not answer."""

from session_svc.store.dynamodb.outage import PROBE_EVERY_S, SURE_AFTER_S, Outage


class Clock:
    """Seconds that go when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_one_call_without_an_answer_is_no_outage() -> None:
    """Only silence for a while is; an answer to anybody ends it."""
    clock = Clock()
    outage = Outage(clock=clock)
    outage.unanswered(clock.now_s)
    assert outage.admits()
    outage.answered()
    clock.now_s += SURE_AFTER_S
    outage.unanswered(clock.now_s)
    assert outage.admits()


def test_one_call_a_second_looks_whether_it_is_over() -> None:
    """All others fail at once; the first answer lets everybody in."""
    clock = Clock()
    outage = Outage(clock=clock)
    begun_s = outage.now_s()
    clock.now_s += SURE_AFTER_S
    outage.unanswered(begun_s)
    assert not outage.admits()
    clock.now_s += PROBE_EVERY_S
    assert [outage.admits() for _ in range(3)] == [True, False, False]
    assert outage.sure
    outage.unanswered(clock.now_s)
    clock.now_s += PROBE_EVERY_S
    assert [outage.admits() for _ in range(3)] == [True, False, False]
    outage.answered()
    assert not outage.sure
    assert all(outage.admits() for _ in range(3))
