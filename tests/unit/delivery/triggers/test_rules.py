import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from tests.unit.apimachinery.memory_store import MemoryStore
from tests.unit.delivery.triggers.things import digest, workload
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import DocumentTransaction, Key, Listing
from tidegate.delivery.triggers.rules import Rules
from tidegate.kinds.image_approval import IMAGE_APPROVALS, ImageApproval, ImageApprovalSpec
from tidegate.kinds.trigger_policy import (
    TRIGGER_POLICIES,
    MaintenanceWindow,
    TriggerPolicy,
    TriggerPolicySpec,
)


def policy(name: str, **spec: Any) -> tuple[Key, bytes]:
    new = TriggerPolicy(metadata=ObjectMeta(name=name), spec=TriggerPolicySpec(**spec))
    return Key(TRIGGER_POLICIES.key, "shop", name), msgspec.json.encode(new)


def approval(name: str, letter: str, *workloads: str) -> tuple[Key, bytes]:
    spec = ImageApprovalSpec(image=digest(letter), workloads=list(workloads))
    new = ImageApproval(metadata=ObjectMeta(name=name), spec=spec)
    new.status.approved_by = name
    return Key(IMAGE_APPROVALS.key, "shop", name), msgspec.json.encode(new)


def put(key: Key, body: bytes, tx: DocumentTransaction) -> None:
    tx.put(key, key.name, lambda _: body)


def names(rules: Rules) -> list[str]:
    return [each.name for each in rules.policies(workload())]


def test_policies_and_approvals_come_and_go() -> None:
    rules = Rules()
    rules.put(*policy("b"))
    rules.put(*policy("a", workloads=["web"]))
    rules.put(*policy("c", workloads=["api"]))
    rules.put(*approval("ann", "a", "w*"))
    rules.put(*approval("rob", "b", "api"))
    assert names(rules) == ["a", "b"]
    assert rules.approvals(workload()) == {digest("a"): "ann"}
    assert rules.policies(workload(namespace="lab")) == []
    for key in ("a", "b", "c", "none"):
        rules.put(Key(TRIGGER_POLICIES.key, "shop", key), None)
    assert names(rules) == []


def test_a_policy_that_cannot_be_read_here_pauses() -> None:
    rules = Rules()
    window = MaintenanceWindow(start="22:00", duration="1h", time_zone="Mars/Base")
    rules.put(*policy("a", windows=[window]))  # of a server with another tz database
    assert [each.paused for each in rules.policies(workload())] == [True]


def test_what_is_known_counts_while_all_is_read_anew() -> None:
    """No image slips through between two policies; what is told meanwhile is not overwritten."""
    rules = Rules()

    class Store(MemoryStore):
        async def list(self, resource: str, *args: Any, **more: Any) -> Listing:
            found = await super().list(resource, *args, **more)
            if resource == TRIGGER_POLICIES.key:
                assert names(rules) == ["kept", "stale"]
                rules.put(*policy("told", paused=True))
                rules.put(Key(TRIGGER_POLICIES.key, "shop", "deleted"), None)
            return found

    async def story() -> Sequence[str]:
        store = Store()
        for key, body in (policy("kept"), policy("told"), policy("deleted"), policy("new")):
            await store.write(partial(put, key, body))
        rules.put(*policy("kept"))
        rules.put(*policy("stale"))
        await rules.load(store)
        return names(rules)

    assert asyncio.run(story()) == ["kept", "new", "told"]
    assert [each.paused for each in rules.policies(workload())] == [False, False, True]
