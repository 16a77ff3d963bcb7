"""What the database says of copies of other registries' blobs: every engine passes this suite."""

from dataclasses import replace

from tests.conformance.metadata_store import APP, OTHER, digest_of, image, using
from tidegate.metastore import (
    cached,
    closures,
    manifests,
    origins,
    repositories,
    stream_tags,
    tag_events,
)
from tidegate.metastore.cached import Copy, Totals
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.origins import Origin
from tidegate.metastore.stream_tags import TagRow
from tidegate.metastore.tag_events import TagEvent
from tidegate.oci.digest import Digest

LAYER = digest_of("layer")


class MetadataCachedSuite:
    """Collected through the subclasses of each engine."""

    def test_a_copy_is_for_repositories_that_the_registry_gave_the_blob(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            def store(tx: Transaction) -> None:
                for repository in (APP, OTHER):
                    manifests.put(tx, repository, image("m", [LAYER]), [], 1.0)
                cached.store(tx, LAYER, 5, 1.0, 1.0)
                cached.admit(tx, APP, LAYER, "quay.io")

            await db.write(store)
            assert await cached.may_read(db, APP, LAYER) is True
            assert await cached.may_read(db, OTHER, LAYER) is False
            assert await cached.may_read(db, APP, digest_of("other")) is None
            assert await cached.hosts(db, LAYER) == ["quay.io"]
            await db.write(lambda tx: manifests.delete(tx, APP, digest_of("m"), 2.0))
            assert await cached.may_read(db, APP, LAYER) is None

        using(url, scenario)

    def test_a_promoted_image_takes_its_right_to_copies_along(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            def promote(tx: Transaction) -> None:
                manifests.put(tx, APP, image("m", [LAYER]), [], 1.0)
                cached.admit(tx, APP, LAYER, "quay.io")
                closures.copy(tx, repositories.ensure(tx, APP), OTHER, digest_of("m"), 2.0)

            await db.write(promote)
            assert await cached.may_read(db, OTHER, LAYER) is True

        using(url, scenario)

    def test_the_longest_unused_copy_is_the_first_to_go(self, url: str) -> None:
        first, second = sorted(map(digest_of, ("a", "b")))

        async def scenario(db: Database) -> None:
            def store(tx: Transaction) -> None:
                manifests.put(tx, APP, image("m", [first]), [], 1.0)
                cached.store(tx, first, 10, 1.0, 1.0)
                cached.store(tx, second, 20, 2.0, 2.0)
                cached.admit(tx, APP, first, "quay.io")

            await db.write(store)
            assert await cached.totals(db) == Totals(2, 30)
            assert await cached.longest_unused(db, 1) == [Copy(first, 10, 1.0)]
            await db.write(lambda tx: cached.use(tx, [first], 3.0), durable=False)
            assert await cached.longest_unused(db, 1) == [Copy(second, 20, 2.0)]
            assert await cached.page(db, first, 10) == [Copy(second, 20, 2.0)]
            await db.write(lambda tx: cached.forget(tx, first))
            assert await cached.totals(db) == Totals(1, 20)
            assert await cached.may_read(db, APP, first) is False

        using(url, scenario)

    def test_who_is_gone_is_admitted_to_nothing(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(lambda tx: cached.admit(tx, APP, Digest(LAYER), "quay.io"))
            assert await cached.hosts(db, LAYER) == []

        using(url, scenario)

    def test_what_names_a_blob_says_where_it_is_and_whether_it_is_kept(self, url: str) -> None:
        child, local = digest_of("child"), '{"name":"v1","referencePolicy":{"type":"Local"}}'

        async def scenario(db: Database) -> None:
            def store(tx: Transaction) -> None:
                row = repositories.ensure(tx, APP)
                imported = replace(image("m", [LAYER]), origin=Origin("quay.io/a/b"))
                listing = replace(image("i"), children=(imported.digest, child))
                listing = replace(listing, origin=Origin("quay.io/a/b", True))
                for each in (imported, listing):
                    manifests.put(tx, APP, each, [], 1.0)
                for number, reference in enumerate(("quay.io/a/b:v1", "/shop/app", "docker.io/c")):
                    event = TagEvent(
                        number + 1, 1.0, 1.0, reference, listing.digest, 1, "import", ""
                    )
                    tag_events.append(tx, row, "v1", event)
                stream_tags.put(tx, row, TagRow("v1", local, newest=3, current=3))

            await db.write(store)
            named = await origins.naming_blob(db, APP, LAYER)
            assert named is not None
            assert named.content == b"m"
            assert await origins.naming_blob(db, APP, child) is None
            assert await origins.of_listed(db, APP, child) == [Origin("quay.io/a/b", True)]
            found = await origins.events_of(db, APP, digest_of("i"))
            assert found == [("docker.io/c", local), ("quay.io/a/b:v1", local)]
            assert await origins.specs_using(db, APP, LAYER) == [local]
            assert await origins.specs_using(db, APP, digest_of("other")) == []
            assert await origins.image_of(db, APP, "v1") == digest_of("i")
            assert await origins.image_of(db, APP, "v2") is None

        using(url, scenario)
