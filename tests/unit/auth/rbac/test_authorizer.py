import asyncio
from collections.abc import Callable, Sequence

from tests.unit.apimachinery.memory_store import MemoryStore
from tests.unit.auth.rbac.documents import binding, cluster_role, remove, rule, store_all
from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.store import Change, Listing
from tidegate.auth.rbac.authorizer import RbacAuthorizer

ANN = User("ann", ("staff",))
GET_PODS = Attributes("get", "pods", "shop", "", "")
READER = cluster_role("reader", rule("get", "pods"))
BOUND = binding("shop", "readers", "ClusterRole/reader", "User/ann")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class SlowStore(MemoryStore):
    """A store whose followers hear of changes at `catch_up` only, as other processes do."""

    def __init__(self) -> None:
        super().__init__()
        self.catch_ups = 0
        self.heard = 0
        self.during_list: list[object] = []

    def _announce(self, changes: Sequence[object]) -> None:
        pass

    async def catch_up(self) -> int:
        self.catch_ups += 1
        await asyncio.sleep(0)
        waiting, self.heard = self.later(self.heard), self.newest
        super()._announce(waiting)
        return self.newest


async def started(store: MemoryStore, clock: Clock) -> RbacAuthorizer:
    authorizer = RbacAuthorizer(store, clock)
    await authorizer.start()
    return authorizer


def test_what_is_stored_before_and_after_the_start_counts() -> None:
    async def run() -> None:
        store = MemoryStore()
        await store_all(store, READER, BOUND)
        authorizer = await started(store, Clock())
        assert await authorizer.authorize(ANN, GET_PODS)
        await remove(store, BOUND)
        assert not await authorizer.authorize(ANN, GET_PODS)
        await store_all(store, BOUND)
        assert await authorizer.authorize(ANN, GET_PODS)

    asyncio.run(run())


def test_a_grant_counts_at_once_and_a_right_taken_away_ends_within_half_a_second() -> None:
    async def run() -> None:
        store, clock = SlowStore(), Clock()
        await store_all(store, READER)
        authorizer = await started(store, clock)
        assert not await authorizer.authorize(ANN, GET_PODS)
        await store_all(store, BOUND)
        assert await authorizer.authorize(ANN, GET_PODS)
        await remove(store, BOUND)
        clock.now += 0.4
        assert await authorizer.authorize(ANN, GET_PODS)  # known for 0.5 s
        clock.now += 0.2
        assert not await authorizer.authorize(ANN, GET_PODS)

    asyncio.run(run())


def test_allows_do_not_ask_the_store_while_the_index_is_fresh() -> None:
    async def run() -> None:
        store, clock = SlowStore(), Clock()
        await store_all(store, READER, BOUND)
        authorizer = await started(store, clock)
        for _ in range(10):
            assert await authorizer.authorize(ANN, GET_PODS)
        assert store.catch_ups == 1
        clock.now += 1.0
        assert await authorizer.authorize(ANN, GET_PODS)
        assert store.catch_ups == 2

    asyncio.run(run())


def test_those_who_wait_together_share_a_catching_up_that_began_after_they_asked() -> None:
    async def run() -> None:
        store, clock = SlowStore(), Clock()
        authorizer = await started(store, clock)
        first = asyncio.create_task(authorizer.authorize(ANN, GET_PODS))
        await asyncio.sleep(0)  # its catching-up is under way
        await store_all(store, READER, BOUND)
        answers = await asyncio.gather(*(authorizer.authorize(ANN, GET_PODS) for _ in range(20)))
        await first
        assert all(answers)
        assert store.catch_ups <= 3

    asyncio.run(run())


class AwayStore(SlowStore):
    """A store whose database is away for as long as `away`."""

    away = False

    async def catch_up(self) -> int:
        if self.away:
            self.catch_ups += 1
            await asyncio.sleep(0)
            raise TimeoutError("the database does not answer")
        return await super().catch_up()


