"""What the database says of all stored bytes together: every engine passes this suite too."""

from tests.conformance.metadata_store import APP, OTHER, digest_of, image, using
from tidegate.metastore import blobs, links, manifests, tags
from tidegate.metastore.blobs import Blob, Gap, Totals
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.name import Tag

LATEST = Tag("latest")


class MetadataBlobsSuite:
    """Collected through the subclasses of each engine."""

    def test_blobs_are_paged_and_counted_across_repositories(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            digests = sorted(digest_of(str(number)) for number in range(5))

            def fill(tx: Transaction) -> None:
                for number, digest in enumerate(digests):
                    links.link(tx, APP, digest, number, 1.0)
                    links.link(tx, OTHER, digest, number, 1.0)
                manifests.put(tx, APP, image("m", [digest_of("never seen")]), [], 1.0)

            await db.write(fill)
            assert await blobs.totals(db) == Totals(blobs=5, bytes=10, contents=1)
            first = await blobs.page(db, "", 3)
            assert first == [Blob(digest, size) for size, digest in enumerate(digests[:3])]
            assert await blobs.page(db, first[-1].digest, 3) == [
                Blob(digests[3], 3),
                Blob(digests[4], 4),
            ]
            assert await blobs.sizes(db, [*digests, digest_of("never seen")]) == {
                digest: size for size, digest in enumerate(digests)
            }

        using(url, scenario)

    def test_an_empty_database_has_no_blobs(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            assert await blobs.totals(db) == Totals(0, 0, 0)
            assert await blobs.page(db, "", 10) == []
            assert await blobs.sizes(db, []) == {}
            assert await blobs.contents(db, 0, 10) == []
            assert await blobs.newest_manifest(db) == 0
            assert await blobs.gaps(db, 1, 1000) == []

        using(url, scenario)

    def test_a_lost_blob_is_in_no_repository_until_one_pushes_it(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            digest = digest_of("layer")

            def push(tx: Transaction) -> None:
                links.link(tx, APP, digest, 5, 1.0)

            await db.write(push)
            await db.write(lambda tx: links.link(tx, OTHER, digest, 5, 1.0))
            assert await db.write(lambda tx: blobs.lose(tx, digest))
            assert not await db.write(lambda tx: blobs.lose(tx, digest))
            for repository in (APP, OTHER):
                assert await links.size(db, repository, digest) is None
            assert await links.holders(db, digest, 10) == []
            assert await db.write(lambda tx: links.sizes(tx, APP, [digest])) == {}
            assert await blobs.sizes(db, [digest]) == {digest: None}

            await db.write(push)
            for repository in (APP, OTHER):
                assert await links.size(db, repository, digest) == 5

        using(url, scenario)

    def test_a_lost_blob_can_be_restored(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            digest = digest_of("layer")
            await db.write(lambda tx: links.link(tx, APP, digest, 5, 1.0))
            await db.write(lambda tx: blobs.lose(tx, digest))
            await db.write(lambda tx: blobs.restore(tx, digest, 6))
            assert await links.size(db, APP, digest) == 6

        using(url, scenario)

    def test_contents_are_paged_with_their_bytes(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            def fill(tx: Transaction) -> None:
                for text in ("a", "b", "c"):
                    manifests.put(tx, APP, image(text), [], 1.0)
                manifests.put(tx, OTHER, image("a"), [], 1.0)

            await db.write(fill)
            first = await blobs.contents(db, 0, 2)
            last = await blobs.contents(db, first[-1].id, 2)
            assert [each.content for each in first + last] == [b"a", b"b", b"c"]
            assert all(each.digest.matches(each.content) for each in first + last)
            assert await blobs.contents(db, last[-1].id, 2) == []

        using(url, scenario)

    def test_a_dropped_content_takes_its_manifests_and_tags_and_nothing_else(
        self, url: str
    ) -> None:
        async def scenario(db: Database) -> None:
            layer, bad, good = digest_of("layer"), digest_of("bad"), digest_of("good")

            def put(tx: Transaction) -> None:
                links.link(tx, APP, layer, 5, 1.0)
                manifests.put(tx, APP, image("bad", [layer]), [LATEST, Tag("v1")], 1.0)
                manifests.put(tx, APP, image("good", [layer]), [Tag("v2")], 1.0)
                manifests.put(tx, OTHER, image("bad"), [LATEST], 1.0)

            await db.write(put)
            assert await db.write(lambda tx: blobs.drop_content(tx, bad)) == 2
            assert await manifests.by_tag(db, APP, LATEST) is None
            assert await manifests.by_digest(db, OTHER, bad) is None
            assert await tags.page(db, APP, "", 10) == [Tag("v2")]
            assert await db.write(lambda tx: manifests.users_of(tx, APP, layer)) == [good]
            assert await db.write(lambda tx: blobs.drop_content(tx, bad)) == 0

            await db.write(put)
            found = await manifests.by_tag(db, OTHER, LATEST)
            assert found is not None
            assert found.content == b"bad"

        using(url, scenario)

    def test_gaps_are_what_live_manifests_name_and_their_repository_lacks(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            there, lost, unlinked, never = (
                digest_of(text) for text in ("there", "lost", "unlinked", "never")
            )

            def put(tx: Transaction) -> None:
                for digest in (there, lost, unlinked):
                    links.link(tx, APP, digest, 1, 1.0)
                links.link(tx, OTHER, unlinked, 1, 1.0)
                manifests.put(tx, APP, image("m", [there, lost, unlinked, never]), [], 1.0)
                manifests.put(tx, APP, image("deleted", [never]), [], 1.0)
                manifests.delete(tx, APP, digest_of("deleted"), 2.0)
                links.unlink(tx, APP, unlinked, 2.0)
                blobs.lose(tx, lost)

            await db.write(put)
            newest = await blobs.newest_manifest(db)
            expected: list[Digest] = sorted([lost, unlinked, never])
            assert await blobs.gaps(db, 1, newest) == [
                Gap(APP, digest_of("m"), digest) for digest in expected
            ]
            assert await blobs.gaps(db, newest + 1, newest + 1000) == []

        using(url, scenario)
