import asyncio
import contextvars
import threading

import pytest

from tidegate.apimachinery.documents.beside import IN_LOOP, Beside, weighed
from tidegate.apimachinery.errors import TooManyRequests

NAME = contextvars.ContextVar("name", default="")


def thread_and_name() -> tuple[str, str]:
    return threading.current_thread().name, NAME.get()


def test_little_is_done_at_once_and_much_in_a_thread_of_the_same_context() -> None:
    async def run() -> None:
        NAME.set("mine")
        assert await weighed(IN_LOOP, thread_and_name) == (threading.current_thread().name, "mine")
        thread, name = await weighed(IN_LOOP + 1, thread_and_name)
        assert thread.startswith("apimachinery-beside")
        assert name == "mine"

    asyncio.run(run())


def test_what_a_work_raises_is_raised_to_whoever_asked_for_it() -> None:
    async def run() -> None:
        with pytest.raises(ZeroDivisionError):
            await weighed(IN_LOOP + 1, lambda: 1 // 0)

    asyncio.run(run())


def test_who_asks_for_more_than_may_wait_is_told_to_come_again() -> None:
    async def run() -> None:
        beside = Beside(threads=1, size=100)
        go = threading.Event()
        working = [asyncio.create_task(beside.do(50, go.wait, 30)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequests) as refused:
            await beside.do(1, go.wait)
        assert refused.value.retry_after == 1
        go.set()
        assert await asyncio.gather(*working) == [True, True]
        assert await beside.do(100, lambda: "done") == "done"

    asyncio.run(run())


def test_a_single_work_may_be_larger_than_what_may_wait() -> None:
    async def run() -> None:
        assert await Beside(threads=1, size=100).do(1000, lambda: "done") == "done"

    asyncio.run(run())


def test_who_gives_up_leaves_room_for_others() -> None:
    async def run() -> None:
        beside = Beside(threads=1, size=100)
        go = threading.Event()
        first = asyncio.create_task(beside.do(50, go.wait, 30))
        second = asyncio.create_task(beside.do(50, go.wait, 30))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait((second,))
        third = asyncio.create_task(beside.do(50, lambda: "done"))
        go.set()
        assert await third == "done"
        assert await first

    asyncio.run(run())
