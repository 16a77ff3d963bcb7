"""How namespaces end: texts of conditions as Kubernetes' namespace controller writes them."""

from typing import Any

import pytest

from tests.unit.auth.projects.world import ROOT, ProjectWorld
from tidegate.apimachinery.documents.bodies import decoded
from tidegate.apimachinery.meta import ObjectMeta, OwnerReference
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.store import DocumentTransaction, Key
from tidegate.auth.projects.ending import BATCH, Ending
from tidegate.auth.projects.kinds import NAMESPACES, Namespace
from tidegate.auth.rbac.resources import ROLE_BINDINGS
from tidegate.auth.secrets import SECRETS, Secret
from tidegate.auth.serviceaccounts.kinds import SERVICE_ACCOUNTS
from tidegate.auth.stored import put, put_new, read

RESOURCES = (ROLE_BINDINGS.key, SECRETS.key, SERVICE_ACCOUNTS.key)


class Content:
    """What the registry holds of namespaces, and what was asked of it."""

    def __init__(self, batches: int = 0) -> None:
        self.batches = batches
        self.asked: list[str] = []

    async def purge(self, namespace: str) -> bool:
        self.asked.append(namespace)
        self.batches -= 1
        return self.batches < 0


def ending(world: ProjectWorld, content: Content | None = None) -> Ending:
    return Ending(world.store, RESOURCES, (content or Content()).purge)


def end(world: ProjectWorld, content: Content | None = None, name: str = "shop") -> bool:
    return world.run(ending(world, content).end(name, world.now))


def put_secret(world: ProjectWorld, name: str, **metadata: Any) -> None:
    secret = Secret(metadata=ObjectMeta(name=name, namespace="shop", **metadata))
    world.write(lambda tx: put_new(tx, SECRETS, secret, world.now))


def left(world: ProjectWorld) -> list[str]:
    return sorted(key.name for key in world.store.documents if key.namespace == "shop")


def test_a_namespace_goes_with_all_that_is_in_it(world: ProjectWorld) -> None:
    world.request("shop")
    world.request("lab")
    world.delete_namespace("shop")
    content = Content(batches=2)
    assert world.run(ending(world).terminating()) == ["shop"]
    assert end(world, content)
    assert left(world) == []
    assert content.asked == ["shop"] * 3
    assert Key(NAMESPACES.key, "", "shop") not in world.store.documents
    assert Key(NAMESPACES.key, "", "lab") in world.store.documents
    assert any(key.namespace == "lab" for key in world.store.documents)
    assert world.run(ending(world).terminating()) == []


def test_its_name_can_be_had_again(world: ProjectWorld) -> None:
    first = world.request("shop")
    world.delete_namespace("shop")
    assert end(world)
    again = world.request("shop")
    assert again["metadata"]["uid"] != first["metadata"]["uid"]


def test_no_unit_writes_more_than_a_batch(world: ProjectWorld) -> None:
    world.request("shop")
    for number in range(2 * BATCH + 10):
        put_secret(world, f"s{number}")
    world.delete_namespace("shop")
    revision, units = world.store.newest, world.store.units
    assert end(world)
    assert world.store.units - units >= (world.store.newest - revision) / BATCH
    assert left(world) == []


def test_an_owner_of_many_takes_as_many_units_as_it_needs(world: ProjectWorld) -> None:
    world.request("shop")
    put_secret(world, "owner")
    owner = world.find(SECRETS, "owner")
    assert owner is not None
    reference = OwnerReference(
        api_version="v1", kind="Secret", name="owner", uid=owner.metadata.uid
    )
    for number in range(BATCH + 20):
        put_secret(world, f"owned{number}", owner_references=[reference])
    world.delete_namespace("shop")
    assert end(world)
    assert left(world) == []


