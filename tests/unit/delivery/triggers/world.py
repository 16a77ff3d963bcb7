"""Streams, workloads and policies on an embedded database, with the loop that acts on triggers.

The clock is the test's. The loop runs beside the test, which gives it turns until something holds.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tests.unit.delivery.triggers.things import HOST, deployment, digest
from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.meta import Object, ObjectMeta
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.store import Document, Key
from tidegate.auth.stored import put, put_new, read
from tidegate.controllers.triggers import Triggers
from tidegate.delivery.triggers.reconciling import Gate
from tidegate.delivery.triggers.rights import pull_right
from tidegate.delivery.triggers.stored_targets import StoredTargets
from tidegate.delivery.triggers.tags import Tags
from tidegate.delivery.triggers.targets import Targets
from tidegate.delivery.triggers.telling import Telling
from tidegate.images.kinds.image_stream import ImageStream
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.stream import PUSH, Actor, Stream
from tidegate.images.streams.stream import Change as TagChange
from tidegate.kinds import serving
from tidegate.kinds.image_approval import IMAGE_APPROVALS, ImageApproval, ImageApprovalSpec
from tidegate.kinds.image_change import IMAGE_CHANGES, ImageChangeStatus
from tidegate.kinds.trigger_policy import TRIGGER_POLICIES, TriggerPolicy, TriggerPolicySpec
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import Documents
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.metastore.sqlite import SqliteDatabase
from tidegate.observability.audit import AuditEvent
from tidegate.oci.name import RepositoryName, Tag

NOW = 1_790_000_000.0
DEPLOYMENTS = "deployments.apps"


@dataclass
class Rights:
    """An `Authorizer` of those who may pull from elsewhere: (user, project)."""

    pullers: set[tuple[str, str]] = field(default_factory=set)

    async def authorize(self, user: User, attributes: Attributes) -> bool:
        asked = (attributes.verb, attributes.resource)
        assert asked == ("get", "imagestreams/layers")
        return (user.name, attributes.namespace) in self.pullers


@dataclass
class Recorder:
    """An audit that keeps what it is told."""

    events: list[AuditEvent] = field(default_factory=list)

    def record(self, event: AuditEvent) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass


@dataclass
class Hook:
    """A webhook that answers as it is told to."""

    answers: list[int | Exception] = field(default_factory=list)
    calls: list[tuple[str, Mapping[str, str], Any]] = field(default_factory=list)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        self.calls.append((url, headers, json.loads(body)))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class World:
    """One process."""

    database: SqliteDatabase
    store: Documents
    now: float = NOW
    rights: Rights = field(default_factory=Rights)
    audit: Recorder = field(default_factory=Recorder)
    hook: Hook = field(default_factory=Hook)

    def clock(self) -> float:
        return self.now

    def targets(self) -> StoredTargets:
        return StoredTargets(self.store, serving.serve(self.store), self.clock)

    def triggers(self, *gates: Gate, targets: Targets | None = None, **more: Any) -> Triggers:
        hosts = Hosts(HOST, "")
        return Triggers(
            self.store,
            lambda: Tags(self.database, hosts),
            targets or self.targets(),
            pull_right(self.rights),
            Telling(self.store, self.audit, self.clock, self.hook.post),
            clock=self.clock,
            gates=gates,
            **more,
        )

    # what clients do

    async def project(self, *names: str) -> None:
        for name in names:
            body = json.dumps({"metadata": {"name": name, "uid": name}}).encode()

            def unit(tx: Any, name: str = name, body: bytes = body) -> Document:
                return tx.put(Key("namespaces", "", name), name, lambda _: body)  # type: ignore[no-any-return]

            await self.store.write(unit)

    async def push(self, repository: str, tag: str, letter: str, **more: Any) -> None:
        """Let a tag name an image, whose stream is made if missing."""
        name = RepositoryName.parse(repository)
        change = TagChange(more.get("reference", f"/{name}@{digest(letter)}"), digest(letter), 1)

        def unit(tx: Transaction) -> None:
            stream = Stream.open(tx, name)
            if stream is None:
                meta = ObjectMeta(
                    name=name.stream, namespace=name.project, uid=f"uid-{name}", generation=1
                )
                stream = Stream.make(tx, name, ImageStream(metadata=meta))
            stream.record(Tag(tag), change, Actor("ann", PUSH, self.now))
            stream.save()

        await self.database.write(unit)

    async def untag(self, repository: str, tag: str) -> None:
        def unit(tx: Transaction) -> None:
            stream = Stream.open(tx, RepositoryName.parse(repository))
            assert stream is not None
            stream.drop(tag, Actor("ann", PUSH, self.now))
            stream.save()

        await self.database.write(unit)

    async def deploy(self, name: str = "web", *entries: dict[str, Any], **more: Any) -> None:
        await self.put_workload(deployment(name, *entries, **more))

    async def put_workload(self, values: dict[str, Any], resource: str = DEPLOYMENTS) -> None:
        metadata = values["metadata"]
        key = Key(resource, metadata["namespace"], metadata["name"])

        def encode(revision: int) -> bytes:
            metadata["resourceVersion"] = str(revision)
            return msgspec.json.encode(values)

        await self.store.write(lambda tx: tx.put(key, metadata["uid"], encode))

    async def delete(self, resource: str, namespace: str, name: str) -> None:
        await self.store.write(lambda tx: tx.delete(Key(resource, namespace, name)))

    async def policy(self, name: str = "rules", project: str = "shop", **spec: Any) -> None:
        new = TriggerPolicy(spec=TriggerPolicySpec(**spec))
        TRIGGER_POLICIES.strategy.prepare(new, None)
        await self._keep(TRIGGER_POLICIES, new, name, project)

    async def approve(self, letter: str, by: str = "ann", project: str = "shop") -> None:
        new = ImageApproval(spec=ImageApprovalSpec(image=digest(letter)))
        new.status.approved_by = by
        await self._keep(IMAGE_APPROVALS, new, f"{by}-{letter}", project)

    async def _keep(self, resource: Resource[Any], new: Object, name: str, project: str) -> None:
        new.metadata.name, new.metadata.namespace = name, project

        def unit(tx: Any) -> None:
            stored = tx.get(Key(resource.key, project, name))
            if stored is None:
                put_new(tx, resource, new, self.now)
            else:
                new.metadata = read(resource, stored).metadata
                put(tx, resource, new)

        await self.store.write(unit)

    # what is seen

    async def workload(self, name: str = "web", namespace: str = "shop") -> dict[str, Any]:
        found = await self.store.get(Key(DEPLOYMENTS, namespace, name))
        assert found is not None
        values: dict[str, Any] = json.loads(found.body)
        return values

    async def image(self, name: str = "web", namespace: str = "shop", index: int = 0) -> str:
        """Letter of the digest that a container runs, or all of its image."""
        values = await self.workload(name, namespace)
        running: str = values["spec"]["template"]["spec"]["containers"][index]["image"]
        at, _, hexadecimal = running.partition("@sha256:")
        return hexadecimal[0] if at.startswith(HOST) and hexadecimal else running

    async def change(self, name: str = "deployment.web", project: str = "shop") -> Any:
        """The ImageChange of a workload: its status; None without one."""
        found = await self.store.get(Key(IMAGE_CHANGES.key, project, name))
        return None if found is None else read(IMAGE_CHANGES, found).status

    async def events(self) -> list[tuple[str, str]]:
        listing = await self.store.list("events")
        shown = [json.loads(each.body) for each in listing.documents]
        return [(each["reason"], each["message"]) for each in shown]


async def until(condition: Callable[[], Any], what: str = "it") -> None:
    """Give the loop turns until a condition, which may be awaited, holds."""
    for _ in range(2000):
        if await condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"waited in vain for {what}")


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    url = f"sqlite:///{directory / 'metadata.db'}"
    migrate(url)
    database = await open_database(url)
    assert isinstance(database, SqliteDatabase)
    store = Documents(database)
    await store.start()
    try:
        made = World(database, store)
        await made.project("shop", "lab", "prod")
        yield made
    finally:
        await store.close()
        await database.close()


@asynccontextmanager
async def acting(triggers: Triggers) -> AsyncIterator[None]:
    """The loop beside the block."""
    task = asyncio.ensure_future(triggers.run())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait({task})


__all__ = ["ImageChangeStatus", "World", "acting", "until", "world"]
