"""What the port `ObjectStore` promises: every engine passes this suite.

As in `metadata_store.py`, a subclass gives the fixture `url`. How changes are told is in
`object_store_changes.py`. Bodies are as small as the port allows: metadata with a uid, the
resourceVersion, and one value.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.conformance.metadata_store import opened
from tidegate.apimachinery.errors import AlreadyExists, Expired, Qualified, exists_already
from tidegate.apimachinery.store import Document, DocumentTransaction, Key
from tidegate.metastore import changes
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents

SECRETS = "secrets"
ROLES = "roles.rbac.authorization.k8s.io"

IN_BYTE_ORDER = (("", "z"), ("A", "b"), ("a", "b"), ("a-", "a"), ("a.b", "0"), ("ab", "a"))
"""Places as bytes order them, column by column, which few locales do."""


def key(name: str, namespace: str = "shop", resource: str = SECRETS) -> Key:
    return Key(resource, namespace, name)


def body(uid: str, revision: int, value: object = None, owners: Sequence[str] = ()) -> bytes:
    metadata: dict[str, object] = {"uid": uid, "resourceVersion": str(revision)}
    if owners:
        metadata["ownerReferences"] = [{"name": each, "uid": each} for each in owners]
    return json.dumps({"metadata": metadata, "value": value}).encode()


def put(
    tx: DocumentTransaction,
    where: Key,
    value: object = None,
    uid: str = "",
    owners: Sequence[str] = (),
) -> Document:
    uid = uid or f"uid-of-{where.name}"
    return tx.put(where, uid, lambda revision: body(uid, revision, value, owners))


def value_of(document: bytes | None) -> object:
    assert document is not None
    return json.loads(document)["value"]


@asynccontextmanager
async def store_of(url: str, kept: int = 8192) -> AsyncIterator[tuple[Documents, Database]]:
    """One process's store, and the database under it."""
    async with opened(url) as db:
        documents = Documents(db, kept)
        await documents.start()
        try:
            yield documents, db
        finally:
            await documents.close()


def using(url: str, scenario: Callable[[Documents, Database], Awaitable[None]]) -> None:
    async def run() -> None:
        async with store_of(url) as (store, db):
            await scenario(store, db)

    asyncio.run(run())


async def compact(db: Database, revision: int) -> None:
    while await db.write(lambda tx: changes.compact(tx, revision)):
        pass


async def pages(
    store: Documents, limit: int, namespace: str | None = None, at: int | None = None
) -> tuple[list[Document], int]:
    """A list in pages, as clients read it: the later ones as of the first one's revision."""
    found: list[Document] = []
    after: tuple[str, str] | None = None
    while True:
        page = await store.list(SECRETS, namespace, after=after, limit=limit, at=at)
        assert len(page.documents) <= limit
        assert len(page.documents) == limit or not page.more
        found += page.documents
        at = page.revision
        if not page.more:
            return found, at
        after = page.documents[-1].key[1:]


