import asyncio

import pytest

from tidegate.remote.errors import Unavailable
from tidegate.remote.flights import Flights


def test_what_several_want_at_once_is_done_once() -> None:
    async def scenario() -> None:
        flights, begun, go = Flights(), list[int](), asyncio.Event()

        async def work() -> str:
            begun.append(1)
            await go.wait()
            return "done"

        waiting = [asyncio.create_task(flights.share("key", work)) for _ in range(10)]
        other = asyncio.create_task(flights.share("other", work))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        go.set()
        assert set(await asyncio.gather(*waiting, other)) == {"done"}
        assert len(begun) == 2
        await flights.share("key", work)
        assert len(begun) == 3  # what is over is not remembered

    asyncio.run(scenario())


def test_all_who_wait_get_the_error() -> None:
    async def scenario() -> None:
        flights = Flights()

        async def work() -> str:
            raise Unavailable("no answer")

        waiting = [flights.share("key", work) for _ in range(3)]
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, Unavailable)

    asyncio.run(scenario())


def test_work_goes_on_when_nobody_waits_any_more() -> None:
    async def scenario() -> None:
        flights, go, learned = Flights(), asyncio.Event(), asyncio.Event()

        async def work() -> None:
            await go.wait()
            learned.set()
            raise Unavailable("no answer")

        waiting = asyncio.create_task(flights.share("key", work))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.set()
        await learned.wait()
        await flights.close()

    asyncio.run(scenario())


def test_closing_ends_what_is_under_way() -> None:
    async def scenario() -> None:
        flights = Flights()
        waiting = asyncio.create_task(flights.share("key", asyncio.Event().wait))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await flights.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(scenario())
