"""The data directory: made, checked and held before anything in it is touched.

DATA/
  server.lock     held by the server that runs here; names its process
  metadata.db     SQLite, with -wal and -shm beside it (unless the database is PostgreSQL)
  write.lock      taken around each SQLite commit, by servers and commands alike
  blobs/ uploads/ quarantine/ cache/ fills/   see storage/layout.py
  tls/            authority and certificate of --tls-listen
  audit.log
"""

import fcntl
import os
from pathlib import Path

from tidegate.cli.refusal import Refused
from tidegate.storage.mounts import is_network


def prepare(data: Path, *, sqlite: bool) -> None:
    """Make the directory if need be; `Refused` when it cannot hold a registry's data."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = data / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Refused(f"data directory {data}: {error.strerror}") from error
    if sqlite and is_network(data):
        raise Refused(
            f"data directory {data} is on a network file system, where SQLite loses data: "
            "use a local disk, or --database postgresql://…"
        )


def hold(data: Path) -> int:
    """Take the server's lock for as long as this process and its children live.

    Returns the descriptor that holds it; `Refused` names the server that has it.
    """
    descriptor = os.open(data / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise Refused(
            f"data directory {data} is in use by another server (process {holder or 'unknown'})"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