class SingleDocuments:
    """One document at a time."""

    def test_a_document_is_read_back_as_it_was_put_under_the_newest_revision(
        self, url: str
    ) -> None:
        async def scenario(store: Documents, _: Database) -> None:
            before = await store.revision()
            made = await store.write(lambda tx: put(tx, key("one"), "first", "uid-1"))
            assert made == Document(
                key("one"), "uid-1", before + 1, body("uid-1", before + 1, "first")
            )
            assert await store.get(key("one")) == made
            assert await store.revision() == before + 1
            assert await store.get(key("one", "other")) is None
            assert await store.get(key("one", resource=ROLES)) is None
            assert await store.get(key("one", "")) is None

        using(url, scenario)

    def test_a_put_replaces_and_a_delete_tells_what_was(self, url: str) -> None:
        async def scenario(store: Documents, _: Database) -> None:
            made = await store.write(lambda tx: put(tx, key("one"), "first"))
            changed = await store.write(lambda tx: put(tx, key("one"), "second"))
            assert changed.revision == made.revision + 1
            assert await store.get(key("one")) == changed
            gone = await store.write(lambda tx: tx.delete(key("one")))
            assert gone is not None
            assert (gone.body, gone.revision) == (changed.body, changed.revision + 1)
            assert await store.get(key("one")) is None
            assert await store.write(lambda tx: tx.delete(key("one"))) is None
            assert await store.revision() == gone.revision

        using(url, scenario)

    def test_a_unit_reads_what_it_wrote(self, url: str) -> None:
        def unit(tx: DocumentTransaction) -> None:
            first = put(tx, key("one"), 1)
            second = put(tx, key("two", "lab"), 2)
            third = put(tx, key("three"), 3)
            assert second.revision == first.revision + 1
            assert tx.get(key("one")) == first
            assert tx.list(SECRETS) == [second, first, third]
            assert tx.list(SECRETS, "shop") == [first, third]
            assert tx.list(SECRETS, "shop", limit=1) == [first]
            assert tx.list(SECRETS, after=key("one"), limit=5) == [third]
            assert tx.list(SECRETS, "shop", after=key("two", "lab")) == [first, third]
            assert tx.list(SECRETS, "lab", after=key("one")) == []
            assert tx.list(ROLES) == []
            tx.delete(key("one"))
            assert tx.get(key("one")) is None
            assert put(tx, key("one"), 4).revision == third.revision + 2

        async def scenario(store: Documents, _: Database) -> None:
            await store.write(unit)
            assert [value_of(each.body) for each in (await store.list(SECRETS)).documents] == [
                2,
                4,
                3,
            ]

        using(url, scenario)

    def test_only_one_of_many_at_once_creates(self, url: str) -> None:
        def create(tx: DocumentTransaction) -> int:
            if tx.get(key("one")) is not None:
                raise exists_already(Qualified("secrets"), "one")
            return put(tx, key("one")).revision

        async def scenario() -> None:
            async with store_of(url) as (mine, _), store_of(url) as (theirs, _):
                attempts = [store.write(create) for _ in range(40) for store in (mine, theirs)]
                outcomes = await asyncio.gather(*attempts, return_exceptions=True)
                made = [each for each in outcomes if isinstance(each, int)]
                refused = [each for each in outcomes if isinstance(each, AlreadyExists)]
                assert (len(made), len(refused)) == (1, 79)
                assert await mine.revision() == made[0]

        asyncio.run(scenario())

    def test_a_unit_that_fails_changes_nothing_and_gives_its_revisions_back(self, url: str) -> None:
        def failing(tx: DocumentTransaction) -> None:
            put(tx, key("failed"))
            tx.delete(key("kept"))
            raise exists_already(Qualified("secrets"), "failed")

        async def scenario(store: Documents, _: Database) -> None:
            kept = await store.write(lambda tx: put(tx, key("kept"), owners=["boss"]))
            watching = await store.watch(SECRETS, kept.revision)
            outcomes = await asyncio.gather(
                store.write(lambda tx: put(tx, key("a"))),
                store.write(failing),
                store.write(lambda tx: put(tx, key("b"))),
                store.write(failing),
                return_exceptions=True,
            )
            a, b = outcomes[0], outcomes[2]
            assert isinstance(a, Document)
            assert isinstance(b, Document)
            assert [type(outcome) for outcome in outcomes[1::2]] == [AlreadyExists] * 2
            assert (a.revision, b.revision) == (kept.revision + 1, kept.revision + 2)
            assert await store.revision() == b.revision
            assert (await store.list(SECRETS)).documents == [a, b, kept]
            assert await store.write(lambda tx: tx.dependents("boss")) == [kept]
            await store.catch_up()
            assert [change.key.name for change in await watching.next()] == ["a", "b"]

        using(url, scenario)

    def test_dependents_follow_the_owner_references(self, url: str) -> None:
        async def scenario(store: Documents, _: Database) -> None:
            def owned(uid: str) -> Awaitable[list[str]]:
                return store.write(lambda tx: [each.key.name for each in tx.dependents(uid)])

            await store.write(lambda tx: put(tx, key("x"), owners=["one", "two", "one"]))
            await store.write(lambda tx: put(tx, key("y", "lab", ROLES), owners=["one"]))
            await store.write(lambda tx: put(tx, key("z")))
            assert await owned("one") == ["y", "x"]
            assert await owned("two") == ["x"]
            await store.write(lambda tx: put(tx, key("x"), owners=["two", "three"]))
            assert await owned("one") == ["y"]
            assert await owned("three") == ["x"]
            await store.write(lambda tx: tx.delete(key("y", "lab", ROLES)))
            await store.write(lambda tx: put(tx, key("x")))
            for uid in ("one", "two", "three", ""):
                assert await owned(uid) == []

        using(url, scenario)


