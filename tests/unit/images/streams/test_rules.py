"""What the rules of a project cost in the unit that they are asked in."""

from pathlib import Path

import msgspec
import pytest

from tests.unit.images.streams.test_stream import ANN, WEB, World, digest, pushed
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import Key
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.images.streams.errors import TagRefused
from tidegate.images.streams.rules import Rules
from tidegate.images.streams.stream import Stream
from tidegate.kinds.tag_policy import POLICIES, TAG_POLICIES, TagPolicy
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import DocumentUnit


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.make()
    return made


def policy(world: World, name: str, **spec: object) -> None:
    body = {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}
    stored = msgspec.json.encode(msgspec.convert(body, TagPolicy))
    key = Key(TAG_POLICIES.key, "shop", name)
    world.write(lambda tx: DocumentUnit(tx).put(key, name, lambda _: stored))


def set_tags(world: World, count: int, length: int) -> None:
    def unit(stream: Stream) -> None:
        for number in range(count):
            stream.record(f"{number}-{'a' * length}", pushed(WEB, "d"), ANN)

    world.change(unit)


def test_ordinary_rules_judge_thousands_of_tags_in_one_unit(world: World) -> None:
    policy(world, "releases", immutable=["v*"], naming={"tags": {"pattern": r"\d+-a+"}})
    set_tags(world, 3000, 10)


def test_rules_of_the_largest_size_are_not_asked_about_many_tags_at_once(world: World) -> None:
    for number in range(POLICIES):
        policy(world, f"p{number}", immutable=[f"{'?' * 250}{number}"] * 4)
    set_tags(world, 10, 120)
    with pytest.raises(TagRefused, match="too large for so many tags at once"):
        set_tags(world, 100, 120)


def test_an_image_is_read_once_for_all_its_tags(world: World) -> None:
    policy(world, "labels", required={"labels": ["team"]}, mode="Warn")
    world.manifest("d")
    key = Key(IMAGES.key, "", digest("d"))

    def unit(tx: Transaction) -> list[list[str]]:
        rules = Rules.load(tx, "shop")
        metadata = ObjectMeta(name=str(digest("d")))
        body = msgspec.json.encode(Image(metadata=metadata, docker_image_metadata={"Config": {}}))
        DocumentUnit(tx).put(key, "u", lambda _: body)
        first = rules.judge_tag(tx, WEB, "a", digest("d"))
        DocumentUnit(tx).delete(key)
        again = [rules.judge_tag(tx, WEB, "b", digest("d"))]
        return [first, *again, rules.judge_tag(tx, WEB, "c", digest("e"))]

    first, second, unknown = world.write(unit)
    assert first == second != []
    assert unknown == []
