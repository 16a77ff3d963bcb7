"""Where imported images and their tags come from, as it is kept: every engine passes this suite."""

from tests.conformance.metadata_store import APP, OTHER, digest_of, image, using
from tidegate.metastore import blobs, closures, links, manifests, origins, repositories, tag_checks
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.origins import Origin
from tidegate.metastore.tag_checks import TagCheck

FAR = Origin("far.example/team/app", insecure=True)
LAYER = digest_of("layer")


def imported(tx: Transaction) -> None:
    manifests.put(tx, APP, image("imported", [LAYER], origin=FAR), (), 1.0)


class MetadataOriginsSuite:
    """Origins of manifests, and the looks at tags."""

    def test_the_origin_of_an_imported_manifest_is_that_of_its_blobs(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(imported)
            assert await origins.of_blob(db, APP, LAYER) == [FAR]
            assert await origins.of_manifest(db, APP, digest_of("imported")) == FAR
            assert await origins.of_blob(db, OTHER, LAYER) == []
            assert await blobs.gaps(db, 1, 10) == []  # its blobs are not missing

        using(url, scenario)

    def test_what_is_pushed_over_it_is_to_be_here(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(imported)
            await db.write(lambda tx: manifests.put(tx, APP, image("imported", [LAYER]), (), 2.0))
            assert await origins.of_blob(db, APP, LAYER) == []
            assert [gap.blob for gap in await blobs.gaps(db, 1, 10)] == [LAYER]

        using(url, scenario)

    def test_a_promotion_takes_the_origin_along(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            def promote(tx: Transaction) -> bool:
                imported(tx)
                source = repositories.ensure(tx, APP)
                return closures.copy(tx, source, OTHER, digest_of("imported"), 2.0)

            assert await db.write(promote)
            assert await origins.of_blob(db, OTHER, LAYER) == [FAR]

        using(url, scenario)

    def test_an_imported_manifest_holds_no_bytes_of_others(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            def held_by(tx: Transaction) -> str | None:
                return links.give_up(tx, LAYER, 3e9)

            await db.write(imported)
            await db.write(lambda tx: links.link(tx, OTHER, LAYER, 5, 1.0))
            assert await db.write(held_by) is None
            await db.write(lambda tx: links.link(tx, APP, LAYER, 5, 1.0))
            assert await db.write(held_by) == APP

        using(url, scenario)

    def test_a_deleted_manifest_says_of_no_blob_where_it_is(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(imported)
            await db.write(lambda tx: manifests.delete(tx, APP, digest_of("imported"), 2.0))
            assert await origins.of_blob(db, APP, LAYER) == []

        using(url, scenario)

    def test_a_look_at_a_tag_is_remembered_and_so_is_a_later_failure(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            place = "far.example/team/app:1"

            def seen(tx: Transaction, digest: str, now: float) -> None:
                tag_checks.seen(tx, repositories.ensure(tx, APP), "1", place, digest, now)

            def failed(tx: Transaction, upstream: str, now: float) -> None:
                number = repositories.ensure(tx, APP)
                tag_checks.failed(tx, number, "1", upstream, "down", now)

            assert await tag_checks.find(db, APP, "1") is None
            await db.write(lambda tx: failed(tx, place, 1.0))
            assert await tag_checks.find(db, APP, "1") == TagCheck(place, 0.0, "", 1.0, "down")
            await db.write(lambda tx: seen(tx, "sha256:1", 2.0))
            assert await tag_checks.find(db, APP, "1") == TagCheck(place, 2.0, "sha256:1")
            await db.write(lambda tx: failed(tx, place, 3.0))
            known = TagCheck(place, 2.0, "sha256:1", 3.0, "down")
            assert await tag_checks.find(db, APP, "1") == known
            await db.write(lambda tx: failed(tx, "other.example/x:1", 4.0))
            other = TagCheck("other.example/x:1", 0.0, "", 4.0, "down")
            assert await tag_checks.find(db, APP, "1") == other
            await tag_checks.note_seen(db, APP, "1", place, "sha256:2", 5.0)
            await tag_checks.note_seen(db, OTHER, "1", place, "sha256:2", 5.0)
            assert await tag_checks.find(db, APP, "1") == TagCheck(place, 5.0, "sha256:2")
            assert await tag_checks.find(db, OTHER, "1") is None
            await db.write(lambda tx: tag_checks.forget(tx, repositories.ensure(tx, APP), "1"))
            assert await tag_checks.find(db, APP, "1") is None

        using(url, scenario)
