"""How many bytes each project holds: every engine passes this suite.

What is expected is counted by a model of plain sets, and by `recount` from the tables.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from tests.conformance.metadata_store import APP, OTHER, digest_of, image, link, push, using
from tidegate.apimachinery.store import Document, Key
from tidegate.metastore import (
    blobs,
    closures,
    deleted,
    document_rows,
    jobs,
    links,
    manifests,
    recounting,
    repositories,
    tags,
    usage,
)
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.projects import purge, purge_all
from tidegate.metastore.usage import Usage
from tidegate.oci.name import RepositoryName

PROJECTS = ("lab", "shop", "test")
API = RepositoryName("shop/api")
SHOP_APP = Key(deleted.IMAGE_STREAMS, "shop", "app")

CONFIG, LAYER = digest_of("config"), digest_of("layer")


async def settle(db: Database) -> None:
    while await db.write(usage.settle):
        pass


async def held(db: Database) -> dict[str, Usage]:
    """What projects hold, the same by the counters and by counting again."""
    found = {project: await usage.read(db, project) for project in PROJECTS}
    again = {project: await recounting.recount(db, project) for project in PROJECTS}
    assert found == again
    return {project: held for project, held in found.items() if held != Usage()}


class MetadataUsageSuite:
    """Bytes per project."""

    def test_a_blob_counts_once_in_a_project_and_is_shared_between_two(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await link(db, LAYER, 100)
            await link(db, LAYER, 100)
            await link(db, LAYER, 100, API)
            assert await held(db) == {"shop": Usage(100, 0)}
            await link(db, CONFIG, 7, OTHER)
            await link(db, LAYER, 100, OTHER)
            assert await held(db) == {"shop": Usage(0, 100), "lab": Usage(7, 100)}
            await db.write(lambda tx: links.unlink(tx, APP, LAYER, 2))
            assert await held(db) == {"shop": Usage(0, 100), "lab": Usage(7, 100)}
            await db.write(lambda tx: links.unlink(tx, API, LAYER, 2))
            assert await held(db) == {"lab": Usage(107, 0)}
            await db.write(lambda tx: links.revive(tx, API, [LAYER]))
            assert await held(db) == {"shop": Usage(0, 100), "lab": Usage(7, 100)}

        using(url, scenario)

    def test_the_bytes_of_manifests_count_too(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            one = image("four")
            await push(db, one, "a")
            await push(db, one, "b")
            assert await held(db) == {"shop": Usage(4, 0)}
            await push(db, one, repository=OTHER)
            assert await held(db) == {"shop": Usage(0, 4), "lab": Usage(0, 4)}
            await db.write(lambda tx: manifests.delete(tx, APP, one.digest, 2))
            assert await held(db) == {"lab": Usage(4, 0)}
            await db.write(lambda tx: manifests.revive(tx, APP, [one.digest]))
            assert await held(db) == {"shop": Usage(0, 4), "lab": Usage(0, 4)}
            await db.write(lambda tx: blobs.drop_content(tx, one.digest))
            assert await held(db) == {}

        using(url, scenario)

    def test_what_is_undone_was_not_counted(self, url: str) -> None:
        def failing(tx: Transaction) -> None:
            links.link(tx, APP, LAYER, 100, 1)
            assert usage.of(tx, "shop").total == 100
            raise ValueError("no")

        async def scenario(db: Database) -> None:
            with pytest.raises(ValueError, match="no"):
                await db.write(failing)
            assert await held(db) == {}

        using(url, scenario)

    def test_lost_bytes_count_nothing_until_they_are_back(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await link(db, LAYER, 100)
            await link(db, LAYER, 100, OTHER)
            await db.write(lambda tx: blobs.lose(tx, LAYER))
            assert await held(db) == {}
            await db.write(lambda tx: links.unlink(tx, OTHER, LAYER, 2))
            await db.write(lambda tx: blobs.restore(tx, LAYER, 90))
            assert await held(db) == {"shop": Usage(90, 0)}
            await link(db, LAYER, 80)
            assert await held(db) == {"shop": Usage(80, 0)}

        using(url, scenario)

    def test_a_copied_image_is_shared(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await link(db, LAYER, 100)
            one = image("four", [LAYER])
            await push(db, one)

            def copy(tx: Transaction) -> None:
                source = repositories.find(tx, APP)
                assert source is not None
                assert closures.copy(tx, source, OTHER, one.digest, 2)

            await db.write(copy)
            assert await held(db) == {"shop": Usage(0, 104), "lab": Usage(0, 104)}

        using(url, scenario)

    def test_the_bytes_of_a_deleted_stream_leave_and_return_with_it(self, url: str) -> None:
        """A few rows at a time; what happens to its project meanwhile is counted."""
        stream = Document(SHOP_APP, "u1", 1, b"{}")

        async def scenario(db: Database) -> None:
            for number in range(5):
                await link(db, digest_of(f"{number}"), 10)
                await push(db, image(f"m{number}"))
            await db.write(lambda tx: deleted.keep(tx, stream))
            assert await usage.pending(db) == 1
            assert await db.write(lambda tx: usage.settle(tx, 2))
            assert await usage.read(db, "shop") == Usage(40, 0)
            await link(db, digest_of("4"), 10)  # a new stream of the same name
            assert await usage.read(db, "shop") == Usage(50, 0)
            await settle(db)
            assert await held(db) == {"shop": Usage(10, 0)}
            aside = RepositoryName("shop/app~u1")
            assert await usage.would_add(db, aside) == 50
            await db.write(lambda tx: deleted.take_back(tx, SHOP_APP, "u1"))
            await db.write(lambda tx: usage.settle(tx, 2))
            await db.write(lambda tx: deleted.keep(tx, stream))  # and goes again at once
            await settle(db)
            assert await held(db) == {}
            assert await usage.pending(db) == 0

        using(url, scenario)

    def test_who_ends_a_project_late_leaves_the_next_one_of_its_name_alone(self, url: str) -> None:
        terminating = b'{"metadata":{"deletionTimestamp":"2026-01-02T03:04:05Z"}}'
        key = Key("namespaces", "", "shop")

        async def name(db: Database, body: bytes) -> None:
            await db.write(lambda tx: document_rows.put(tx, key, "uid", lambda _: body))

        async def scenario(db: Database) -> None:
            await name(db, b'{"metadata":{}}')
            await push(db, image("one"), "v1")
            await db.write(lambda tx: jobs.enqueue(tx, "kind", "a", due=1.0, project="shop"))
            assert await purge_all(db, "shop")
            assert await tags.page(db, APP, "", 10) == ["v1"]
            assert await jobs.find(db, "kind", "a") is not None
            await name(db, terminating)
            assert await purge_all(db, "shop")
            assert await tags.page(db, APP, "", 10) == []
            assert await jobs.find(db, "kind", "a") is None

        using(url, scenario)

    def test_a_project_that_is_purged_holds_nothing(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            for number in range(5):
                await link(db, digest_of(f"{number}"), 10)
            await link(db, digest_of("0"), 10, OTHER)
            await push(db, image("four"), repository=API)
            await db.write(lambda tx: deleted.keep(tx, Document(SHOP_APP, "u1", 1, b"{}")))
            await db.write(lambda tx: usage.settle(tx, 2))
            while await db.write(lambda tx: purge(tx, "shop", 2)):
                assert await usage.read(db, "shop") <= Usage(44, 10)
            assert await held(db) == {"lab": Usage(10, 0)}
            assert [each for each, _ in await usage.every(db, "", 10)] == ["lab"]

        using(url, scenario)

    def test_wrong_counts_are_counted_again(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            for number in range(5):
                await link(db, digest_of(f"{number}"), 10)
                await link(db, digest_of(f"{number}"), 10, OTHER)
            await db.write(lambda tx: tx.execute("DELETE FROM holdings WHERE project = 'shop'"))
            await db.write(lambda tx: tx.execute("DELETE FROM usage"))
            for project in PROJECTS:
                place: recounting.Place | None = recounting.BEGINNING
                while place is not None:
                    place = await db.write(
                        partial(recounting.begin_again, project=project, after=place, limit=2)
                    )
                    await link(db, digest_of("new"), 10, RepositoryName("shop/new"))
            await settle(db)
            assert await held(db) == {"shop": Usage(10, 50), "lab": Usage(0, 50)}

        using(url, scenario)

    def test_a_check_tells_wrong_counts_and_repairs_them(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await link(db, LAYER, 100)
            await link(db, CONFIG, 7, OTHER)
            for project in PROJECTS:
                assert await recounting.miscounted(db, project) is None
            await db.write(lambda tx: tx.execute("UPDATE holdings SET size = 90 WHERE size = 100"))
            assert await recounting.miscounted(db, "lab") is None
            assert await recounting.miscounted(db, "shop") == (Usage(90, 0), Usage(100, 0))
            assert await recounting.projects(db) == ["lab", "shop"]
            await recounting.repair(db, "shop")
            assert await held(db) == {"shop": Usage(100, 0), "lab": Usage(7, 0)}

        using(url, scenario)

    @pytest.mark.parametrize("seed", range(8))
    def test_no_order_of_events_makes_the_counters_drift(self, url: str, seed: int) -> None:
        events = Events(random.Random(seed))

        async def scenario(db: Database) -> None:
            for _ in range(12):
                for _ in range(12):
                    await db.write(events.next())
                    if events.random.random() < 0.3:
                        await db.write(lambda tx: usage.settle(tx, 3))
                await settle(db)
                await held(db)

        using(url, scenario)


Unit = Callable[[Transaction], object]


@dataclass
class Events:
    """Things that happen to a few blobs and images in a few repositories, at random."""

    random: random.Random
    _now: float = 1.0
    _deleted: list[tuple[Key, str]] = field(default_factory=list)

    def next(self) -> Unit:
        self._now += 1
        weighted = [
            (self._link, 8), (self._unlink, 4), (self._push, 6), (self._delete, 3),
            (self._revive, 2), (self._copy, 3), (self._lose, 1), (self._restore, 1),
            (self._drop, 1), (self._remove, 2), (self._return, 2), (self._purge, 1),
        ]  # fmt: skip
        kinds, weights = zip(*weighted, strict=True)
        unit: Callable[[], Unit] = self.random.choices(kinds, weights)[0]
        return unit()

    def _repository(self) -> RepositoryName:
        name = f"{self.random.choice(PROJECTS)}/{self.random.choice('ab')}"
        return RepositoryName(name)

    def _number(self) -> int:
        return self.random.randrange(6)

    def _link(self) -> Unit:
        name, number, now = self._repository(), self._number(), self._now
        return lambda tx: links.link(tx, name, digest_of(f"blob {number}"), 10**number, now)

    def _unlink(self) -> Unit:
        name, number, now = self._repository(), self._number(), self._now
        return lambda tx: links.unlink(tx, name, digest_of(f"blob {number}"), now)

    def _push(self) -> Unit:
        name, number, now = self._repository(), self._number(), self._now
        record = image(f"image {number}", [digest_of(f"blob {number}")])
        return lambda tx: manifests.put(tx, name, record, [], now)

    def _delete(self) -> Unit:
        name, number, now = self._repository(), self._number(), self._now
        return lambda tx: manifests.delete(tx, name, digest_of(f"image {number}"), now)

    def _revive(self) -> Unit:
        name, number = self._repository(), self._number()
        return lambda tx: manifests.revive(tx, name, [digest_of(f"image {number}")])

    def _copy(self) -> Unit:
        source, target, number = self._repository(), self._repository(), self._number()

        def copy(tx: Transaction) -> None:
            source_id = repositories.find(tx, source)
            if source_id is not None:
                closures.copy(tx, source_id, target, digest_of(f"image {number}"), self._now)

        return copy

    def _lose(self) -> Unit:
        number = self._number()
        return lambda tx: blobs.lose(tx, digest_of(f"blob {number}"))

    def _restore(self) -> Unit:
        number = self._number()
        return lambda tx: blobs.restore(tx, digest_of(f"blob {number}"), 10**number)

    def _drop(self) -> Unit:
        number = self._number()
        return lambda tx: blobs.drop_content(tx, digest_of(f"image {number}"))

    def _remove(self) -> Unit:
        name = self._repository()
        key = Key(deleted.IMAGE_STREAMS, name.project, name.stream)
        uid = f"u{self._now:.0f}"
        self._deleted.append((key, uid))
        return lambda tx: deleted.keep(tx, Document(key, uid, 1, b"{}"))

    def _return(self) -> Unit:
        if not self._deleted:
            return self._purge()
        key, uid = self._deleted.pop(self.random.randrange(len(self._deleted)))
        return lambda tx: deleted.take_back(tx, key, uid)

    def _purge(self) -> Unit:
        project = self.random.choice(PROJECTS)
        return lambda tx: purge(tx, project, 3)
