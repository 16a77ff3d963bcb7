import asyncio

import pytest

from tidegate.controllers.turns import every


def test_a_turn_that_fails_is_told_and_the_next_one_is_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        taken = 0
        third = asyncio.Event()

        async def work() -> None:
            nonlocal taken
            taken += 1
            if taken == 1:
                raise RuntimeError("no luck")
            if taken == 3:
                third.set()

        loop = asyncio.create_task(every(0.001, "counting sheep", work))
        await asyncio.wait_for(third.wait(), 30)
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop

    asyncio.run(run())
    assert [each.getMessage() for each in caplog.records] == [
        "counting sheep failed, will try again: no luck"
    ]
