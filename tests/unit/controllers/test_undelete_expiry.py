"""What was deleted is forgotten once nobody can bring it back any more, and nothing else is."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import Key
from tidegate.controllers import undelete_expiry
from tidegate.images.kinds.image_stream import ImageStream
from tidegate.images.streams.stream import PUSH, Actor, Change, Stream, key_of
from tidegate.metastore import deleted, expiry, repositories, tag_events
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.oci.name import RepositoryName

T = TypeVar("T")

WEB = RepositoryName("shop/web")
FAR = 2.0**40  # after anything that was deleted


def make(tx: Transaction) -> None:
    metadata = ObjectMeta(name="web", namespace="shop", uid="u1", generation=1)
    Stream.make(tx, WEB, ImageStream(metadata=metadata)).save()


def opened(tx: Transaction) -> Stream:
    stream = Stream.open(tx, WEB)
    assert stream is not None
    return stream


def push(tx: Transaction, tag: str, letter: str, now: float) -> None:
    stream = opened(tx)
    image = "sha256:" + letter * 64
    stream.record(tag, Change(f"/{WEB}@{image}", image, 1), Actor("ann", PUSH, now))
    stream.save()


def drop(tx: Transaction, tag: str, now: float) -> None:
    stream = opened(tx)
    stream.drop(tag, Actor("ann", PUSH, now))
    stream.save()


class Trial:
    """A database, and what is done to it one after the other."""

    def __init__(self, directory: Path) -> None:
        self.url = f"sqlite:///{directory / 'metadata.db'}"
        migrate(self.url)

    def run(self, *units: Callable[[Transaction], object], before: float) -> int:
        """Run units, then forget what was deleted before a moment."""

        async def run() -> int:
            db = await open_database(self.url)
            try:
                for unit in units:
                    await db.write(unit)
                return await undelete_expiry.forget(db, before)
            finally:
                await db.close()

        return asyncio.run(run())

    def read(self, unit: Callable[[Transaction], T]) -> T:
        async def run() -> T:
            db: Database = await open_database(self.url)
            try:
                return await db.write(unit)
            finally:
                await db.close()

        return asyncio.run(run())

    def numbers(self, tag: str) -> list[int]:
        """The events of a tag that are kept."""

        def unit(tx: Transaction) -> list[int]:
            repository_id = repositories.find(tx, WEB)
            assert repository_id is not None
            found = [tag_events.find(tx, repository_id, tag, n) for n in range(1, 300)]
            return [each.number for each in found if each is not None]

        return self.read(unit)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def delete(tx: Transaction) -> None:
    DocumentUnit(tx).delete(key_of(WEB))


def test_a_deleted_stream_stays_with_its_rows_until_its_time_is_over(trial: Trial) -> None:
    count = trial.run(make, lambda tx: push(tx, "v1", "d", 1.0), delete, before=0.0)
    assert count == 0
    key = Key(deleted.IMAGE_STREAMS, "shop", "web")
    assert trial.read(lambda tx: deleted.newest(tx, key)) is not None
    aside = deleted.aside(key, "u1")
    assert trial.read(lambda tx: repositories.find(tx, aside)) is not None
    assert trial.run(before=FAR) == 1
    assert trial.read(lambda tx: deleted.newest(tx, key)) is None
    assert trial.read(lambda tx: repositories.find(tx, aside)) is None


def test_the_past_of_a_deleted_tag_is_forgotten_and_what_came_after_is_kept(trial: Trial) -> None:
    assert (
        trial.run(
            make,
            lambda tx: push(tx, "v1", "d", 1.0),
            lambda tx: drop(tx, "v1", 2.0),
            lambda tx: push(tx, "v1", "e", 3.0),
            before=2.0,
        )
        == 0
    )
    assert trial.numbers("v1") == [1, 2, 3]
    assert trial.run(before=2.5) == 1
    assert trial.numbers("v1") == [3]
    assert trial.run(before=FAR) == 0


def test_a_past_of_any_length_goes_in_small_units(trial: Trial) -> None:
    def push_many(tx: Transaction) -> None:
        for number in range(undelete_expiry.BATCH * 2):
            push(tx, "v1", "de"[number % 2], 1.0)

    trial.run(make, push_many, lambda tx: drop(tx, "v1", 2.0), before=0.0)
    assert trial.run(before=FAR) == 1
    assert trial.numbers("v1") == []


def test_a_tag_that_was_brought_back_meanwhile_keeps_its_past(trial: Trial) -> None:
    trial.run(make, lambda tx: push(tx, "v1", "d", 1.0), lambda tx: drop(tx, "v1", 2.0), before=0.0)

    def unit(tx: Transaction) -> bool:
        stream = opened(tx)
        past = expiry.HiddenPast(stream.repository_id, "v1", stream.row("v1").hidden)
        stream.bring_back("v1", Actor("ann", PUSH, 3.0))
        stream.save()
        return expiry.forget_past(tx, past, 100)

    assert not trial.read(unit)
    assert trial.run(before=FAR) == 0
    assert 1 in trial.numbers("v1")
