"""Those who come at once are let in a few at a time."""

import asyncio

import pytest

from babelcast.errors import ServiceUnavailable
from gateway.door import Door


async def test_so_many_and_no_more_are_inside() -> None:
    """However many come; all get in, in their order, also after one that failed inside."""
    door = Door(at_once=3, wait_s=10)
    inside, most = 0, 0
    order: list[int] = []

    async def come(number: int) -> None:
        nonlocal inside, most
        async with door.passing():
            order.append(number)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            if number == 1:
                raise LookupError

    results = await asyncio.gather(*(come(number) for number in range(20)), return_exceptions=True)
    assert [type(result) for result in results if result is not None] == [LookupError]
    assert most == 3
    assert order == list(range(20))


async def test_who_waits_too_long_is_refused() -> None:
    """And told when to try again; a place that becomes free is the next one's."""
    door = Door(at_once=1, wait_s=0.01)
    async with door.passing():
        with pytest.raises(ServiceUnavailable) as refused:
            async with door.passing():
                pytest.fail("there is no place")
    assert refused.value.retry_after_s > 0
    async with door.passing():
        pass
