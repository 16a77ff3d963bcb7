"""A store, a ring of keys and a clock in memory, and service accounts on them."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec

from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.meta import Object, ObjectMeta
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.storage import Call
from tidegate.apimachinery.store import Key
from tidegate.auth.keys import KeyRing
from tidegate.auth.projects.kinds import NAMESPACES, Namespace, prepare_namespace
from tidegate.auth.secrets import SECRETS, Secret
from tidegate.auth.serviceaccounts.kinds import PULL_SECRET, SERVICE_ACCOUNTS, ServiceAccount
from tidegate.auth.serviceaccounts.storage import (
    SecretStorage,
    ServiceAccountStorage,
    TokenRequests,
)
from tidegate.auth.serviceaccounts.tokens import ServiceAccountTokens, Signer
from tidegate.auth.stored import put_new, read
from tidegate.metastore.keys import Key as SigningKey

T = TypeVar("T")
K = TypeVar("K", bound=Object)

HOSTS = ("localhost:5000", "registry.example.com")


class World:
    """What service accounts work on; `run` drives a coroutine to its end."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.store = MemoryStore(rehearse=True)
        self.now = 1_767_323_045.0
        self.keys = [SigningKey("k1", b"1" * 32, self.now - 1000)]
        self.tokens = ServiceAccountTokens(KeyRing(self.read_keys), self.store, hosts=HOSTS)
        self.accounts = ServiceAccountStorage(self.store, self.tokens, self.clock)
        self.secrets = SecretStorage(self.store, self.tokens, self.clock)
        self.requests = TokenRequests(self.store, self.tokens, self.clock)

    def clock(self) -> float:
        return self.now

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    async def read_keys(self) -> list[SigningKey]:
        return self.keys

    def signer(self) -> Signer:
        return self.run(self.tokens.signer(self.now))

    def call(self, verb: str, namespace: str = "shop", name: str = "") -> Call:
        return Call(user=User("jane"), verb=verb, namespace=namespace, name=name)

    def make_namespace(self, name: str = "shop") -> None:
        namespace = Namespace(metadata=ObjectMeta(name=name))
        prepare_namespace(namespace, None)
        self.run(self.store.write(lambda tx: put_new(tx, NAMESPACES, namespace, self.now)))

    def make_account(self, name: str = "builder", namespace: str = "shop") -> ServiceAccount:
        new = ServiceAccount(metadata=ObjectMeta(name=name))
        body = self.run(self.accounts.create(self.call("create", namespace), new))
        return msgspec.json.decode(body, type=ServiceAccount)

    def find(self, resource: Resource[K], name: str, namespace: str = "shop") -> K | None:
        document = self.store.documents.get(Key(resource.key, namespace, name))
        return None if document is None else read(resource, document)

    def account(self, name: str = "builder") -> ServiceAccount:
        found = self.find(SERVICE_ACCOUNTS, name)
        assert found is not None
        return found

    def pull_secret(self, name: str = "builder") -> Secret:
        found = self.find(SECRETS, self.account(name).metadata.annotations[PULL_SECRET])
        assert found is not None
        return found
