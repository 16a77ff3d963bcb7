"""ResourceQuotas of streams and of bytes: image-api section 11; the texts are Kubernetes' own."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import Call, ListOptions, WatchOptions
from tidegate.apimachinery.store import Key
from tidegate.images import incoming
from tidegate.images.kinds.image_stream import ImageStream
from tidegate.images.quota_status import QuotaStorage
from tidegate.images.streams.errors import LimitExceeded, QuotaExceeded
from tidegate.images.streams.rules import Rules
from tidegate.images.streams.stream import Stream, key_of
from tidegate.images.streams.undelete import bring_back
from tidegate.kinds.limit_range import LIMIT_RANGES
from tidegate.kinds.resource_quota import (
    RESOURCE_QUOTA_STATUS,
    RESOURCE_QUOTAS,
    ResourceQuota,
    ResourceQuotaStatus,
)
from tidegate.metastore import deleted, links, usage
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import Documents, DocumentUnit
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

T = TypeVar("T")

MI = 2**20
WEB = RepositoryName("shop/web")
STREAMS, COUNT = "openshift.io/imagestreams", "count/imagestreams.image.openshift.io"
STORAGE = "tidegate.io/storage"


def blob(letter: str) -> Digest:
    return Digest("sha256:" + letter * 64)


def body_of(name: str, spec: object) -> bytes:
    metadata = {"name": name, "namespace": "shop", "uid": name}
    return msgspec.json.encode({"metadata": metadata, "spec": spec})


def make(tx: Transaction, name: RepositoryName) -> None:
    metadata = ObjectMeta(name=name.stream, namespace=name.project, uid=f"uid-{name}", generation=1)
    Stream.make(tx, name, ImageStream(metadata=metadata)).save()


class World:
    """Units of work on an embedded database."""

    def __init__(self, directory: Path) -> None:
        self._url = f"sqlite:///{directory / 'metadata.db'}"
        migrate(self._url)

    def run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        async def run() -> T:
            db = await open_database(self._url)
            try:
                return await work(db)
            finally:
                await db.close()

        return asyncio.run(run())

    def write(self, unit: Callable[[Transaction], T]) -> T:
        return self.run(lambda db: db.write(unit))

    def keep(self, resource: str, name: str, spec: object) -> None:
        key = Key(resource, "shop", name)
        body = body_of(name, spec)
        self.write(lambda tx: DocumentUnit(tx).put(key, name, lambda _: body))

    def quota(self, name: str, **more: object) -> Callable[..., None]:
        """Gives the project a quota: `quota("small")({STORAGE: "1"})`."""
        return lambda hard: self.keep(RESOURCE_QUOTAS.key, name, {"hard": hard, **more})

    def namespace(self) -> None:
        """Make the project."""
        key, body = Key("namespaces", "", "shop"), b'{"metadata":{"name":"shop","uid":"1"}}'
        self.write(lambda tx: DocumentUnit(tx).put(key, "1", lambda _: body))

    def make(self, *names: str) -> None:
        for name in names:
            self.write(lambda tx: make(tx, RepositoryName(name)))  # noqa: B023

    def link(self, letter: str, size: int, name: RepositoryName = WEB) -> None:
        self.write(lambda tx: incoming.link(tx, name, blob(letter), size, 1.0))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("resource", [STREAMS, COUNT])
def test_one_stream_too_many_is_refused(world: World, resource: str) -> None:
    world.quota("two")({resource: 2})
    world.make("shop/a", "shop/b", "lab/c", "lab/d", "lab/e")
    with pytest.raises(QuotaExceeded) as caught:
        world.make("shop/c")
    assert str(caught.value) == (
        f"exceeded quota: two, requested: {resource}=1, used: {resource}=2, limited: {resource}=2"
    )


def test_both_names_of_the_number_of_streams_are_told_at_once(world: World) -> None:
    world.quota("none")({COUNT: "0", STREAMS: "0"})
    with pytest.raises(QuotaExceeded) as caught:
        world.make("shop/a")
    assert str(caught.value) == (
        f"exceeded quota: none, requested: {COUNT}=1,{STREAMS}=1,"
        f" used: {COUNT}=0,{STREAMS}=0, limited: {COUNT}=0,{STREAMS}=0"
    )


def test_the_quota_with_least_room_refuses(world: World) -> None:
    world.quota("a-large")({STREAMS: 5})
    world.quota("b-small")({STREAMS: 1})
    world.make("shop/a")
    with pytest.raises(QuotaExceeded, match="exceeded quota: b-small, "):
        world.make("shop/b")


def test_quotas_of_pods_and_of_other_things_refuse_no_stream(world: World) -> None:
    world.quota("pods", scopes=["BestEffort"])({STREAMS: 0})
    world.quota("chosen", scopeSelector={"matchExpressions": []})({STREAMS: 0})
    world.quota("others")({"secrets": 0, "count/images.image.openshift.io": 0})
    world.make("shop/a")


def test_more_bytes_than_the_quota_are_refused_and_not_linked(world: World) -> None:
    world.quota("small")({STORAGE: "3Mi"})
    world.link("1", 2 * MI)
    with pytest.raises(QuotaExceeded) as caught:
        world.link("2", 2 * MI)
    assert str(caught.value) == (
        f"exceeded quota: small, requested: {STORAGE}=2Mi, used: {STORAGE}=2Mi,"
        f" limited: {STORAGE}=3Mi"
    )
    assert world.run(lambda db: links.size(db, WEB, blob("2"))) is None
    world.link("3", MI)


def test_what_the_project_has_already_is_linked_again_however_full_it_is(world: World) -> None:
    world.link("1", 2 * MI)
    world.quota("small")({STORAGE: MI})
    world.link("1", 2 * MI)
    world.link("1", 2 * MI, RepositoryName("shop/other"))
    with pytest.raises(QuotaExceeded):
        world.link("2", 1)


def test_what_another_project_has_counts_for_both(world: World) -> None:
    world.link("1", 2 * MI, RepositoryName("lab/web"))
    world.quota("small")({STORAGE: MI})
    with pytest.raises(QuotaExceeded):
        world.link("1", 2 * MI)


def test_a_blob_larger_than_an_image_may_be_is_refused(world: World) -> None:
    limits = [{"type": "openshift.io/Image", "max": {"storage": "1Mi"}}]
    world.keep(LIMIT_RANGES.key, "images", {"limits": limits})
    world.link("1", MI)
    with pytest.raises(LimitExceeded, match=r"exceeds the maximum limit .* \(2Mi > 1Mi\)"):
        world.link("2", 2 * MI)


def test_a_stream_that_comes_back_needs_room_for_its_bytes(world: World) -> None:
    world.quota("small")({STORAGE: "3Mi"})
    world.link("1", 2 * MI)
    world.write(lambda tx: Rules.load(tx, "shop").check_return(tx, MI))
    with pytest.raises(QuotaExceeded, match=f"used: {STORAGE}=2Mi"):
        world.write(lambda tx: Rules.load(tx, "shop").check_return(tx, MI + 1))
    world.write(lambda tx: Rules.load(tx, "lab").check_return(tx, MI + 1))


def test_a_deleted_stream_comes_back_only_where_its_bytes_have_room(world: World) -> None:
    world.namespace()
    world.make("shop/web")
    world.link("1", 2 * MI)
    world.write(lambda tx: DocumentUnit(tx).delete(key_of(WEB)))
    while world.write(usage.settle):
        pass
    assert world.run(lambda db: usage.read(db, "shop")).total == 0

    async def size(db: Database) -> int:
        aside = await deleted.waiting(db, key_of(WEB))
        assert aside is not None
        return await usage.would_add(db, aside)

    size_of_web = world.run(size)
    assert size_of_web == 2 * MI
    world.quota("small")({STORAGE: MI})
    with pytest.raises(QuotaExceeded, match=f"requested: {STORAGE}=2Mi"):
        world.write(lambda tx: bring_back(tx, WEB, 0.0, size_of_web))
    world.quota("small")({STORAGE: "2Mi"})
    world.write(lambda tx: bring_back(tx, WEB, 0.0, size_of_web))
    while world.write(usage.settle):
        pass
    assert world.run(lambda db: usage.read(db, "shop")).total == 2 * MI


def call(verb: str) -> Call:
    return Call(user=User("ann"), verb=verb, namespace="shop")


def test_a_quota_shows_what_is_used_of_all_that_is_counted(world: World) -> None:
    world.quota("q")({STORAGE: "3Mi", STREAMS: "5", COUNT: "7", "secrets": "1"})
    world.quota("pods", scopes=["BestEffort"])({STREAMS: 0})
    world.make("shop/a", "shop/b")
    world.link("1", 2 * MI)

    async def read(db: Database) -> None:
        store = Documents(db)
        await store.start()
        storage = QuotaStorage(RESOURCE_QUOTAS, store, db)
        status = {
            "hard": {STORAGE: "3Mi", STREAMS: "5", COUNT: "7"},
            "used": {STORAGE: "2Mi", STREAMS: "2", COUNT: "2"},
        }
        got = msgspec.json.decode(await storage.get(call("get"), "q"))
        assert got["status"] == status
        page = await storage.list(call("list"), ListOptions(selection=Selection()))
        listed = {each["metadata"]["name"]: each for each in map(msgspec.json.decode, page.bodies)}
        assert listed["q"]["status"] == status
        assert listed["pods"].get("status", {}) == {}
        watch = await storage.watch(call("watch"), WatchOptions(selection=Selection()))
        seen = [each for each in await watch.next(0.0) if b'"q"' in each.body]
        assert [msgspec.json.decode(each.body)["status"] for each in seen] == [status]
        watch.close()
        await store.close()

    world.run(read)


def test_what_somebody_else_counts_stays_in_the_status(world: World) -> None:
    world.namespace()

    async def story(db: Database) -> None:
        store = Documents(db)
        await store.start()
        storage = QuotaStorage(RESOURCE_QUOTAS, store, db)
        status = QuotaStorage(RESOURCE_QUOTA_STATUS, store, db)
        new = ResourceQuota(metadata=ObjectMeta(name="q", namespace="shop"))
        new.spec.hard = {STREAMS: "5", "secrets": "1"}
        made = msgspec.json.decode(await storage.create(call("create"), new))
        assert made["status"] == {"hard": {STREAMS: "5"}, "used": {STREAMS: "0"}}

        def told(current: object) -> ResourceQuota:
            quota = msgspec.convert(current, ResourceQuota)
            used = {"secrets": "1", STREAMS: "4"}
            quota.status = ResourceQuotaStatus(hard={"secrets": "1"}, used=used)  # type: ignore[arg-type]
            return quota

        updated = msgspec.json.decode((await status.update(call("update"), "q", told)).body)
        assert updated["status"] == {
            "hard": {"secrets": "1", STREAMS: "5"},
            "used": {"secrets": "1", STREAMS: "0"},
        }
        await store.close()

    world.run(story)
