"""Waits that one timer bounds, one after the other."""

import asyncio

import pytest

from tidegate.apimachinery.documents.kept_timer import KeptTimer


def test_what_comes_in_time_is_given_and_what_does_not_is_cancelled() -> None:
    async def scenario() -> None:
        timer, never = KeptTimer(), asyncio.Event()
        assert await timer.within(60.0, _soon("first")) == "first"
        assert await timer.within(60.0, _soon("second")) == "second"
        with pytest.raises(TimeoutError):
            await timer.within(0.01, never.wait())
        assert await timer.within(60.0, _soon("third")) == "third"
        timer.close()

    asyncio.run(scenario())


def test_a_timer_set_by_an_earlier_wait_does_not_end_a_later_one() -> None:
    async def scenario() -> None:
        timer, come = KeptTimer(), asyncio.Event()
        assert await timer.within(0.02, _soon("at once")) == "at once"
        asyncio.get_running_loop().call_later(0.06, come.set)
        assert await timer.within(60.0, come.wait())
        timer.close()

    asyncio.run(scenario())


def test_a_wait_that_is_cancelled_from_outside_stays_cancelled() -> None:
    async def scenario() -> None:
        timer, never = KeptTimer(), asyncio.Event()
        waiting = asyncio.create_task(timer.within(60.0, never.wait()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        timer.close()

    asyncio.run(scenario())


def test_a_wait_that_took_too_long_leaves_no_cancellation_behind() -> None:
    async def scenario() -> None:
        timer = KeptTimer()
        with pytest.raises(TimeoutError):
            await timer.within(0.0, asyncio.Event().wait())
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        timer.close()

    asyncio.run(scenario())


def test_nothing_rings_after_the_timer_was_closed() -> None:
    async def scenario() -> None:
        timer = KeptTimer()
        assert await timer.within(0.01, _soon("done")) == "done"
        timer.close()
        await asyncio.sleep(0.03)

    asyncio.run(scenario())


def test_only_a_task_can_wait() -> None:
    async def scenario() -> None:
        coming = _soon("never")
        failed = asyncio.get_running_loop().create_future()

        def outside() -> None:
            try:
                KeptTimer().within(1.0, coming).send(None)
            except RuntimeError as error:
                failed.set_result(error)

        asyncio.get_running_loop().call_soon(outside)
        assert "task" in str(await failed)
        coming.close()

    asyncio.run(scenario())


async def _soon(text: str) -> str:
    await asyncio.sleep(0)
    return text