def test_what_finalizers_hold_is_waited_for_and_told(world: ProjectWorld) -> None:
    world.request("shop")
    put_secret(world, "held", finalizers=["example.com/wait"])
    world.delete_namespace("shop")
    content = Content()
    assert not end(world, content)
    assert content.asked == []
    assert left(world) == ["held"]
    namespace = world.find(NAMESPACES, "shop", "")
    assert namespace is not None
    assert [(each.type, each.status, each.message) for each in namespace.status.conditions] == [
        (
            "NamespaceContentRemaining",
            "True",
            "Some resources are remaining: secrets. has 1 resource instances",
        ),
        (
            "NamespaceFinalizersRemaining",
            "True",
            (
                "Some content in the namespace has finalizers remaining: example.com/wait in 1 "
                "resource instances"
            ),
        ),
    ]
    revision = world.store.newest
    assert not end(world)
    assert world.store.newest == revision
    remove_finalizers(world, SECRETS, "held")
    assert end(world)


def remove_finalizers(world: ProjectWorld, resource: Resource[Any], name: str) -> None:
    def unit(tx: DocumentTransaction) -> None:
        document = tx.get(Key(resource.key, "shop", name))
        assert document is not None
        held = read(resource, document)
        held.metadata.finalizers = []
        put(tx, resource, held)

    world.write(unit)


def test_a_condition_says_since_when(world: ProjectWorld) -> None:
    world.request("shop")
    put_secret(world, "held", finalizers=["example.com/wait"])
    world.delete_namespace("shop")
    end(world)
    put_secret(world, "another", finalizers=["example.com/wait"])
    world.now += 60
    end(world)
    namespace = world.find(NAMESPACES, "shop", "")
    assert namespace is not None
    for each in namespace.status.conditions:
        assert each.last_transition_time == "2026-01-02T03:04:05Z"
        assert "2 resource instances" in each.message


def test_a_namespace_that_is_not_to_go_stays(world: ProjectWorld) -> None:
    world.request("shop")
    before = left(world)
    assert end(world)
    assert left(world) == before
    assert Key(NAMESPACES.key, "", "shop") in world.store.documents


def test_a_namespace_that_is_gone_is_done_with(world: ProjectWorld) -> None:
    content = Content()
    assert end(world, content, "ghost")
    assert content.asked == []


def test_content_that_came_meanwhile_is_deleted_before_the_name_is_free(
    world: ProjectWorld,
) -> None:
    world.request("shop")
    world.delete_namespace("shop")

    class Late(Content):
        async def purge(self, namespace: str) -> bool:
            if not self.asked:
                secret = Secret(metadata=ObjectMeta(name="late", namespace="shop"))
                await world.store.write(lambda tx: put_new(tx, SECRETS, secret, world.now))
            return await super().purge(namespace)

    content = Late()
    assert not end(world, content)
    assert end(world, content)
    assert left(world) == []


def test_a_namespace_waits_for_finalizers_of_others(world: ProjectWorld) -> None:
    new = Namespace(metadata=ObjectMeta(name="shop"))
    new.spec.finalizers = ["openshift.io/origin"]
    world.run(world.namespaces.create(world.as_user(ROOT, "create"), new))
    world.delete_namespace("shop")
    assert not end(world)
    body = decoded(world.store.documents[Key(NAMESPACES.key, "", "shop")].body)
    assert body["spec"] == {"finalizers": ["openshift.io/origin"]}
    revision = world.store.newest
    assert not end(world)
    assert world.store.newest == revision
    finalize = world.served[0].subresources["finalize"]
    empty = Namespace(metadata=ObjectMeta(name="shop"))
    world.run(finalize.update(world.as_user(ROOT, "update"), "shop", lambda _: empty))
    assert Key(NAMESPACES.key, "", "shop") not in world.store.documents


def test_every_page_of_namespaces_is_looked_at(world: ProjectWorld) -> None:
    for number in range(BATCH + 5):
        world.make_namespace(f"n{number:03}")
    world.delete_namespace(f"n{BATCH + 4:03}")
    assert world.run(ending(world).terminating()) == [f"n{BATCH + 4:03}"]


@pytest.mark.parametrize("name", ["shop"])
def test_purging_that_fails_is_an_error_and_leaves_the_namespace(
    world: ProjectWorld, name: str
) -> None:
    world.request(name)
    world.delete_namespace(name)

    async def broken(namespace: str) -> bool:
        raise OSError(namespace)

    with pytest.raises(OSError, match=name):
        world.run(Ending(world.store, RESOURCES, broken).end(name, world.now))
    assert Key(NAMESPACES.key, "", name) in world.store.documents
