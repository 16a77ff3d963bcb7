"""What the metadata database keeps: every engine passes this suite.

An engine's own test is a subclass with one fixture, `url`: an empty database of the right schema.
How it commits and how it is watched: `metadata_store_writes.py`, `metadata_store_watch.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from tidegate.apimachinery.errors import Conflict
from tidegate.metastore import blobs, keys, links, manifests, repositories, tags, uploads, users
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.keys import Key
from tidegate.metastore.manifests import Manifest
from tidegate.metastore.open import open_database
from tidegate.metastore.uploads import Upload
from tidegate.metastore.users import User
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

APP = RepositoryName("shop/app")
OTHER = RepositoryName("lab/app")
TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

IN_BYTE_ORDER = ("0", "1.0", "1.0-rc", "1.0.1", "9", "A", "Z", "_a", "a", "a-b", "a.b", "aB", "ab")
"""Tags as ASCII orders them, which few locales do."""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """A process's database, closed at the end."""
    db = await open_database(url)
    try:
        yield db
    finally:
        await db.close()


def using(url: str, scenario: Callable[[Database], Awaitable[None]]) -> None:
    """Run a scenario on a database that is open meanwhile."""

    async def run() -> None:
        async with opened(url) as db:
            await scenario(db)

    asyncio.run(run())


def digest_of(text: str) -> Digest:
    return Digest.of(text.encode())


def image(text: str, blobs: Sequence[Digest] = (), **fields: object) -> Manifest:
    """A manifest with `text` for its bytes."""
    return Manifest(digest_of(text), TYPE, text.encode(), blobs=tuple(blobs), **fields)  # type: ignore[arg-type]  # fields of Manifest


async def push(
    db: Database, manifest: Manifest, *names: str, repository: RepositoryName = APP, now: float = 1
) -> None:
    named = [Tag(name) for name in names]
    await db.write(lambda tx: manifests.put(tx, repository, manifest, named, now))


async def link(
    db: Database, digest: Digest, size: int, repository: RepositoryName = APP, now: float = 1
) -> None:
    await db.write(lambda tx: links.link(tx, repository, digest, size, now))


async def pages(page: Callable[[str], Awaitable[Sequence[str]]]) -> list[str]:
    """All pages of a listing, one after the other."""
    found: list[str] = []
    while part := await page(found[-1] if found else ""):
        found += part
    return found


