"""Which jobs tell listeners, and what comes of a run. The receiver is the test's."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from tidegate.apimachinery.store import DocumentTransaction, Key
from tidegate.controllers.notifications import plan_telling, tell_listeners
from tidegate.delivery.notifications.telling import Telling
from tidegate.images.streams.hosts import Hosts
from tidegate.kinds.event_subscription import CLUSTER_EVENT_SUBSCRIPTIONS, EVENT_SUBSCRIPTIONS
from tidegate.metastore import jobs, outbox, repositories, tag_events
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import Documents
from tidegate.metastore.jobs import Job
from tidegate.metastore.open import open_database
from tidegate.metastore.sqlite import SqliteDatabase
from tidegate.metastore.tag_events import TagEvent
from tidegate.oci.name import RepositoryName
from tidegate.remote.web import WebAnswer

PATIENCE = 30.0


class World:
    """Subscriptions on an embedded database, and the loops that tell."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.database = database
        self.store = Documents(database)
        self.came: list[str] = []
        self.status = 200

    async def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes,
        *,
        limit: int,
        patience: float,
    ) -> WebAnswer:
        del method, url, headers, limit, patience
        self.came.append(json.loads(body)["subject"])
        return WebAnswer(self.status, {}, b"")

    def telling(self) -> Telling:
        return Telling(self.store, self.database, self, Hosts("r"), "https://r", lambda: 1.0)

    async def subscribe(self, project: str, generation: int = 1, **more: Any) -> None:
        kind = EVENT_SUBSCRIPTIONS if project else CLUSTER_EVENT_SUBSCRIPTIONS
        spec = {"url": "https://Receiver.example:8443/a", "maxAttempts": 3}
        metadata = {"name": "a", "namespace": project, "uid": f"u{project}"}
        metadata |= {"generation": generation}  # type: ignore[dict-item]
        body = json.dumps({"metadata": metadata, "spec": spec, **more}).encode()

        def unit(tx: DocumentTransaction) -> None:
            tx.put(Key(kind.key, project, "a"), f"u{project}", lambda _: body)

        await self.store.write(unit)

    async def push(self, tag: str) -> None:
        def unit(tx: Transaction) -> None:
            web = repositories.ensure(tx, RepositoryName("shop/web"))
            event = TagEvent(1, 1.0, 1.0, "/r", "sha256:1", 1, "push", "ann")
            tag_events.append(tx, web, tag, event)

        await self.database.write(unit)

    async def job(self, name: str) -> Job | None:
        return await jobs.find(self.database, outbox.JOB, name)


def scenario(url: str, work: Callable[[World], Awaitable[None]], *, telling: bool = False) -> None:
    """Run it beside the loop that plans, and the one that tells."""

    async def run() -> None:
        database = await open_database(url)
        assert isinstance(database, SqliteDatabase)
        world = World(database)
        await world.store.start()
        loops = [asyncio.create_task(plan_telling(database, world.store))]
        if telling:
            loops.append(asyncio.create_task(tell_listeners(database, world.telling())))
        try:
            async with asyncio.timeout(PATIENCE):
                await work(world)
        finally:
            for each in loops:
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each
            await world.store.close()
            await database.close()

    asyncio.run(run())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110  a job tells nobody of itself
        await asyncio.sleep(0.01)


def test_each_subscription_has_a_job_in_the_lane_of_its_receiver(url: str) -> None:
    async def work(world: World) -> None:
        await world.subscribe("shop")
        await world.subscribe("")
        for name, project in (("shop/a", "shop"), ("/a", "")):
            await until(lambda name=name: exists(world, name))  # type: ignore[misc]  # a default binds the loop variable
            job = await world.job(name)
            assert job is not None
            assert (job.lane, job.project) == ("receiver.example:8443", project)

    scenario(url, work)


async def exists(world: World, name: str) -> bool:
    return await world.job(name) is not None


def test_a_changed_subscription_is_looked_at_and_one_whose_status_changed_is_not(url: str) -> None:
    async def work(world: World) -> None:
        await world.subscribe("shop")
        await until(lambda: exists(world, "shop/a"))
        await world.database.write(lambda tx: jobs.drop(tx, outbox.JOB, "shop/a"))
        await world.subscribe("shop", status={"delivered": 1})
        await world.subscribe("")  # noticed after it
        await until(lambda: exists(world, "/a"))
        assert await world.job("shop/a") is None
        await world.subscribe("shop", generation=2)
        await until(lambda: exists(world, "shop/a"))

    scenario(url, work)


def test_a_failure_is_kept_with_the_tries_of_its_event(url: str) -> None:
    async def work(world: World) -> None:
        world.status = 503
        await world.subscribe("shop")
        await world.push("1")

        async def failed() -> bool:
            job = await world.job("shop/a")
            return job is not None and job.attempts > 0

        await until(failed)
        job = await world.job("shop/a")
        assert job is not None
        assert job.error == "the receiver answered 503"
        (event,) = await outbox.after(world.database, "shop", 0, 5)
        assert job.position.split()[0] == str(event.id)

    scenario(url, work, telling=True)


def test_an_event_is_told_without_anybody_looking(url: str) -> None:
    async def work(world: World) -> None:
        await world.subscribe("shop")
        await world.subscribe("")
        for number in range(3):
            await world.push(str(number))
            tag = f"shop/web:{number}"

            async def told(tag: str = tag) -> bool:
                return world.came.count(tag) == 2

            await until(told)
        assert len(world.came) == 6

    scenario(url, work, telling=True)
