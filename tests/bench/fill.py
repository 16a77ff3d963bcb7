"""Load many tags and manifests without a push for each: straight into what a server stores."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from tests.bench.content import Blob, image_manifest
from tests.bench.scene import MANIFEST_TYPE, MANY
from tidegate.metastore import manifests
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.errors import MetastoreBusy
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

_AT_ONCE = 500
"""Rows in one transaction: enough to share its cost, few enough not to keep a server waiting."""

Unit = Callable[[Transaction], None]


def tag_names(count: int) -> list[str]:
    """Tags in the order in which they are listed."""
    return [f"tag-{number:07d}" for number in range(count)]


def fill_distribution(directory: Path, count: int) -> None:
    """Make `count` tags in the tree of a distribution registry.

    Of each tag only its directory is made: the registry's listing asks for no more (it walks over
    the names), and whole tags would take the file system minutes to write and to remove.
    """
    root = directory / "docker" / "registry" / "v2" / "repositories" / MANY
    for tag in tag_names(count):
        os.mkdir(root / "_manifests" / "tags" / tag)


def fill_tags(data: Path, repository: str, content: bytes, blobs: list[Blob], count: int) -> None:
    """Give one manifest `count` tags in tidegate's metadata; the server may run."""
    name, manifest = RepositoryName.parse(repository), _manifest(content, blobs)
    tags = iter(tag_names(count))

    def units() -> Iterator[Unit]:
        while batch := [Tag(tag) for tag in islice(tags, _AT_ONCE)]:
            yield partial(
                manifests.put,
                repository=name,
                manifest=manifest,
                named=batch,
                now=time.time(),
            )

    asyncio.run(_write(data, units()))


def fill_manifests(data: Path, repositories: Iterable[str], blobs: list[Blob], each: int) -> None:
    """Give each repository as many tagged manifests, none like another, over the same blobs."""

    def units() -> Iterator[Unit]:
        for repository in repositories:
            name = RepositoryName.parse(repository)
            for start in range(0, each, _AT_ONCE):
                tags = tag_names(each)[start : start + _AT_ONCE]
                made = [
                    (_manifest(image_manifest(blobs, f"{name} {tag}"), blobs), Tag(tag))
                    for tag in tags
                ]
                yield partial(_put_all, repository=name, made=made)

    asyncio.run(_write(data, units()))


def _put_all(
    tx: Transaction, repository: RepositoryName, made: list[tuple[manifests.Manifest, Tag]]
) -> None:
    for manifest, tag in made:
        manifests.put(tx, repository, manifest, [tag], time.time())


def _manifest(content: bytes, blobs: list[Blob]) -> manifests.Manifest:
    digests = tuple(Digest.parse(blob.digest) for blob in blobs)
    return manifests.Manifest(Digest.of(content), MANIFEST_TYPE, content, blobs=digests)


async def _insist(database: Database, unit: Unit) -> None:
    """Write `unit`, which may be repeated, however long a busy disk makes it wait."""
    while True:
        try:
            return await database.write(unit)
        except MetastoreBusy:
            continue


async def _write(data: Path, units: Iterator[Unit]) -> None:
    database = await open_database(f"sqlite:///{data / 'metadata.db'}")
    try:
        for unit in units:
            await _insist(database, unit)
    finally:
        await database.close()
