"""Real disks that fill up and fail: small mounts, which need the right to make them."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.tools import SEARCH_PATH, unavailable


def _command(*words: str) -> None:
    finished = subprocess.run(
        words, capture_output=True, text=True, check=False, env={"PATH": SEARCH_PATH}
    )
    if finished.returncode != 0:
        unavailable(f"cannot run {' '.join(words)}: {finished.stderr.strip()}")


@contextlib.contextmanager
def _mounted(point: Path, *words: str) -> Iterator[Path]:
    if sys.platform != "linux":
        unavailable("small mounts are made on Linux only")
    point.mkdir()
    _command("mount", *words, str(point))
    try:
        yield point
    finally:
        # lazily: a sync that failed may keep the device busy for a moment
        subprocess.run(("umount", "-l", str(point)), check=True, env={"PATH": SEARCH_PATH})


@contextlib.contextmanager
def small_disk(directory: Path, size: str, **options: int) -> Iterator[Path]:
    """A file system in memory of `size`, such as 4m; `nr_inodes` bounds its number of files."""
    settings = ",".join([f"size={size}", *(f"{key}={value}" for key, value in options.items())])
    with _mounted(directory / "disk", "-t", "tmpfs", "-o", settings, "tmpfs") as disk:
        yield disk


@contextlib.contextmanager
def failing_disk(directory: Path) -> Iterator[Path]:
    """A file system of 16 MB on a device that can hold 2 MB: a write succeeds, its sync fails."""
    with small_disk(directory, "2m") as backing, _on_image(directory, backing / "image") as disk:
        yield disk


@dataclass(frozen=True)
class UnreadableDisk:
    """A file system at `root` whose device can lose its end."""

    root: Path
    image: Path

    def lose_after(self, count: int) -> None:
        """From byte `count` of the device on, reading is an input/output error."""
        subprocess.run(("sync", "-f", str(self.root)), check=True)
        for path in self.root.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:  # out of the page cache, or nobody asks the device
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        os.truncate(self.image, count)


@contextlib.contextmanager
def unreadable_disk(directory: Path) -> Iterator[UnreadableDisk]:
    """A file system of 16 MB that works until it is told not to."""
    image = directory / "disk" / "image"
    with small_disk(directory, "20m"), _on_image(directory, image) as root:
        yield UnreadableDisk(root, image)


@contextlib.contextmanager
def _on_image(directory: Path, image: Path) -> Iterator[Path]:
    with image.open("wb") as file:
        file.truncate(16 << 20)
    _command("mkfs.ext2", "-q", "-F", str(image))
    with _mounted(directory / "on-image", "-o", "loop", str(image)) as root:
        yield root
