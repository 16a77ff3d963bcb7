import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import require, unavailable
from tidegate.storage.rehash import PIECE, rehash


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 17])
def test_a_file_is_hashed_whole(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    with (tmp_path / "file").open("rb") as file:
        running = hashlib.sha256()
        assert rehash(file.fileno(), size, running) == size
    assert running.digest() == hashlib.sha256(content).digest()


def test_only_the_bytes_asked_for_count(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"counted, not recorded")
    with (tmp_path / "file").open("rb") as file:
        running = hashlib.sha256()
        assert rehash(file.fileno(), 7, running) == 7
    assert running.digest() == hashlib.sha256(b"counted").digest()


def test_a_file_that_ends_early_is_told_from_a_whole_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"short")
    with (tmp_path / "file").open("rb") as file:
        assert rehash(file.fileno(), 100, hashlib.sha256()) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="fincore looks into Linux's page cache")
def test_hashing_leaves_cached_files_cached_and_others_not(tmp_path: Path) -> None:
    cached, uncached = tmp_path / "cached", tmp_path / "uncached"
    for path in (cached, uncached):
        path.write_bytes(os.urandom(4 * PIECE))
    os.sync()
    with uncached.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if resident(uncached) or resident(cached) != 4 * PIECE:
        unavailable("this file system keeps what it is told to drop, or drops what it should keep")
    for path in (cached, uncached):
        with path.open("rb") as file:
            rehash(file.fileno(), 4 * PIECE, hashlib.sha256())
    assert resident(cached) == 4 * PIECE
    assert resident(uncached) == 0


def resident(path: Path) -> int:
    """Bytes of a file in the page cache."""
    output = subprocess.check_output(
        (require("fincore"), "--bytes", "--noheadings", "--output", "RES", str(path)), text=True
    )
    return int(output)
