import asyncio
import json
from collections.abc import Callable, Sequence

from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.store import Change, DocumentTransaction, Key
from tidegate.auth.users.groups import RESOURCE, GroupIndex


class LossyStore(MemoryStore):
    """A store whose followers can be made to miss changes."""

    deaf = False

    def follow(
        self,
        resources: Sequence[str],
        apply: Callable[[Change], None],
        reset: Callable[[], None] | None = None,
    ) -> None:
        assert reset is not None
        self.reset = reset
        super().follow(resources, lambda change: None if self.deaf else apply(change), reset)


def put(group: str, *users: str) -> Callable[[DocumentTransaction], None]:
    def unit(tx: DocumentTransaction) -> None:
        body = json.dumps({"metadata": {"name": group}, "users": list(users)}).encode()
        tx.put(Key(RESOURCE, "", group), "u", lambda _: body)

    return unit


def delete(group: str) -> Callable[[DocumentTransaction], None]:
    def unit(tx: DocumentTransaction) -> None:
        tx.delete(Key(RESOURCE, "", group))

    return unit


def test_a_user_is_in_the_groups_that_name_her_sorted() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        await store.write(put("ops", "ann", "eve"))
        await store.write(put("devs", "ann"))
        groups = GroupIndex(store)
        assert await groups.of("ann") == ("devs", "ops")
        assert await groups.of("eve") == ("ops",)
        assert await groups.of("nobody") == ()

    asyncio.run(scenario())


def test_a_change_counts_from_the_next_question_on() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        groups = GroupIndex(store)
        assert await groups.of("ann") == ()
        await store.write(put("ops", "ann"))
        assert await groups.of("ann") == ("ops",)
        await store.write(put("ops", "eve"))
        assert (await groups.of("ann"), await groups.of("eve")) == ((), ("ops",))
        await store.write(delete("ops"))
        assert await groups.of("eve") == ()

    asyncio.run(scenario())


def test_a_change_while_the_groups_are_read_is_not_undone_by_what_was_read() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        await store.write(put("ops", "ann"))
        await store.write(put("old", "ann"))
        groups = GroupIndex(store)
        first = asyncio.create_task(groups.of("ann"))
        await asyncio.sleep(0)
        await store.write(put("ops", "eve"))
        await store.write(delete("old"))
        await first
        assert (await groups.of("ann"), await groups.of("eve")) == ((), ("ops",))

    asyncio.run(scenario())


def test_after_missed_changes_all_is_read_anew() -> None:
    async def scenario() -> None:
        store = LossyStore()
        await store.write(put("gone", "ann"))
        await store.write(put("ops", "ann"))
        groups = GroupIndex(store)
        assert await groups.of("ann") == ("gone", "ops")
        store.deaf = True
        await store.write(delete("gone"))
        await store.write(put("ops", "eve"))
        store.deaf = False
        store.reset()
        assert (await groups.of("ann"), await groups.of("eve")) == ((), ("ops",))

    asyncio.run(scenario())


def test_more_groups_than_a_page_holds_are_all_read() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        for number in range(1001):
            await store.write(put(f"g{number:04}", "ann"))
        assert len(await GroupIndex(store).of("ann")) == 1001

    asyncio.run(scenario())
