"""The loop that takes over older images: rests, steps back for others, goes on after a failure."""

import asyncio
import logging
from pathlib import Path

import pytest

from tests.unit.images.test_adoption import World, manifest
from tidegate.controllers import image_adoption
from tidegate.controllers.image_adoption import adopt_images
from tidegate.images import adoption
from tidegate.metastore.database import Database, Transaction


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def adopt(world: World, loops: int = 1) -> None:
    async def run(db: Database) -> None:
        await asyncio.gather(*(adopt_images(world.older(db), rest=0.0) for _ in range(loops)))

    world.run(run)


def test_it_returns_when_everything_is_taken_over_and_says_so(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    digest = world.pushed(manifest("one"), "v1", at=100.0)
    adopt(world)
    assert world.image(digest) is not None
    assert "everything that was pushed is in an image stream now" in caplog.messages


def test_it_says_nothing_where_there_is_nothing_older(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    adopt(world)
    adopt(world)
    assert caplog.messages == []


def test_it_says_how_much_is_left(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(image_adoption, "TELL_SECONDS", 0.0)
    world.pushed(manifest("one"), "v1", at=100.0)
    adopt(world)
    assert "adopting older images: 1 tags and 1 manifests are left" in caplog.messages
    assert "adopting older images: 0 tags and 0 manifests are left" in caplog.messages


def test_processes_that_come_second_stand_by_and_find_it_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_adoption, "STANDBY_SECONDS", 0.01)
    for number in range(60):
        world.pushed(manifest(str(number)), f"v{number}", at=100.0)
    adopt(world, loops=3)
    assert world.run(adoption.read_progress).stage == adoption.DONE
    assert all(len(world.events(f"v{number}")) == 1 for number in range(60))


def test_it_goes_on_after_a_failure(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_adoption, "RETRY_SECONDS", 0.01)
    world.pushed(manifest("one"), "v1", at=100.0)

    def trip(tx: Transaction) -> None:
        tx.execute(
            "CREATE TRIGGER trip BEFORE INSERT ON tag_events"
            " BEGIN SELECT RAISE(ABORT, 'tripped'); END"
        )

    world.write(trip)

    async def run(db: Database) -> None:
        loop = asyncio.create_task(adopt_images(world.older(db), rest=0.0))
        while "adopting older images failed" not in caplog.text:  # noqa: ASYNC110  a log has no event
            await asyncio.sleep(0.01)
        await db.write(lambda tx: tx.execute("DROP TRIGGER trip"))
        await loop

    world.run(run)
    assert len(world.events("v1")) == 1


def test_the_change_log_stays_within_its_bounds_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_adoption, "COMPACTED_AFTER", 30)
    monkeypatch.setattr(image_adoption, "KEPT_CHANGES", 20)
    for number in range(60):
        world.pushed(manifest(str(number)), f"v{number}", at=100.0)
    adopt(world)
    ((kept,),) = world.write(lambda tx: tx.fetch("SELECT count(*) FROM changes"))
    # 120 things are taken over; what came after the last look is not dropped yet
    assert kept <= 20 + 2 * (30 + adoption.PART)
