import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tidegate.controllers.work_queue import WorkQueue


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def told(story: Callable[[WorkQueue[str], Clock], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        clock = Clock()
        await story(WorkQueue(clock), clock)

    asyncio.run(run())


async def ready(queue: WorkQueue[str]) -> list[str]:
    """Every key that is handed out now; none of them is worked on."""
    found = []
    while True:
        try:
            async with asyncio.timeout(0.01):
                found.append(await queue.take())
        except TimeoutError:
            return found


def test_a_key_has_one_turn_however_often_it_is_added() -> None:
    async def story(queue: WorkQueue[str], clock: Clock) -> None:
        queue.add(["a", "b", "a"])
        queue.add(["a"], 50.0)
        assert await ready(queue) == ["a", "b"]
        assert len(queue) == 0

    told(story)


def test_a_key_that_is_added_while_it_is_worked_on_has_another_turn_after_that() -> None:
    async def story(queue: WorkQueue[str], clock: Clock) -> None:
        queue.add(["a"])
        assert await ready(queue) == ["a"]
        queue.add(["a"])
        assert await ready(queue) == []  # nobody else has it meanwhile
        queue.done("a")
        assert await ready(queue) == ["a"]
        queue.done("a")
        assert await ready(queue) == []

    told(story)


def test_a_key_comes_at_the_earlier_of_two_times() -> None:
    async def story(queue: WorkQueue[str], clock: Clock) -> None:
        queue.add(["a"], 200.0)
        queue.add(["a"], 150.0)
        queue.add(["a"], 300.0)
        assert await ready(queue) == []
        clock.now = 150.0
        queue.add([])  # a stir, as the end of a wait would be
        assert await ready(queue) == ["a"]
        queue.done("a", 160.0)
        clock.now = 160.0
        assert await ready(queue) == ["a"]
        queue.done("a")
        clock.now = 1000.0
        assert await ready(queue) == []

    told(story)


def test_what_fails_comes_again_after_longer_and_longer_pauses_for_ever() -> None:
    async def story(queue: WorkQueue[str], clock: Clock) -> None:
        queue.add(["a"])
        pauses = []
        for _ in range(8):
            assert await ready(queue) == ["a"]
            pauses.append(queue.failed("a"))
            clock.now += pauses[-1] - 0.5
            assert await ready(queue) == []
            clock.now += 0.5
        assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
        assert await ready(queue) == ["a"]
        queue.done("a")
        queue.add(["a"])
        assert await ready(queue) == ["a"]
        assert queue.failed("a") == 1

    told(story)


def test_what_failed_is_tried_at_once_when_something_happened() -> None:
    async def story(queue: WorkQueue[str], clock: Clock) -> None:
        queue.add(["a"])
        await ready(queue)
        queue.failed("a")
        queue.add(["a"])
        assert await ready(queue) == ["a"]
        queue.add(["a"])  # while it was worked on
        queue.failed("a")
        assert await ready(queue) == ["a"]

    told(story)


def test_who_waits_is_woken_one_for_each_key() -> None:
    async def story(queue: WorkQueue[str], clock: Clock) -> None:
        waiting = [asyncio.ensure_future(queue.take()) for _ in range(3)]
        await asyncio.sleep(0)
        queue.add(["a", "b", "c"])
        assert sorted(await asyncio.gather(*waiting)) == ["a", "b", "c"]

    told(story)
