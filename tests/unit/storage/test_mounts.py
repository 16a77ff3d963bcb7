from pathlib import Path

import pytest

from tests.tools import unavailable
from tidegate.storage import mounts
from tidegate.storage.errors import NetworkFilesystem

# proc(5) and mount(8): a root, an NFS export with optional fields, one mounted over another, sshfs
MOUNTINFO = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
36 21 0:42 / /srv/my\\040share rw,noatime shared:5 master:2 - nfs4 filer:/vol rw,vers=4.2
37 21 0:43 / /srv/media rw - fuse.sshfs user@host:/ rw
136 21 0:44 / /mnt/c rw - 9p drvfs rw
"""

# mount(8) of macOS 14
MACOS_MOUNT = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect)
//user@filer/share on /Volumes/share (smbfs, nodev, nosuid, mounted by user)
filer:/export on /Volumes/an export (2) (nfs, nodev, nosuid)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
"""


@pytest.mark.parametrize(
    ("mount_id", "kind"),
    [(21, "ext4"), (36, "nfs4"), (37, "fuse.sshfs"), (136, "9p"), (3, None), (99, None)],
)
def test_a_mount_is_found_by_its_number(mount_id: int, kind: str | None) -> None:
    assert mounts.kind_in_mountinfo(MOUNTINFO, mount_id) == kind


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/Users/me", "apfs"),
        ("/Volumes/share", "smbfs"),
        ("/Volumes/share/registry", "smbfs"),
        ("/Volumes/shared", "apfs"),
        ("/Volumes/an export (2)/x", "nfs"),
        ("/System/Volumes/Data/home/me", "autofs"),
    ],
)
def test_the_longest_mount_point_above_a_path_counts_on_macos(path: str, kind: str) -> None:
    assert mounts.kind_in_mount_output(MACOS_MOUNT, path) == kind


def test_output_that_says_nothing_gives_no_kind() -> None:
    assert mounts.kind_in_mount_output("mount: command failed\n", "/") is None


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "fuse.sshfs", "fuse.s3fs", "fuse.rclone",
     "fuse.glusterfs", "fuse.JuiceFS", "afpfs"],
)  # fmt: skip
def test_network_file_systems_are_known(kind: str) -> None:
    assert mounts.is_network_kind(kind)


@pytest.mark.parametrize(
    "kind",
    ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs", "hfs", "fuseblk", "fuse.ntfs-3g",
     "fuse.fuse-overlayfs", "virtiofs", "", "fuse."],
)  # fmt: skip
def test_local_and_unknown_file_systems_are_accepted(kind: str) -> None:
    assert not mounts.is_network_kind(kind)


def test_a_local_directory_is_accepted_before_it_exists(tmp_path: Path) -> None:
    if mounts.is_network(tmp_path):
        unavailable("the temporary directory is on a network file system")
    assert mounts.filesystem_kind(tmp_path) is not None
    assert not mounts.is_network(tmp_path / "not" / "yet")
    mounts.refuse_network(tmp_path / "not" / "yet")


def test_a_refusal_names_the_directory_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "filesystem_kind", lambda path: "nfs4")
    with pytest.raises(NetworkFilesystem, match=r"/srv/registry is on .* \(nfs4\).*PostgreSQL"):
        mounts.refuse_network("/srv/registry")
