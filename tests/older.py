"""Data of the version before projects and image streams: a directory that it wrote, and much more.

Repositories `olderD/rN` (D is the last digit of N) with tags `v0`, `v1` and so on, each of an image
of its own, pushed at 1,700,000,000 and the number of the image. Of their blobs the first images'
configurations are there and nothing else.
"""

import json
import sqlite3
import tarfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from tests.images import IMAGE_CONFIG, IMAGE_LAYER, IMAGE_MANIFEST
from tidegate.metastore.database import Transaction, Value
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest
from tidegate.storage.layout import blob_path

FIXTURE = Path(__file__).parent / "e2e" / "fixtures" / "data-0001.tar.xz"

AT_ONCE = 1000
BASE = 1_000_000
PUSHED_AT = 1_700_000_000.0
MANIFEST = "id, repository_id, content_id, digest, media_type, size, pushed_at"
USE = (
    "INSERT INTO {} (blob_id, repository_id, {}) SELECT id, ?, ? FROM blobs WHERE digest = ?"
    " ON CONFLICT DO NOTHING"
)
MARKS = "DELETE FROM documents WHERE resource = 'adoptions.tidegate.io'"


def unpack(directory: Path) -> Path:
    """The directory that the older version wrote."""
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(directory, filter="data")
    return directory / "data"


def configuration(number: int) -> bytes:
    """A configuration of some 2 KB, as a build writes it."""
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-02T03:04:05Z",
            "config": {
                "Env": [f"NAME_{each}=a value of some length" for each in range(12)],
                "Cmd": ["/bin/server", "--number", str(number)],
                "Labels": {"version": f"1.0.{number}", "vcs-ref": "0123456789abcdef" * 2},
                "ExposedPorts": {"8080/tcp": {}},
            },
            "history": [{"created_by": f"RUN step {each} of this build"} for each in range(10)],
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each:064x}" for each in range(5)]},
        }
    ).encode()


def manifest(number: int, config: bytes) -> tuple[bytes, tuple[Digest, ...]]:
    """An image of five layers that many share; its blobs, the configuration first."""
    layers = [Digest(f"sha256:{number // 200 + each:064x}") for each in range(5)]
    first = Digest.of(config)
    content = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": IMAGE_MANIFEST,
            "config": {"mediaType": IMAGE_CONFIG, "digest": first, "size": len(config)},
            "layers": [{"mediaType": IMAGE_LAYER, "digest": each, "size": 1000} for each in layers],
            "annotations": {"org.opencontainers.image.version": str(number)},
        }
    ).encode()
    return content, (first, *layers)


Statement = tuple[str, list[tuple[object, ...]]]


def statements(numbers: Sequence[int], each: int, configs: int) -> Iterator[Statement]:
    """Rows of some manifests, as pushes leave them; ids begin far behind those of others."""
    made = [(number, *manifest(number, configuration(of(number, configs)))) for number in numbers]
    sizes: dict[Digest, int | None] = {each: None for _, _, digests in made for each in digests}
    stored = [(number, digests[0]) for number, _, digests in made if number < configs]
    sizes.update((digest, len(configuration(number))) for number, digest in stored)
    yield (
        "INSERT INTO repositories (id, name) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [
            (BASE + repository, f"older{repository % 10}/r{repository}")
            for repository in sorted({number // each for number in numbers})
        ],
    )
    yield (
        "INSERT INTO blobs (digest, size) VALUES (?, ?) ON CONFLICT DO NOTHING",
        list(sizes.items()),
    )
    yield (
        "INSERT INTO contents (id, digest, content) VALUES (?, ?, ?)",
        [(BASE + number, Digest.of(content), content) for number, content, _ in made],
    )
    yield (
        f"INSERT INTO manifests ({MANIFEST}) VALUES (?, ?, ?, ?, '{IMAGE_MANIFEST}', ?, ?)",
        [
            (
                BASE + number,
                BASE + number // each,
                BASE + number,
                Digest.of(content),
                len(content),
                PUSHED_AT + number,
            )
            for number, content, _ in made
        ],
    )
    yield (
        USE.format("blob_uses", "manifest_id"),
        [
            (BASE + number // each, BASE + number, digest)
            for number, _, digests in made
            for digest in digests
        ],
    )
    yield (
        USE.format("links", "linked_at"),
        [(BASE + number // each, PUSHED_AT + number, digest) for number, digest in stored],
    )
    yield (
        "INSERT INTO tags (repository_id, name, manifest_id, updated_at) VALUES (?, ?, ?, ?)",
        [
            (BASE + number // each, f"v{number % each}", BASE + number, PUSHED_AT + number)
            for number in numbers
        ],
    )


def of(number: int, configs: int) -> int:
    """Whose configuration a manifest has: its own, or that of many."""
    return number if number < configs else -1


def put(tx: Transaction, numbers: Sequence[int], each: int, configs: int) -> None:
    for sql, rows in statements(numbers, each, configs):
        tx.execute_many(sql, cast("list[tuple[Value, ...]]", rows))


def write_configurations(data: Path, count: int) -> None:
    """Put the configurations of the first `count` images on disk."""
    for number in range(count):
        content = configuration(number)
        path = data / blob_path(Digest.of(content))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def fill_older(data: Path, count: int, repositories: int, configs: int = 0) -> None:
    """Add images to a directory that the older version wrote."""
    connection = sqlite3.connect(data / "metadata.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    for numbers in batches(count):
        for sql, rows in statements(numbers, max(1, count // repositories), configs):
            connection.executemany(sql, rows)
        connection.commit()
    connection.close()
    write_configurations(data, configs)


async def fill_current(url: str, count: int, repositories: int, configs: int = 0) -> None:
    """Add images to a database of this version, which is to begin anew with taking them over."""
    db = await open_database(url)
    try:
        for numbers in batches(count):
            each = max(1, count // repositories)
            await db.write(partial(put, numbers=numbers, each=each, configs=configs))
        await db.write(lambda tx: tx.execute(MARKS))
    finally:
        await db.close()


def batches(count: int) -> Iterator[range]:
    for start in range(0, count, AT_ONCE):
        yield range(start, min(start + AT_ONCE, count))
