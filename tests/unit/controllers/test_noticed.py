import asyncio

from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.store import Change, Key
from tidegate.controllers.noticed import Noticed


def name_of(change: Change) -> str | None:
    return change.key.name if change.after is not None else None


async def put(store: MemoryStore, name: str) -> None:
    key = Key("secrets", "shop", name)
    await store.write(lambda tx: tx.put(key, "1", lambda _: b'{"metadata":{}}'))


def test_work_is_taken_once_and_the_same_work_later_is_new() -> None:
    async def story() -> None:
        store = MemoryStore()
        noticed = Noticed(store, ["secrets"], name_of)
        assert noticed.look_everywhere
        await put(store, "a")
        await noticed.wait(3600)
        assert noticed.take() == {"a"}
        await put(store, "a")
        noticed.add(["b"])
        assert noticed.take() == {"a", "b"}
        assert noticed.take() == set()

    asyncio.run(story())


def test_nothing_new_is_waited_for_as_long_as_one_has_patience() -> None:
    async def story() -> None:
        store = MemoryStore()
        noticed = Noticed(store, ["secrets"], name_of)
        await noticed.wait(0)
        await put(store, "a")
        await noticed.wait(3600)
        await noticed.wait(0)

    asyncio.run(story())


def test_changes_that_were_missed_are_to_be_looked_for() -> None:
    async def story() -> None:
        noticed = Noticed(MemoryStore(), ["secrets"], name_of)
        noticed.look_everywhere = False
        noticed._miss()
        await noticed.wait(3600)
        assert noticed.look_everywhere

    asyncio.run(story())
