import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.errors import Forbidden
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.storage import Call
from tidegate.apimachinery.store import Key
from tidegate.delivery.triggers.serving import serve
from tidegate.kinds.trigger_policy import TriggerPolicy, TriggerPolicySpec, TriggerWebhook


@dataclass
class Readers:
    """An `Authorizer` of who may read the Secrets of a project."""

    readers: set[str] = field(default_factory=set)

    async def authorize(self, user: User, attributes: Attributes) -> bool:
        asked = (attributes.verb, attributes.resource, attributes.namespace, attributes.group)
        assert asked == ("get", "secrets", "shop", "")
        return user.name in self.readers


def policy(secret: str = "hook", url: str = "https://a.test/", **spec: Any) -> TriggerPolicy:
    webhook = TriggerWebhook(url=url, secret=secret)
    return TriggerPolicy(
        metadata=ObjectMeta(name="rules"), spec=TriggerPolicySpec(webhook=webhook, **spec)
    )


def test_who_writes_a_policy_that_uses_a_secret_may_read_it() -> None:
    async def story() -> None:
        store = MemoryStore()
        namespace = b'{"metadata":{"name":"shop","uid":"1"}}'
        await store.write(
            lambda tx: tx.put(Key("namespaces", "", "shop"), "1", lambda _: namespace)
        )
        (served,) = serve(store, Readers({"ann"}))

        def call(user: str) -> Call:
            return Call(user=User(user), verb="create", namespace="shop")

        with pytest.raises(Forbidden, match="uses Secret hook, which its writer may not read"):
            await served.storage.create(call("bob"), policy())
        await served.storage.create(call("ann"), policy())
        for changed, allowed in (
            (policy(paused=True), True),
            (policy(secret="another"), False),
            (policy(url="https://bob.test/"), False),
            (policy(secret=""), True),
        ):
            changing = served.storage.update(call("bob"), "rules", lambda _, to=changed: to)
            if allowed:
                await changing
            else:
                with pytest.raises(Forbidden):
                    await changing

    asyncio.run(story())