class Lists:
    """Pages, and the past."""

    def test_a_list_is_in_byte_order_and_of_one_resource_and_namespace(self, url: str) -> None:
        async def scenario(store: Documents, _: Database) -> None:
            for namespace, name in reversed(IN_BYTE_ORDER):
                where = key(name, namespace)
                await store.write(lambda tx, k=where: put(tx, k))  # type: ignore[misc]  # a default binds the loop variable
            await store.write(lambda tx: put(tx, key("other", "a", ROLES)))
            for limit in (1, 2, 5, 6, 7, 100):
                found, at = await pages(store, limit)
                assert at == await store.revision()
                assert tuple(each.key[1:] for each in found) == IN_BYTE_ORDER
            listing = await store.list(SECRETS)
            assert [each.key[1:] for each in listing.documents] == list(IN_BYTE_ORDER)
            assert (listing.revision, listing.more) == (await store.revision(), False)
            for namespace, name in IN_BYTE_ORDER[1:]:
                (only,) = (await store.list(SECRETS, namespace)).documents
                assert only.key[1:] == (namespace, name)
            empty = await store.list(SECRETS, "a", after=("a", "b"), limit=3)
            assert empty == ([], listing.revision, False)
            assert await store.list(SECRETS, "a", after=("b", ""), limit=3) == empty
            assert await store.list(SECRETS, "a", after=("b", ""), at=3) == ([], 3, False)
            (again,) = (await store.list(SECRETS, "a", after=("A", "z"), limit=3)).documents
            assert again.key.namespace == "a"

        using(url, scenario)

    def test_pages_show_one_moment_whatever_is_written_between_them(self, url: str) -> None:
        async def scenario(store: Documents, db: Database) -> None:
            model = Model(store, 7)
            for _ in range(120):
                await model.write()
            newest = await store.revision()
            for _ in range(40):
                at = model.random.randint(1, newest)
                limit = model.random.choice((1, 2, 3, 7, 60))
                namespace = model.random.choice((None, "a", "b"))
                listing = await store.list(SECRETS, namespace, limit=limit, at=at)
                whole = model.at(at, namespace)
                assert listing == (whole[:limit], at, len(whole) > limit)
                assert await store.list(SECRETS, namespace, at=at) == (whole, at, False)
                assert await pages(store, limit, namespace, at) == (whole, at)
                for place in (("", ""), ("a", "n3"), ("b", "")):
                    rest = [each for each in whole if each.key[1:] > place]
                    counted = await store.count(SECRETS, namespace, after=place, at=at)
                    assert counted == len(rest)
            after, at = ("a", "n3"), newest - 60
            expected = [each for each in model.at(at) if each.key[1:] > after]
            assert (await store.list(SECRETS, after=after, at=at)).documents == expected

        using(url, scenario)

    def test_pages_show_one_moment_while_others_write(self, url: str) -> None:
        async def scenario() -> None:
            async with store_of(url) as (mine, _), store_of(url) as (theirs, _):
                model = Model(theirs, 11)
                for _ in range(60):
                    await model.write()
                seen: list[tuple[list[Document], int]] = []

                async def read(limit: int) -> None:
                    for _ in range(12):
                        seen.append(await pages(mine, limit))
                        await asyncio.sleep(0)

                async def write() -> None:
                    for _ in range(80):
                        await model.write()

                await asyncio.gather(write(), *(read(limit) for limit in (1, 4, 100)))
                for found, at in seen:
                    assert found == model.at(at)

        asyncio.run(scenario())

    def test_the_past_is_known_as_far_as_it_is_kept_and_the_future_is_not(self, url: str) -> None:
        async def scenario(store: Documents, db: Database) -> None:
            first = await store.write(lambda tx: put(tx, key("one"), 1))
            second = await store.write(lambda tx: put(tx, key("one"), 2))
            await store.write(lambda tx: tx.delete(key("one")))
            newest = await store.revision()
            assert (await store.list(SECRETS, at=first.revision)).documents == [first]
            assert (await store.list(SECRETS, at=first.revision - 1)).documents == []
            await compact(db, second.revision)
            assert (await store.list(SECRETS, at=second.revision)).documents == [second]
            assert (await store.list(SECRETS, at=newest)).documents == []
            for at in (first.revision, newest + 1):
                with pytest.raises(Expired):
                    await store.list(SECRETS, at=at)
                assert await store.count(SECRETS, None, after=("", ""), at=at) is None

        using(url, scenario)

    def test_large_documents_leave_less_history(self, url: str) -> None:
        async def scenario(store: Documents, db: Database) -> None:
            for _ in range(10):
                await store.write(lambda tx: put(tx, key("large"), "x" * 1000))
            assert await changes.keep_newest(db, 1000, 100_000) == 0
            assert await changes.keep_newest(db, 1000, 7000) == 7
            assert await changes.span(db) == (7, 10)
            ((kept,),) = await db.fetch("SELECT count(*) FROM history")
            assert kept == 3

        using(url, scenario)


class Model:
    """Random writes, and what a store that made them has to show at each revision."""

    def __init__(self, store: Documents, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self._states: dict[int, dict[tuple[str, str], Document]] = {0: {}}

    async def write(self) -> None:
        """Put or delete one of few documents, or now and then several at once."""
        count = self.random.choice((1, 1, 1, 3))
        chosen = [
            key(f"n{self.random.randrange(8)}", self.random.choice(("a", "b", "c")))
            for _ in range(count)
        ]
        puts = [self.random.random() < 0.6 for _ in range(count)]

        def unit(tx: DocumentTransaction) -> list[tuple[Key, bool, Document | None]]:
            return [
                (where, is_put, put(tx, where, len(self._states)) if is_put else tx.delete(where))
                for where, is_put in zip(chosen, puts, strict=True)
            ]

        for where, is_put, document in await self.store.write(unit):
            if document is None:
                continue
            state = dict(self._states[max(self._states)])
            state.pop(where[1:], None)
            if is_put:
                state[where[1:]] = document
            self._states[document.revision] = state

    def at(self, revision: int, namespace: str | None = None) -> list[Document]:
        """What a list as of a revision has to be."""
        state = self._states[max(each for each in self._states if each <= revision)]
        return [
            state[place] for place in sorted(state) if namespace is None or place[0] == namespace
        ]


class ObjectStoreSuite(SingleDocuments, Lists):
    """All of it; collected through its subclasses only."""
