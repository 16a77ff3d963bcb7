import asyncio
import logging
from collections.abc import Iterator

import pytest

from tests.unit.auth.serviceaccounts.world import World
from tidegate.apimachinery.storage import DeleteOptions
from tidegate.apimachinery.store import Change, Key
from tidegate.auth.secrets import value_of
from tidegate.auth.serviceaccounts.pull_secrets import LIFETIME
from tidegate.auth.serviceaccounts.renewal import Account
from tidegate.controllers.noticed import Noticed
from tidegate.controllers.pull_secrets import mend_pull_secrets, renew_pull_secrets, work_of


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    made.make_namespace()
    yield made
    made.runner.close()


async def turns() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def start(world: World, interval: float) -> "asyncio.Task[None]":
    loop = renew_pull_secrets(world.store, world.tokens.signer, interval, world.clock)
    task = asyncio.create_task(loop)
    await turns()
    return task


async def stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_loop_renews_what_is_of_age(world: World) -> None:
    world.make_account()
    before = value_of(world.pull_secret(), ".dockercfg")
    world.now += LIFETIME * 0.6
    task = world.run(start(world, 0))
    assert value_of(world.pull_secret(), ".dockercfg") != before
    revision = world.store.newest
    world.run(turns())
    assert world.store.newest == revision
    world.run(stop(task))


def test_a_loop_goes_on_after_a_failure(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.make_account()
    before = value_of(world.pull_secret(), ".dockercfg")
    world.now += LIFETIME * 0.6
    keys, world.keys = world.keys, []
    with caplog.at_level(logging.ERROR):
        task = world.run(start(world, 0))
    assert "renewing pull secrets failed" in caplog.text
    world.keys = keys
    world.run(turns())
    assert value_of(world.pull_secret(), ".dockercfg") != before
    world.run(stop(task))


def test_a_secret_that_is_deleted_is_made_anew(world: World) -> None:
    noticed = Noticed(world.store, ["secrets"], work_of)
    world.make_account()
    name = world.pull_secret().metadata.name
    world.run(world.secrets.delete(world.call("delete"), name, DeleteOptions()))

    async def story() -> None:
        await noticed.wait(3600)  # at once, since it was noticed
        await mend_pull_secrets(
            world.store, world.tokens.signer, noticed, world.clock, everywhere=False
        )

    world.run(story())
    assert world.pull_secret().metadata.name != name


def test_only_the_end_of_a_pull_secret_is_a_loss() -> None:
    key = Key("secrets", "shop", "x")
    pull = (
        b'{"metadata":{"annotations":'
        b'{"openshift.io/internal-registry-auth-token.service-account":"builder"}}}'
    )
    assert work_of(Change(1, key, pull, None)) == Account("shop", "builder")
    assert work_of(Change(1, key, pull, pull)) is None
    assert work_of(Change(1, key, None, pull)) is None
    assert work_of(Change(1, key, b'{"metadata":{}}', None)) is None
