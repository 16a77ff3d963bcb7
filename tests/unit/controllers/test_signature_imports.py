"""Signatures that appear after an image was imported are found by the hourly look."""

import base64
from pathlib import Path
from typing import cast

import msgspec

from tests.unit.controllers.import_world import World, in_world
from tidegate.apimachinery.store import Key
from tidegate.controllers.jobs import Progress
from tidegate.controllers.signature_imports import KIND, PAGE, import_signatures
from tidegate.images.imports.attached import SIGNATURES
from tidegate.metastore.jobs import Job
from tidegate.oci.digest import Digest
from tidegate.remote.errors import RateLimited, Unavailable
from tidegate.remote.gateway import Gateway
from tidegate.remote.location import Location

IMAGES = "images.image.openshift.io"
MANAGED = {"openshift.io/image.managed": "true"}


class Far:
    """A gateway to registries of which some keep signatures."""

    def __init__(self) -> None:
        self.kept: dict[Digest, list[bytes]] = {}
        self.failing: dict[str, Exception] = {}
        self.heads: list[str] = []
        self.looks: list[Digest] = []

    def registries(self, **_: object) -> "Far":
        return self

    async def head(self, location: Location, reference: str) -> None:
        self.heads.append(location.host)
        if location.host in self.failing:
            raise self.failing[location.host]

    async def signatures(self, location: Location, digest: Digest) -> list[bytes]:
        self.looks.append(digest)
        return self.kept.get(digest, [])


class Told(Progress):
    """Notes where the job is."""

    def __init__(self) -> None:
        self.positions: list[str] = []

    async def tell(
        self, *, position: str | None = None, done: int | None = None, total: int | None = None
    ) -> None:
        self.positions.append(position or "")


def digest(number: int) -> Digest:
    return Digest(f"sha256:{number:064x}")


async def put(world: World, number: int, host: str, annotations: dict[str, str]) -> None:
    """An Image that was found at a registry."""
    name = str(digest(number))
    body = msgspec.json.encode(
        {
            "metadata": {"name": name, "uid": name, "annotations": annotations},
            "dockerImageReference": f"{host}/app/web@{name}",
        }
    )
    await world.store.write(lambda tx: tx.put(Key(IMAGES, "", name), name, lambda _: body))


async def contents(world: World, number: int) -> list[bytes]:
    document = await world.store.get(Key(IMAGES, "", str(digest(number))))
    assert document is not None
    signatures = msgspec.json.decode(document.body).get("signatures", [])
    return [base64.b64decode(each["content"]) for each in signatures]


async def look(world: World, far: Far, position: str = "") -> list[str]:
    job = Job(KIND, "images", "", "", 0.0, "h", 0.0, 0, "", position, 0, 0, 0.0, None, None)
    told = Told()
    gateway = cast("Gateway", far)
    await import_signatures(world.database, world.store, gateway, world.time.read, job, told)
    return told.positions


def test_new_signatures_are_added_once_to_images_that_were_not_pushed_here(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        far = Far()
        await put(world, 1, "quay.example", {})
        await put(world, 2, "quay.example", MANAGED)
        far.kept = {digest(1): [b"one"], digest(2): [b"two"]}
        for _ in range(2):
            await look(world, far)
        assert await contents(world, 1) == [b"one"]
        assert await contents(world, 2) == []
        far.kept[digest(1)] = [b"one", *(b"%d" % number for number in range(20))]
        before = await world.store.revision()
        await look(world, far)
        assert len(await contents(world, 1)) == SIGNATURES
        assert await world.store.revision() == before + SIGNATURES - 1
        await look(world, far)
        assert await world.store.revision() == before + SIGNATURES - 1

    in_world(migrated_file, tmp_path, scenario)


def test_an_image_that_is_as_large_as_it_may_be_stays_as_it_is(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        far = Far()
        await put(world, 1, "quay.example", {"large": "x" * 1_480_000})
        far.kept = {digest(1): [b"s" * 20_000]}
        await look(world, far)
        assert await contents(world, 1) == []

    in_world(migrated_file, tmp_path, scenario)


def test_a_registry_is_asked_once_an_hour_whether_it_keeps_any_and_left_alone_if_it_wants(
    migrated_file: Path, tmp_path: Path
) -> None:
    async def scenario(world: World) -> None:
        far = Far()
        for number in range(4):
            await put(world, number, "quay.example", {})
            await put(world, 10 + number, "hub.example", {})
            await put(world, 20 + number, "away.example", {})
        far.failing = {
            "hub.example": RateLimited("no more", 9.0),
            "away.example": Unavailable("no route to host"),
        }
        await look(world, far)
        assert sorted(far.heads) == ["away.example", "hub.example", "quay.example"]
        assert far.looks == [digest(number) for number in range(4)]

    in_world(migrated_file, tmp_path, scenario)


def test_a_look_that_was_cut_off_goes_on_where_it_was(migrated_file: Path, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        far = Far()
        for number in range(PAGE + 5):
            await put(world, number, "quay.example", {})
        first = str(digest(PAGE - 1))
        assert await look(world, far) == [first, ""]
        assert len(far.looks) == PAGE + 5
        far.looks.clear()
        assert await look(world, far, first) == [""]
        assert far.looks == [digest(PAGE + number) for number in range(5)]

    in_world(migrated_file, tmp_path, scenario)
