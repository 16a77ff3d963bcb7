import asyncio

import msgspec
import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tests.unit.auth.rbac.documents import cluster_role, key_of, put, remove, rule, store_all
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.storage import Call
from tidegate.auth.rbac.aggregation import gathered, matches
from tidegate.auth.rbac.gathering import gathering
from tidegate.auth.rbac.kinds import (
    ClusterRole,
    LabelSelector,
    LabelSelectorRequirement,
    PolicyRule,
)
from tidegate.auth.rbac.resources import CLUSTER_ROLES
from tidegate.auth.stored import read

GET_PODS, GET_SECRETS = rule("get", "pods"), rule("get", "secrets")
ADMIN = cluster_role("admin", selects="to-admin")
EDIT = cluster_role("edit", selects="to-edit", labels="to-admin")


def stored_rules(store: MemoryStore, role: ClusterRole) -> list[PolicyRule]:
    return read(CLUSTER_ROLES, store.documents[key_of(role)]).rules


def test_rules_come_by_name_of_their_role_and_once_each() -> None:
    roles = [
        ADMIN,
        cluster_role("b", GET_PODS, GET_SECRETS, labels="to-admin"),
        cluster_role("a", GET_SECRETS, rule("get", "roles"), labels="to-admin"),
        cluster_role("c", rule("*", "*"), labels="to-edit"),
    ]
    named = {each.metadata.name: each for each in roles}
    assert gathered(ADMIN, named) == [GET_SECRETS, rule("get", "roles"), GET_PODS]


def test_roles_that_gather_from_each_other_end() -> None:
    ring = {
        "x": cluster_role("x", selects="in-x", labels="in-y"),
        "y": cluster_role("y", selects="in-y", labels="in-x"),
        "z": cluster_role("z", GET_PODS, labels="in-x"),
    }
    assert gathered(ring["x"], ring) == gathered(ring["y"], ring) == [GET_PODS]


@pytest.mark.parametrize(
    ("operator", "values", "labels", "selected"),
    [
        ("In", ["a", "b"], {"k": "b"}, True),
        ("In", ["a"], {"k": "b"}, False),
        ("In", ["a"], {}, False),
        ("NotIn", ["a"], {"k": "b"}, True),
        ("NotIn", ["a"], {}, True),
        ("NotIn", ["a"], {"k": "a"}, False),
        ("Exists", [], {"k": ""}, True),
        ("Exists", [], {}, False),
        ("DoesNotExist", [], {}, True),
        ("DoesNotExist", [], {"k": ""}, False),
        ("Like", [], {"k": "a"}, False),
    ],
)
def test_a_condition_selects_as_in_kubernetes(
    operator: str, values: list[str], labels: dict[str, str], selected: bool
) -> None:
    condition = LabelSelectorRequirement(key="k", operator=operator, values=values)
    assert matches(LabelSelector(match_expressions=[condition]), labels) is selected


def test_an_empty_selector_selects_everything() -> None:
    assert matches(LabelSelector(), {})


def test_every_write_leaves_the_gathered_rules_in_the_store() -> None:
    async def run() -> None:
        plain = MemoryStore(rehearse=True)
        store = gathering(plain)
        part = cluster_role("part", GET_PODS, labels="to-edit")
        await store_all(store, ADMIN, EDIT, part)
        assert stored_rules(plain, ADMIN) == stored_rules(plain, EDIT) == [GET_PODS]
        await store_all(store, cluster_role("part", GET_SECRETS, labels="to-edit"))
        assert stored_rules(plain, ADMIN) == [GET_SECRETS]
        await remove(store, part)
        assert stored_rules(plain, ADMIN) == []

    asyncio.run(run())


def test_a_write_that_does_not_concern_an_aggregated_role_leaves_it_alone() -> None:
    async def run() -> None:
        plain = MemoryStore()
        store = gathering(plain)
        await store_all(store, ADMIN, cluster_role("part", GET_PODS, labels="to-admin"))
        before = plain.documents[key_of(ADMIN)].revision
        await store_all(store, cluster_role("other", GET_PODS))
        assert plain.documents[key_of(ADMIN)].revision == before

    asyncio.run(run())


def test_a_unit_that_fails_gathers_nothing() -> None:
    async def run() -> None:
        plain = MemoryStore()

        def unit(tx: object) -> None:
            raise LookupError

        with pytest.raises(LookupError):
            await gathering(plain).write(unit)
        assert plain.newest == 0

    asyncio.run(run())


def test_a_client_reads_the_rules_of_the_role_that_it_makes() -> None:
    async def run() -> None:
        plain = MemoryStore()
        storage = DocumentStorage(CLUSTER_ROLES, gathering(plain))
        call = Call(user=User("root"), verb="create")
        await storage.create(call, cluster_role("part", GET_PODS, labels="to-admin"))
        await storage.create(call, cluster_role("admin", rule("*", "*"), selects="to-admin"))
        read_back = msgspec.json.decode(await storage.get(call, "admin"), type=ClusterRole)
        assert read_back.rules == [GET_PODS]

    asyncio.run(run())


def test_everything_else_is_the_store_behind() -> None:
    async def run() -> None:
        plain = MemoryStore()
        store = gathering(plain)
        heard: list[str] = []
        store.follow([CLUSTER_ROLES.key], lambda change: heard.append(change.key.name))
        await plain.write(lambda tx: put(tx, cluster_role("x")))
        assert heard == ["x"]
        assert await store.get(key_of(cluster_role("x"))) is not None
        assert len((await store.list(CLUSTER_ROLES.key)).documents) == 1
        assert await store.revision() == await store.catch_up() == 1
        subscription = await store.watch(CLUSTER_ROLES.key, 0)
        assert [each.key.name for each in await subscription.next()] == ["x"]
        subscription.close()

    asyncio.run(run())
