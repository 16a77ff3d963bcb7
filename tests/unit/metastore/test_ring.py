"""The changes that a process keeps in memory."""

import asyncio

from tidegate.apimachinery.store import Change, Key
from tidegate.metastore.ring import Ring


def change(revision: int, resource: str = "a", size: int = 1) -> Change:
    return Change(revision, Key(resource, "", "x"), None, b"x" * size)


def revisions(ring: Ring, resource: str, after: int) -> list[int]:
    return [each.revision for each in ring.after(resource, after)]


def test_what_comes_after_a_revision_is_found_by_resource() -> None:
    ring = Ring(10)
    ring.extend([change(11), change(12, "b"), change(14)], 15)
    assert ring.position == 15
    assert revisions(ring, "a", 10) == [11, 14]
    assert revisions(ring, "a", 11) == [14]
    assert revisions(ring, "b", 12) == []
    assert revisions(ring, "c", 10) == []
    assert [ring.newest(resource) for resource in "abc"] == [14, 12, 10]
    assert [ring.reach(resource) for resource in "abc"] == [10, 10, 10]


def test_the_oldest_go_beyond_either_bound_and_only_their_resources_reach_less_far() -> None:
    few = Ring(0, changes=2)
    few.extend([change(1), change(2, "b"), change(3)], 3)
    assert revisions(few, "a", 0) == [1, 3]  # nobody had a chance to read it yet
    few.extend([], 9)
    assert few.reach("a") == 0
    few.extend([change(10)], 10)
    assert (few.reach("a"), few.reach("b")) == (1, 0)
    assert revisions(few, "a", 1) == [3, 10]

    small = Ring(0, size=10)
    small.extend([change(1, size=8)], 1)
    small.extend([change(2, "b", size=8)], 2)
    small.extend([change(3, "b", size=1)], 3)
    assert (small.reach("a"), small.newest("a")) == (1, 1)
    assert revisions(small, "b", 0) == [2, 3]


def test_who_waits_is_woken_by_its_own_resource_and_by_the_end() -> None:
    async def scenario() -> None:
        ring = Ring(0)
        mine, other = (asyncio.create_task(ring.growth(resource)) for resource in "ab")
        await asyncio.sleep(0)
        ring.extend([change(1)], 1)
        await mine
        assert not other.done()
        ring.end("why")
        await other
        assert ring.ended == "why"
        await ring.growth("a")

    asyncio.run(scenario())


def test_what_nobody_watched_is_not_here_and_said_so() -> None:
    ring = Ring(0, changes=1)
    ring.extend([change(1)], 1)
    ring.skip("a", 2)
    ring.extend([change(3), change(4)], 4)
    assert (ring.reach("a"), ring.newest("a")) == (2, 4)
    assert revisions(ring, "a", 2) == [3, 4]
    ring.skip("b", 5)
    ring.extend([], 5)
    assert (ring.reach("b"), ring.newest("b")) == (5, 5)
    ring.extend([change(6), change(7)], 7)  # drops the first, from before what is not here
    assert ring.reach("a") >= 2
