import asyncio
from collections.abc import Iterator

import pytest

from tests.unit.auth.projects.world import ProjectWorld
from tidegate.apimachinery.store import Change, Key
from tidegate.auth.projects.ending import Ending
from tidegate.auth.projects.kinds import NAMESPACES
from tidegate.auth.rbac.resources import ROLE_BINDINGS
from tidegate.auth.secrets import SECRETS
from tidegate.auth.serviceaccounts.kinds import SERVICE_ACCOUNTS
from tidegate.controllers.namespaces import Work, keep_namespaces, work_of

RESOURCES = (ROLE_BINDINGS.key, SECRETS.key, SERVICE_ACCOUNTS.key)
SHOP = Key(NAMESPACES.key, "", "shop")
PULLERS = Key(ROLE_BINDINGS.key, "shop", "system:image-pullers")


@pytest.fixture
def world() -> Iterator[ProjectWorld]:
    made = ProjectWorld()
    yield made
    made.runner.close()


class Loop:
    """The loop beside a test: `until` gives it turns until something holds."""

    def __init__(self, world: ProjectWorld, *, interval: float = 3600) -> None:
        self.world = world
        self.interval = interval
        self.purged: list[str] = []
        self.failures = 0

    async def purge(self, namespace: str) -> bool:
        if self.failures:
            self.failures -= 1
            raise OSError("disk")
        self.purged.append(namespace)
        return True

    async def start(self) -> "asyncio.Task[None]":
        ending = Ending(self.world.store, RESOURCES, self.purge)
        loop = keep_namespaces(
            self.world.store, ending, self.world.tokens.signer, self.interval, self.world.clock
        )
        task = asyncio.create_task(loop)
        await self.turns()
        return task

    async def turns(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)


async def stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def terminating(name: str) -> bytes:
    return f'{{"metadata":{{"name":"{name}","deletionTimestamp":"x"}}}}'.encode()


def test_a_namespace_is_ended_as_soon_as_it_is_deleted(world: ProjectWorld) -> None:
    loop = Loop(world)
    task = world.run(loop.start())
    world.request("shop")
    world.delete_namespace("shop")
    world.run(loop.turns())
    assert SHOP not in world.store.documents
    assert loop.purged == ["shop"]
    world.run(stop(task))


def test_one_that_was_left_undone_is_ended_at_the_start(world: ProjectWorld) -> None:
    world.request("shop")
    world.delete_namespace("shop")
    loop = Loop(world)
    task = world.run(loop.start())
    assert SHOP not in world.store.documents
    world.run(stop(task))


def test_what_fails_is_tried_again_and_holds_up_no_other(world: ProjectWorld) -> None:
    for name in ("aa", "shop"):
        world.request(name)
        world.delete_namespace(name)
    loop = Loop(world, interval=0)
    loop.failures = 1
    task = world.run(loop.start())
    world.run(loop.turns())
    assert loop.purged == ["shop", "aa"]
    assert SHOP not in world.store.documents
    world.run(stop(task))


def test_a_default_that_is_deleted_comes_back(world: ProjectWorld) -> None:
    world.request("shop")
    loop = Loop(world)
    task = world.run(loop.start())
    world.revoke("shop", PULLERS.name)
    world.run(loop.turns())
    assert PULLERS in world.store.documents
    world.run(stop(task))


def test_defaults_of_older_namespaces_are_made_at_the_start(world: ProjectWorld) -> None:
    world.make_namespace("shop")
    loop = Loop(world)
    task = world.run(loop.start())
    assert PULLERS in world.store.documents
    assert Key(SERVICE_ACCOUNTS.key, "shop", "builder") in world.store.documents
    world.run(stop(task))


def test_a_failing_store_ends_no_loop(world: ProjectWorld) -> None:
    world.make_namespace("shop")
    loop = Loop(world, interval=0)
    keys, world.keys = world.keys, []
    task = world.run(loop.start())
    assert PULLERS not in world.store.documents
    assert not task.done()
    world.keys = keys
    world.run(loop.turns())
    assert PULLERS in world.store.documents
    world.run(stop(task))


def test_changes_say_what_is_to_be_done() -> None:
    active = b'{"metadata":{"name":"shop"}}'
    assert work_of(Change(1, SHOP, active, terminating("shop"))) == Work("shop", ends=True)
    assert work_of(Change(1, SHOP, None, terminating("shop"))) == Work("shop", ends=True)
    assert work_of(Change(1, SHOP, terminating("shop"), terminating("shop"))) is None
    assert work_of(Change(1, SHOP, None, active)) is None
    assert work_of(Change(1, SHOP, terminating("shop"), None)) is None
    assert work_of(Change(1, PULLERS, b"{}", None)) == Work("shop", ends=False)
    assert work_of(Change(1, PULLERS, None, b"{}")) is None