class ManifestRows:
    """Manifests, their tags, and what refers to what."""

    def test_a_pushed_manifest_is_read_back_by_tag_and_by_digest(self, url: str) -> None:
        content = b'{"bytes": "as they came"}\x00\xff\n'
        manifest = Manifest(Digest.of(content), TYPE, content)

        async def scenario(db: Database) -> None:
            await push(db, manifest, "v1", "latest")
            stored = (manifest.digest, TYPE, content)
            assert await manifests.by_tag(db, APP, Tag("v1")) == stored
            assert await manifests.by_tag(db, APP, Tag("latest")) == stored
            assert await manifests.by_digest(db, APP, manifest.digest) == stored
            assert await manifests.by_tag(db, APP, Tag("v2")) is None
            assert await manifests.by_digest(db, APP, digest_of("never pushed")) is None

        using(url, scenario)

    def test_a_manifest_of_four_mebibytes_under_sha512_is_kept(self, url: str) -> None:
        content = bytes(range(256)) * (4 * 1024 * 1024 // 256)
        manifest = Manifest(Digest.of(content, "sha512"), TYPE, content)

        async def scenario(db: Database) -> None:
            await push(db, manifest)
            stored = await manifests.by_digest(db, APP, manifest.digest)
            assert stored == (manifest.digest, TYPE, content)

        using(url, scenario)

    def test_a_moved_tag_names_the_newer_manifest_and_the_older_stays(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await push(db, image("old"), "latest")
            await push(db, image("new"), "latest")
            moved = await manifests.by_tag(db, APP, Tag("latest"))
            assert moved is not None
            assert moved.digest == digest_of("new")
            assert await manifests.by_digest(db, APP, digest_of("old")) is not None
            assert await tags.page(db, APP, "", 10) == ["latest"]

        using(url, scenario)

    def test_a_manifest_is_not_readable_through_another_repository(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await push(db, image("mine"), "v1")
            await push(db, image("theirs"), "v2", repository=OTHER)
            assert await manifests.by_digest(db, OTHER, digest_of("mine")) is None
            assert await manifests.by_tag(db, OTHER, Tag("v1")) is None

        using(url, scenario)

    def test_each_repository_keeps_the_media_type_that_it_was_told(self, url: str) -> None:
        manifest = Manifest(digest_of("{}"), INDEX, b"{}")

        async def scenario(db: Database) -> None:
            await push(db, image("{}"))
            await push(db, manifest, repository=OTHER)
            mine = await manifests.by_digest(db, APP, manifest.digest)
            theirs = await manifests.by_digest(db, OTHER, manifest.digest)
            assert (mine and mine.media_type, theirs and theirs.media_type) == (TYPE, INDEX)

        using(url, scenario)

    def test_deleting_a_manifest_takes_its_tags_and_no_others(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await push(db, image("one"), "a", "b")
            await push(db, image("two"), "c")
            await push(db, image("one"), "a", repository=OTHER)
            assert await db.write(lambda tx: manifests.delete(tx, APP, digest_of("one"), 2))
            assert await manifests.by_digest(db, APP, digest_of("one")) is None
            assert await tags.page(db, APP, "", 10) == ["c"]
            assert await manifests.by_tag(db, OTHER, Tag("a")) is not None
            assert not await db.write(lambda tx: manifests.delete(tx, APP, digest_of("one"), 3))

        using(url, scenario)

    def test_pushing_a_deleted_manifest_again_revives_it(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await push(db, image("one"), "a")
            await db.write(lambda tx: manifests.delete(tx, APP, digest_of("one"), 2))
            await push(db, image("one"), "b")
            assert await manifests.by_digest(db, APP, digest_of("one")) is not None
            assert await tags.page(db, APP, "", 10) == ["b"]

        using(url, scenario)

    def test_deleting_a_tag_leaves_its_manifest_and_the_other_tags(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await push(db, image("one"), "a", "b")
            assert await db.write(lambda tx: tags.delete(tx, APP, Tag("a"), 2))
            assert not await db.write(lambda tx: tags.delete(tx, APP, Tag("a"), 2))
            assert not await db.write(lambda tx: tags.delete(tx, OTHER, Tag("b"), 2))
            assert await manifests.by_tag(db, APP, Tag("a")) is None
            assert await manifests.by_tag(db, APP, Tag("b")) is not None
            assert await manifests.by_digest(db, APP, digest_of("one")) is not None

        using(url, scenario)

    def test_tags_page_in_byte_order_from_wherever_one_starts(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await push(db, image("one"), *reversed(IN_BYTE_ORDER))
            await push(db, image("one"), "elsewhere", repository=OTHER)
            for limit in (1, 5, 100):
                found = await pages(lambda after, n=limit: tags.page(db, APP, after, n))  # type: ignore[misc]  # a default binds the loop variable
                assert found == list(IN_BYTE_ORDER)
            assert await tags.page(db, APP, "a-a", 2) == ["a-b", "a.b"]
            assert await tags.page(db, RepositoryName("no/such"), "", 2) == []

        using(url, scenario)

    def test_an_index_may_name_manifests_that_are_there_live(self, url: str) -> None:
        wanted = [digest_of(text) for text in ("here", "deleted", "never")]

        async def scenario(db: Database) -> None:
            await push(db, image("here"))
            await push(db, image("deleted"))
            await db.write(lambda tx: manifests.delete(tx, APP, digest_of("deleted"), 2))
            assert await db.write(lambda tx: manifests.known(tx, APP, wanted)) == {wanted[0]}
            assert await db.write(lambda tx: manifests.known(tx, OTHER, wanted)) == set()

        using(url, scenario)

    def test_a_deleted_child_can_be_revived_with_its_blobs(self, url: str) -> None:
        layer, wanted = digest_of("layer"), [digest_of("child"), digest_of("never")]

        def delete(tx: Transaction) -> None:
            manifests.delete(tx, APP, wanted[0], 2)
            links.unlink(tx, APP, layer, 2)

        async def scenario(db: Database) -> None:
            await link(db, layer, 5)
            await push(db, image("child", [layer]))
            await db.write(delete)
            assert await db.write(lambda tx: manifests.revive(tx, APP, wanted)) == {wanted[0]}
            assert await manifests.by_digest(db, APP, wanted[0]) is not None
            assert await links.size(db, APP, layer) == 5
            assert await db.write(lambda tx: manifests.revive(tx, APP, wanted)) == set()

        using(url, scenario)

    def test_a_blob_or_manifest_tells_which_live_manifests_need_it(self, url: str) -> None:
        layer, child = digest_of("layer"), digest_of("child")
        index = Manifest(digest_of("index"), INDEX, b"index", children=(child,))

        async def users_of(db: Database, digest: Digest) -> list[Digest]:
            return sorted(await db.write(lambda tx: manifests.users_of(tx, APP, digest)))

        async def scenario(db: Database) -> None:
            await push(db, image("child", [layer]))
            await push(db, image("sibling", [layer, digest_of("own")]))
            await push(db, image("foreign", [layer]), repository=OTHER)
            await push(db, index)
            assert await users_of(db, layer) == sorted([child, digest_of("sibling")])
            assert await users_of(db, child) == [index.digest]
            await db.write(lambda tx: manifests.delete(tx, APP, index.digest, 2))
            await db.write(lambda tx: manifests.delete(tx, APP, child, 2))
            assert await users_of(db, child) == []
            assert await users_of(db, layer) == [digest_of("sibling")]
            one = await db.write(lambda tx: manifests.users_of(tx, OTHER, layer, limit=1))
            assert one == [digest_of("foreign")]

        using(url, scenario)

    def test_a_manifest_with_ten_thousand_blobs_is_kept(self, url: str) -> None:
        blobs = [digest_of(f"layer {number}") for number in range(10_000)]

        async def scenario(db: Database) -> None:
            await push(db, image("huge", blobs))
            assert await db.write(lambda tx: links.missing(tx, APP, blobs)) == blobs
            assert await db.write(lambda tx: manifests.users_of(tx, APP, blobs[-1]))

        using(url, scenario)


class ReferrerRows:
    """The manifests that name another as their subject."""

    def test_referrers_are_listed_in_digest_order_while_they_live(self, url: str) -> None:
        subject = digest_of("subject")  # need not be there
        texts = [f"signature {number}" for number in range(7)]
        ordered = sorted(digest_of(text) for text in texts)

        async def page(db: Database, after: str) -> list[str]:
            rows = await manifests.referrers(db, APP, subject, None, after, 3)
            return [row.digest for row in rows]

        async def scenario(db: Database) -> None:
            for text in texts:
                await push(db, image(text, subject=subject, artifact_type="text/x-signature"))
            await push(db, image("of another", subject=digest_of("another")))
            await push(db, image("elsewhere", subject=subject), repository=OTHER)
            assert await pages(lambda after: page(db, after)) == ordered
            await db.write(lambda tx: manifests.delete(tx, APP, ordered[2], 2))
            assert await pages(lambda after: page(db, after)) == ordered[:2] + ordered[3:]

        using(url, scenario)

    def test_referrers_are_filtered_by_artifact_type(self, url: str) -> None:
        subject = digest_of("subject")
        sbom = image("sbom", subject=subject, artifact_type="text/spdx", annotations='{"a":"b"}')

        async def scenario(db: Database) -> None:
            await push(db, sbom)
            await push(db, image("signature", subject=subject, artifact_type="text/x-signature"))
            await push(db, image("plain", subject=subject))
            found = await manifests.referrers(db, APP, subject, "text/spdx", "", 10)
            assert found == [(sbom.digest, TYPE, 4, "text/spdx", '{"a":"b"}')]
            assert len(await manifests.referrers(db, APP, subject, None, "", 10)) == 3
            assert await manifests.referrers(db, APP, subject, "text/none", "", 10) == []

        using(url, scenario)

    def test_a_page_of_referrers_with_huge_annotations_is_cut_short(self, url: str) -> None:
        subject, text = digest_of("subject"), '"' + "a" * 1_500_000 + '"'

        async def scenario(db: Database) -> None:
            for number in range(9):
                await push(db, image(f"{number}{text}", subject=subject, annotations=text))
            found = await manifests.referrers(db, APP, subject, None, "", 500)
            assert 3 <= len(found) <= 6
            rest = await manifests.referrers(db, APP, subject, None, found[-1].digest, 500)
            assert rest
            assert rest[0].digest > found[-1].digest

        using(url, scenario)


class LinkRows:
    """Who may read which blob, and which repositories there are."""

    def test_a_blob_is_readable_only_through_repositories_that_link_it(self, url: str) -> None:
        blob = digest_of("blob")

        async def scenario(db: Database) -> None:
            await link(db, blob, 2**40)
            assert await links.size(db, APP, blob) == 2**40
            assert await links.size(db, OTHER, blob) is None
            await link(db, blob, 2**40, OTHER)
            assert await links.size(db, OTHER, blob) == 2**40
            assert sorted(await links.holders(db, blob, 5)) == [OTHER, APP]
            assert len(await links.holders(db, blob, 1)) == 1

        using(url, scenario)

    def test_an_unlinked_blob_is_gone_for_readers_until_it_is_linked_again(self, url: str) -> None:
        blob = digest_of("blob")

        async def scenario(db: Database) -> None:
            await link(db, blob, 3)
            assert await db.write(lambda tx: links.unlink(tx, APP, blob, 2))
            assert not await db.write(lambda tx: links.unlink(tx, APP, blob, 2))
            assert await links.size(db, APP, blob) is None
            assert await links.holders(db, blob, 5) == []
            await link(db, blob, 3, now=3)
            assert await links.size(db, APP, blob) == 3

        using(url, scenario)

    def test_a_manifest_push_may_count_on_a_tombstone_and_revives_it(self, url: str) -> None:
        live, dead, never = digest_of("live"), digest_of("dead"), digest_of("never")

        def unit(tx: Transaction) -> dict[Digest, int]:
            sizes = links.sizes(tx, APP, [live, dead, never])
            manifests.put(tx, APP, image("image", list(sizes)), [], 3)
            return sizes

        async def scenario(db: Database) -> None:
            await link(db, live, 1)
            await link(db, dead, 2)
            await link(db, never, 3, OTHER)
            await db.write(lambda tx: links.unlink(tx, APP, dead, 2))
            assert await db.write(unit) == {live: 1, dead: 2}
            assert await links.size(db, APP, dead) == 2

        using(url, scenario)

    def test_missing_names_what_is_not_there_and_revives_the_rest(self, url: str) -> None:
        dead, never = digest_of("dead"), digest_of("never")

        async def scenario(db: Database) -> None:
            await link(db, dead, 2)
            await db.write(lambda tx: links.unlink(tx, APP, dead, 2))
            assert await db.write(lambda tx: links.missing(tx, APP, [never, dead])) == [never]
            assert await links.size(db, APP, dead) == 2
            assert await db.write(lambda tx: links.revive(tx, APP, [never, dead])) == 0

        using(url, scenario)

    def test_a_blob_named_before_it_was_pushed_gets_its_size_when_it_is(self, url: str) -> None:
        blob = digest_of("late")

        async def scenario(db: Database) -> None:
            await push(db, image("sparse", [blob]))
            assert await links.size(db, APP, blob) is None
            await link(db, blob, 7)
            assert await links.size(db, APP, blob) == 7
            users = await db.write(lambda tx: manifests.users_of(tx, APP, blob))
            assert users == [digest_of("sparse")]

        using(url, scenario)

    def test_a_blob_whose_bytes_were_lost_is_offered_to_no_push_or_mount(self, url: str) -> None:
        blob = digest_of("lost")

        async def scenario(db: Database) -> None:
            await link(db, blob, 7)
            await db.write(lambda tx: blobs.lose(tx, blob))
            assert await links.size(db, APP, blob) is None
            assert await links.holders(db, blob, 5) == []
            assert await db.write(lambda tx: links.sizes(tx, APP, [blob])) == {}
            assert await db.write(lambda tx: links.missing(tx, APP, [blob])) == [blob]
            await link(db, blob, 7)
            assert await links.holders(db, blob, 5) == [APP]

        using(url, scenario)

    def test_repositories_page_in_byte_order_while_they_hold_something(self, url: str) -> None:
        names = ["a-b/z", "a/a", "a/b.c", "a/b_c", "a/bc", "b/a", "z0/a"]
        assert names == sorted(names)
        emptied = RepositoryName("a/bb")

        async def scenario(db: Database) -> None:
            for name in reversed(names):
                await push(db, image("one"), repository=RepositoryName(name))
            await link(db, digest_of("blob"), 1, emptied)
            everything = sorted([*names, emptied])
            assert await pages(lambda after: repositories.page(db, after, 2)) == everything
            assert await repositories.exists(db, emptied)
            await db.write(lambda tx: links.unlink(tx, emptied, digest_of("blob"), 2))
            assert not await repositories.exists(db, emptied)
            assert not await repositories.exists(db, OTHER)
            assert await pages(lambda after: repositories.page(db, after, 2)) == names

        using(url, scenario)


class SessionRows:
    """Uploads, users and keys."""

    def test_an_upload_advances_from_where_its_writer_saw_it_only(self, url: str) -> None:
        fresh = Upload("0" * 32, APP, "sha256", 0, None, 10.5, 10.5)
        moved = fresh._replace(offset=2**33, digest=digest_of("so far"), updated=11.25)

        def advance(tx: Transaction) -> bool:
            return uploads.advance(tx, fresh, moved.offset, moved.digest, moved.updated)

        async def scenario(db: Database) -> None:
            await db.write(lambda tx: uploads.create(tx, fresh), durable=False)
            assert await uploads.find(db, fresh.id) == fresh
            assert await db.write(advance, durable=False)
            assert await uploads.find(db, fresh.id) == moved
            assert not await db.write(advance, durable=False)
            assert await db.write(lambda tx: uploads.finish(tx, fresh.id), durable=False)
            assert not await db.write(lambda tx: uploads.finish(tx, fresh.id), durable=False)
            assert await uploads.find(db, fresh.id) is None
            assert not await db.write(advance, durable=False)

        using(url, scenario)

    def test_an_upload_gets_its_row_with_its_first_bytes_and_keeps_it_after_its_end(
        self, url: str
    ) -> None:
        fresh = Upload("0" * 32, APP, "sha256", 0, None, 10.5, 10.5)
        others = fresh._replace(repository=OTHER)

        async def scenario(db: Database) -> None:
            def write(work: Callable[[Transaction], object]) -> Awaitable[object]:
                return db.write(work, durable=False)

            assert not await uploads.is_open(db, fresh.id)
            assert await write(lambda tx: uploads.begin(tx, fresh, 0, None, 11.0))
            assert await write(lambda tx: uploads.begin(tx, fresh, 5, None, 11.0))
            assert not await write(lambda tx: uploads.begin(tx, fresh, 7, None, 12.0))
            assert not await write(lambda tx: uploads.begin(tx, others, 7, None, 12.0))
            found = await uploads.find(db, fresh.id)
            assert found == fresh._replace(offset=5, updated=11.0)
            assert await uploads.is_open(db, fresh.id)
            assert not await write(lambda tx: uploads.end(tx, others, 13.0))
            assert await write(lambda tx: uploads.end(tx, fresh, 13.0))
            assert not await write(lambda tx: uploads.end(tx, fresh, 14.0))
            assert not await write(lambda tx: uploads.begin(tx, fresh, 7, None, 15.0))
            assert not await write(lambda tx: uploads.advance(tx, fresh, 7, None, 15.0))
            ended = await uploads.find(db, fresh.id)
            assert ended is not None
            assert ended.has_ended
            assert not await uploads.is_open(db, fresh.id)
            assert await uploads.expired(db, 100, 10) == []
            assert await write(lambda tx: uploads.forget(tx, 13.0, 10)) == 0
            assert await write(lambda tx: uploads.forget(tx, 13.5, 10)) == 1
            assert await uploads.find(db, fresh.id) is None

        using(url, scenario)

    def test_expired_uploads_come_oldest_first(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            for age in (3, 1, 2, 9):
                upload = Upload(f"{age:032x}", APP, "sha512", 0, None, 0, age)
                await db.write(lambda tx, upload=upload: uploads.create(tx, upload), durable=False)  # type: ignore[misc]  # a default binds the loop variable
            found = await uploads.expired(db, before=9, limit=2)
            assert [upload.updated for upload in found] == [1, 2]
            assert len(await uploads.expired(db, before=9, limit=10)) == 3

        using(url, scenario)

    def test_a_user_is_made_replaced_and_found(self, url: str) -> None:
        anna = User("anna", "$argon2id$one", True, False, 1.5)
        changed = anna._replace(password_hash="$argon2id$two", disabled=True, changed_at=2.5)

        async def scenario(db: Database) -> None:
            assert await users.find(db, "anna") is None
            await db.write(lambda tx: users.put(tx, anna))
            await db.write(lambda tx: users.put(tx, anna._replace(name="Zoe")))
            assert await users.find(db, "anna") == anna
            await db.write(lambda tx: users.put(tx, changed))
            assert await users.find(db, "anna") == changed
            assert await db.write(lambda tx: users.get(tx, "anna")) == changed
            assert await users.names(db, "", 10) == ["Zoe", "anna"]
            assert await users.names(db, "Zoe", 1) == ["anna"]
            assert await db.write(users.count) == 2

        using(url, scenario)

    def test_keys_come_oldest_first_and_an_id_is_used_once(self, url: str) -> None:
        first, second = Key("k1", b"\x00\xff" * 16, 1.5), Key("k0", b"s" * 32, 2.5)

        async def scenario(db: Database) -> None:
            await db.write(lambda tx: keys.put(tx, second))
            await db.write(lambda tx: keys.put(tx, first))
            assert await keys.signing(db) == [first, second]
            with pytest.raises(Conflict):
                await db.write(lambda tx: keys.put(tx, first._replace(secret=b"other")))
            assert await db.write(lambda tx: keys.retire(tx, "k1", 3.5))
            assert not await db.write(lambda tx: keys.retire(tx, "k1", 4.5))
            assert await db.write(keys.stored) == [first._replace(retired=3.5), second]
            assert await db.write(lambda tx: keys.remove(tx, "k1"))
            assert not await db.write(lambda tx: keys.remove(tx, "k1"))
            assert await keys.signing(db) == [second]

        using(url, scenario)


class MetadataStoreSuite(ManifestRows, ReferrerRows, LinkRows, SessionRows):
    """All of it; collected through its subclasses only."""
