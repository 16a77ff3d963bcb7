"""A real image: Debian as debootstrap makes it, packed, pushed, pulled, unpacked and compared.

The root file system is kept in `.cache/` between runs, as a tar archive: making it takes about
half a minute and needs a Debian mirror, the one that this machine's apt uses.
"""

import os
import platform
import stat
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.clients.conftest import Home, Registry
from tests.images import digest_of
from tests.tools import PROJECT, Program, must, require, run, unavailable

RELEASE = "bookworm"
CACHED = PROJECT / ".cache" / f"debian-{RELEASE}-{platform.machine()}.tar"


class Entry(NamedTuple):
    """What an image keeps of a file: all but access time and inode."""

    mode: int
    owner: int
    group: int
    size: int
    seconds: int
    content: str


def mirror() -> list[str]:
    """The Debian mirror that apt is set up with; none leaves debootstrap to its default."""
    outcome = run("apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {RELEASE}",
                  "Created-By: Packages")  # fmt: skip
    return outcome.stdout.split()[:1] if outcome.code == 0 else []


def make_root(directory: Path) -> None:
    """A minimal Debian in `directory`, without device nodes and caches."""
    must(require("debootstrap"), "--variant=minbase", RELEASE, directory, *mirror(), seconds=900)
    for cached in (directory / "var" / "cache" / "apt" / "archives").glob("*.deb"):
        cached.unlink()
    for node in (directory / "dev").rglob("*"):
        if not node.is_dir() or node.is_symlink():
            node.unlink()
    for path in directory.rglob("*"):  # layers keep whole seconds
        seconds = int(path.lstat().st_mtime)
        os.utime(path, (seconds, seconds), follow_symlinks=False)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Debian root file system as a tar archive."""
    if os.geteuid() != 0:
        unavailable("debootstrap needs root")
    if not CACHED.exists():
        directory = tmp_path_factory.mktemp("debootstrap") / "root"
        make_root(directory)
        CACHED.parent.mkdir(exist_ok=True)
        unfinished = CACHED.with_suffix(".part")
        with tarfile.open(unfinished, "w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(directory, arcname=".")
        unfinished.rename(CACHED)
    return CACHED


@pytest.fixture(scope="module")
def root(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, unpacked."""
    directory = tmp_path_factory.mktemp("debian")
    must("tar", "--extract", "--numeric-owner", "--file", archive, "--directory", directory)
    return directory


def files_in(root: Path) -> dict[str, Entry]:
    """Each path under `root` with what an image keeps of it."""
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        size, content = 0, ""
        if stat.S_ISLNK(status.st_mode):
            content = str(path.readlink())
        elif stat.S_ISREG(status.st_mode):
            size, content = status.st_size, digest_of(path.read_bytes())
        found[str(path.relative_to(root))] = Entry(
            status.st_mode, status.st_uid, status.st_gid, size, int(status.st_mtime), content
        )
    return found


def assert_same_files(left: Path, right: Path) -> None:
    """Fail with the first differences of two trees."""
    before, after = files_in(left), files_in(right)
    assert len(before) > 5000, "that is no Debian"
    names = sorted(before.keys() | after.keys())
    differences = [
        f"{name}: {before.get(name)} -> {after.get(name)}"
        for name in names
        if before.get(name) != after.get(name)
    ]
    assert not differences, "\n".join(differences[:20])


def test_debian_packed_by_umoci_is_the_same_file_by_file_after_push_and_pull(
    registry: Registry, home: Home, root: Path, repository: str, tmp_path: Path
) -> None:
    umoci = Program(require("umoci"), home.environment)
    skopeo = Program(require("skopeo"), home.environment)
    layout, there = tmp_path / "layout", f"docker://{registry.address}/{repository}:debian"
    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:debian")
    umoci("insert", "--image", f"{layout}:debian", root, "/")
    skopeo("copy", "--dest-tls-verify=false", f"oci:{layout}:debian", there)
    skopeo("copy", "--src-tls-verify=false", there, f"oci:{tmp_path}/back:debian")
    umoci("unpack", "--image", f"{tmp_path}/back:debian", tmp_path / "bundle")
    assert_same_files(root, tmp_path / "bundle" / "rootfs")


def test_debian_packed_by_buildah_is_the_same_file_by_file_after_push_and_pull(
    registry: Registry, home: Home, archive: Path, root: Path, repository: str
) -> None:
    storage = ("--root", str(home.directory / "store"), "--runroot", str(home.directory / "run"))
    options = (*storage, "--storage-driver", "vfs")
    buildah = Program(require("buildah"), home.environment, options)
    there = f"{registry.address}/{repository}:debian"
    container = buildah("from", "scratch").strip()
    buildah("add", container, archive, "/")
    buildah("commit", "--rm", container, there)
    buildah("push", "--tls-verify=false", there)
    buildah("rmi", there)
    pulled = buildah("from", "--tls-verify=false", there).strip()
    unpacked = Path(buildah("mount", pulled).strip())
    assert_same_files(root, unpacked)
    buildah("run", "--isolation", "chroot", pulled, "--", "/usr/bin/dpkg", "--audit")
    buildah("rm", pulled)
