from tests.unit.auth.projects.world import ProjectWorld
from tidegate.apimachinery.store import Change, Key
from tidegate.auth.projects.defaults import lacking, loses_default, restore_all
from tidegate.auth.rbac.resources import ROLE_BINDINGS
from tidegate.auth.serviceaccounts.kinds import SERVICE_ACCOUNTS


def found(world: ProjectWorld) -> list[str]:
    async def look() -> list[str]:
        return [each async for each in lacking(world.store)]

    return world.run(look())


def test_namespaces_that_lack_something_are_found_and_restored(world: ProjectWorld) -> None:
    for name in ("aa", "bb", "cc"):
        world.request(name)
    assert found(world) == []
    world.revoke("aa", "system:deployers")
    world.write(lambda tx: tx.delete(Key(SERVICE_ACCOUNTS.key, "cc", "default")))
    assert found(world) == ["aa", "cc"]
    signer = world.signer()
    assert world.run(restore_all(world.store, found(world), signer)) == 2
    assert found(world) == []


def test_older_namespaces_are_found_on_every_page(world: ProjectWorld) -> None:
    for number in range(105):
        world.make_namespace(f"n{number:03}")
    assert len(found(world)) == 105
    signer = world.signer()
    assert world.run(restore_all(world.store, found(world), signer)) == 105


def test_a_namespace_that_is_going_lacks_nothing(world: ProjectWorld) -> None:
    world.request("shop")
    world.revoke("shop", "system:deployers")
    world.delete_namespace("shop")
    assert found(world) == []


def test_only_the_end_of_a_default_is_a_loss() -> None:
    binding = Key(ROLE_BINDINGS.key, "shop", "system:image-pullers")
    account = Key(SERVICE_ACCOUNTS.key, "shop", "builder")
    other = Key(SERVICE_ACCOUNTS.key, "shop", "robot")
    assert loses_default(Change(1, binding, b"{}", None))
    assert loses_default(Change(1, account, b"{}", None))
    assert not loses_default(Change(1, account, b"{}", b"{}"))
    assert not loses_default(Change(1, other, b"{}", None))
