"""What `tidegate check` finds when tags and events tell different stories."""

from pathlib import Path

import pytest

from tests.unit.images.push_world import MANIFEST, PushWorld, pushed
from tidegate.metastore import agreement
from tidegate.metastore.agreement import Disagreement
from tidegate.metastore.database import Database
from tidegate.oci.digest import Digest

ONE, TWO = Digest.of(MANIFEST), Digest.of(MANIFEST + b" ")


@pytest.fixture
def world(tmp_path: Path) -> PushWorld:
    world = PushWorld(tmp_path)
    world.push(pushed("1.0"))
    world.push(pushed("1.0", "latest", content=MANIFEST + b" "))
    return world


def found(world: PushWorld) -> list[Disagreement]:
    async def read(db: Database) -> list[Disagreement]:
        return [
            *[each async for each in agreement.of_tags(db)],
            *[each async for each in agreement.of_older(db)],
        ]

    return world.run(read)


def damage(world: PushWorld, statement: str, *parameters: str) -> None:
    world.write(lambda tx: tx.execute(statement, parameters))


def test_what_pushes_and_deletes_leave_agrees(world: PushWorld) -> None:
    assert found(world) == []
    world.change(lambda stream: stream.prune("1.0", [2], 1.0))
    assert found(world) == []


def test_a_tag_that_the_registry_lost_is_found(world: PushWorld) -> None:
    damage(world, "DELETE FROM tags WHERE name = 'latest'")
    (fault,) = found(world)
    assert fault.digest == TWO
    assert fault.detail == f"shop/web:latest is nothing to the registry and {TWO} to streams"


def test_a_tag_that_leads_elsewhere_is_found(world: PushWorld) -> None:
    damage(
        world,
        "UPDATE tags SET manifest_id = (SELECT id FROM manifests WHERE digest = ?)"
        " WHERE name = 'latest'",
        ONE,
    )
    (fault,) = found(world)
    assert fault.detail == f"shop/web:latest is {ONE} to the registry and {TWO} to streams"


def test_an_event_that_was_lost_is_found(world: PushWorld) -> None:
    damage(world, "DELETE FROM tag_events WHERE tag = '1.0' AND number = 2")
    details = [fault.detail for fault in found(world)]
    assert "shop/web:1.0 counts 2 events, the last is 1" in details
    assert "shop/web:1.0 names what event 2 says, the newest is 1" in details


def test_tags_without_a_stream_are_found(world: PushWorld) -> None:
    damage(world, "DELETE FROM documents WHERE resource = 'imagestreams.image.openshift.io'")
    assert found(world) == [Disagreement(None, "shop/web has tags and is no stream")]


def test_a_manifest_without_an_image_is_found(world: PushWorld) -> None:
    damage(world, "DELETE FROM documents WHERE name = ?", ONE)
    assert found(world) == [Disagreement(ONE, "shop/web has it, without Image")]


def test_a_tag_in_no_stream_is_found(world: PushWorld) -> None:
    damage(world, "DELETE FROM stream_tags WHERE name = 'latest'")
    assert found(world) == [Disagreement(None, "shop/web:latest is in no stream")]
