"""What kind of file system a directory is on.

SQLite and `flock` need one machine's locks and shared memory: on a network file system two
machines each believe they are alone, and the database is lost. So the program refuses to start on
one. A file system nobody here knows is accepted.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tidegate.storage.errors import NetworkFilesystem

_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "afpfs", "webdav", "9p", "v9fs"}
    | {"ceph", "glusterfs", "lustre", "beegfs", "orangefs", "pvfs2", "coda", "davfs", "acfs"}
)
"""9p is also what a Linux guest sees of its host's disk (WSL, virtual machines)."""

_NETWORK_FUSE = re.compile(
    r"(sshfs|s3fs|s3ql|s3backer|rclone|gcsfuse|goofys|geesefs|mount-s3|mountpoint-s3|blobfuse2?"
    r"|glusterfs|ceph|ceph-fuse|juicefs|seaweedfs|davfs2?|curlftpfs|cifs|smbnetfs|nfs|lizardfs"
    r"|moosefs|mfs|osxfs|grpcfuse|vmhgfs-fuse)",
    re.ASCII | re.IGNORECASE,
)

_BSD_MOUNT = re.compile(r".+? on (?P<point>/.*) \((?P<kind>[^,)\s]+)[^)]*\)")
"""A line of `mount` on macOS: `//u@host/share on /Volumes/share (smbfs, nodev, nosuid)`."""


def refuse_network(path: str | os.PathLike[str]) -> None:
    """`NetworkFilesystem` with a sentence for the operator when `path` is on one."""
    kind = filesystem_kind(path)
    if kind is not None and is_network_kind(kind):
        raise NetworkFilesystem(
            f"{os.fspath(path)} is on a network file system ({kind}), whose locks do not hold "
            "between machines: use a local disk, or PostgreSQL for the metadata"
        )


def is_network(path: str | os.PathLike[str]) -> bool:
    """Whether `path`, or the nearest directory above it that exists, is on a network."""
    kind = filesystem_kind(path)
    return kind is not None and is_network_kind(kind)


def is_network_kind(kind: str) -> bool:
    """Whether a file system of this type, as the system names it, is on a network."""
    family, _, program = kind.partition(".")
    if family in ("fuse", "fuseblk"):
        return _NETWORK_FUSE.fullmatch(program) is not None
    return kind in _NETWORK


def filesystem_kind(path: str | os.PathLike[str]) -> str | None:
    """The system's name for the type of file system below `path`; None where it does not say."""
    existing = _nearest_existing(Path(path))
    if sys.platform == "linux":
        return _linux_kind(existing)
    else:  # noqa: RET505  the type checker follows platforms through branches only
        listed = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False)
        return kind_in_mount_output(listed.stdout, str(existing))


def kind_in_mountinfo(mountinfo: str, mount_id: int) -> str | None:
    """The type of a mount by its number in `/proc/self/mountinfo` (proc(5), fields 1 and 9)."""
    for line in mountinfo.splitlines():
        number, _, rest = line.partition(" ")
        if number == str(mount_id):
            # optional fields come before the separator, so the type is counted from there
            return rest.partition(" - ")[2].partition(" ")[0] or None
    return None


def kind_in_mount_output(output: str, path: str) -> str | None:
    """The type of the mount that holds `path`, from what BSD's `mount` prints."""
    best, kind = "", None
    for line in output.splitlines():
        match = _BSD_MOUNT.fullmatch(line)
        if match is None:
            continue
        point = match["point"]
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # a later mount on the same point covers it
            best, kind = point, match["kind"]
    return kind


def _nearest_existing(path: Path) -> Path:
    path = path.resolve()
    return next((each for each in (path, *path.parents) if each.exists()), Path("/"))


def _linux_kind(path: Path) -> str | None:
    """By the mount number of an open descriptor: no guessing from prefixes of paths."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = Path(f"/proc/self/fdinfo/{fd}").read_text("ascii")
        finally:
            os.close(fd)
        mountinfo = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    match = re.search(r"^mnt_id:\s*(\d+)$", status, re.MULTILINE)
    return kind_in_mountinfo(mountinfo, int(match[1])) if match is not None else None
