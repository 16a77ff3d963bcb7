"""What is said of an image in its repository: referrers, and the tags of cosign."""

import json
from pathlib import Path

from tests.unit.images.image_world import WEB, World, digest
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images.kinds.image import Image
from tidegate.images.referrers import REFERRERS, SHOWN, show_referrers
from tidegate.metastore import manifests
from tidegate.metastore.database import Transaction
from tidegate.metastore.manifests import Manifest
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag


def shown(world: World, name: RepositoryName = WEB) -> list[dict[str, str]]:
    image = Image(metadata=ObjectMeta(name=str(digest("a")), annotations={"a": "b"}))
    world.run(lambda db: show_referrers(db, name, image))
    assert image.metadata.annotations.pop("a") == "b"
    found = image.metadata.annotations
    return list(json.loads(found[REFERRERS])) if found else []


def test_referrers_and_cosigns_tags_are_shown_each_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.manifest("a")
    assert shown(world) == []
    world.manifest("b", of="a")
    tag = Tag(f"sha256-{'a' * 64}.sig")
    signed = Manifest(digest("c"), "application/vnd.oci.image.manifest.v1+json", b"{}")
    world.write(lambda tx: manifests.put(tx, WEB, signed, [tag], 1.0))
    assert shown(world) == [
        {"digest": digest("c"), "tag": tag},
        {"digest": digest("b"), "artifactType": "application/x.test"},
    ]
    assert shown(world, RepositoryName("shop/other")) == []


def test_so_many_are_shown_and_no_more(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.manifest("a")

    def unit(tx: Transaction) -> None:
        for number in range(SHOWN + 5):
            name = digest("a")[:-3] + f"{number:03}"
            record = Manifest(Digest(name), "m", b"{}", subject=digest("a"))
            manifests.put(tx, WEB, record, [], 1.0)

    world.write(unit)
    assert len(shown(world)) == SHOWN