def test_while_the_database_is_away_all_who_wait_are_told_and_nothing_is_allowed() -> None:
    async def run() -> None:
        store, clock = AwayStore(), Clock()
        await store_all(store, READER, BOUND)
        authorizer = await started(store, clock)
        assert await authorizer.authorize(ANN, GET_PODS)
        store.away, store.catch_ups = True, 0
        clock.now += 0.6
        asking = (authorizer.authorize(ANN, GET_PODS) for _ in range(50))
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert {type(each) for each in answers} == {TimeoutError}
        assert store.catch_ups <= 2
        store.away = False
        assert await authorizer.authorize(ANN, GET_PODS)

    asyncio.run(run())


class ChangingStore(MemoryStore):
    """While bindings are listed, the role is taken away and another binding is made."""

    async def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 0,
        at: int | None = None,
    ) -> Listing:
        listing = await super().list(resource, namespace, after=after, limit=limit, at=at)
        if resource.startswith("rolebindings"):
            await remove(self, BOUND)
            await store_all(self, binding("bank", "b", "ClusterRole/reader", "User/ann"))
        return listing


def test_changes_while_loading_are_not_lost() -> None:
    async def run() -> None:
        store = ChangingStore()
        await store_all(store, READER, BOUND)
        authorizer = await started(store, Clock())
        assert not await authorizer.authorize(ANN, GET_PODS)
        assert await authorizer.authorize(ANN, Attributes("get", "pods", "bank", "", ""))

    asyncio.run(run())


class ForgetfulStore(MemoryStore):
    """A store that tells its followers nothing until `miss` tells them that they missed it."""

    def __init__(self) -> None:
        super().__init__()
        self.resets: list[Callable[[], None]] = []
        self.misses_while_listing = 0

    def follow(
        self,
        resources: Sequence[str],
        apply: Callable[[Change], None],
        reset: Callable[[], None] | None = None,
    ) -> None:
        assert reset is not None
        self.resets.append(reset)

    def miss(self) -> None:
        for each in self.resets:
            each()

    async def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 0,
        at: int | None = None,
    ) -> Listing:
        listing = await super().list(resource, namespace, after=after, limit=limit, at=at)
        if self.misses_while_listing:
            self.misses_while_listing -= 1
            await remove(self, BOUND)
            self.miss()
        return listing


def test_when_changes_were_missed_all_is_read_again_before_anything_is_answered() -> None:
    async def run() -> None:
        store = ForgetfulStore()
        await store_all(store, READER, BOUND)
        authorizer = await started(store, Clock())
        assert await authorizer.authorize(ANN, GET_PODS)
        await remove(store, BOUND)
        store.miss()
        assert not await authorizer.authorize(ANN, GET_PODS)
        await store_all(store, BOUND)
        store.miss()
        assert await authorizer.authorize(ANN, GET_PODS)

    asyncio.run(run())


def test_changes_missed_while_all_is_read_again_are_not_lost() -> None:
    async def run() -> None:
        store = ForgetfulStore()
        await store_all(store, READER, BOUND)
        authorizer = await started(store, Clock())
        store.misses_while_listing = 4
        store.miss()
        assert not await authorizer.authorize(ANN, GET_PODS)

    asyncio.run(run())


class BrokenStore(MemoryStore):
    async def catch_up(self) -> int:
        raise OSError("the database is away")


def test_masters_get_in_while_the_store_is_away() -> None:
    async def run() -> None:
        authorizer = await started(BrokenStore(), Clock())
        assert await authorizer.authorize(User("root", ("system:masters",)), GET_PODS)

    asyncio.run(run())


def test_the_other_questions_are_asked_of_a_current_index() -> None:
    async def run() -> None:
        store = SlowStore()
        authorizer = await started(store, Clock())
        await store_all(store, READER, BOUND)
        assert (await authorizer.who_can(GET_PODS)).users == ("ann",)
        assert (await authorizer.namespaces_where(ANN, GET_PODS)).namespaces == {"shop"}
        assert len((await authorizer.rules(ANN, "shop")).rules) == 1
        assert await authorizer.rules_of_role("", "reader") == tuple(READER.rules)
        assert await authorizer.rules_of_role("shop", "reader") is None
        assert (await authorizer.explain(ANN, GET_PODS)).allowed

    asyncio.run(run())
