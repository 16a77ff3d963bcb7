"""The lock between writing processes; two locks in one process stand for two processes."""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tidegate.metastore.errors import MetastoreUnavailable
from tidegate.metastore.writelock import WriteLock


def is_taken(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_who_lets_go_does_not_overtake_who_waits(tmp_path: Path) -> None:
    mine, theirs = WriteLock(str(tmp_path)), WriteLock(str(tmp_path))
    order: list[str] = []

    def wait() -> None:
        with theirs:
            order.append("theirs")

    for _ in range(20):
        with mine:
            order.append("mine")
            waiting = threading.Thread(target=wait)
            waiting.start()
            while not is_taken(tmp_path / "write.turn"):
                pass
        mine.acquire()
        order.append("mine again")
        mine.release()
        waiting.join()
    assert order == ["mine", "theirs", "mine again"] * 20
    mine.close()
    theirs.close()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; from tidegate.metastore.writelock import WriteLock\n"
        "lock = WriteLock(sys.argv[1]); lock.acquire(); print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_taken(tmp_path / "write.lock")
        holder.kill()
    lock = WriteLock(str(tmp_path))
    with lock:
        assert is_taken(tmp_path / "write.lock")
    assert not is_taken(tmp_path / "write.lock")
    lock.close()


def test_its_files_are_private(tmp_path: Path) -> None:
    WriteLock(str(tmp_path)).close()
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "write.lock": 0o600,
        "write.turn": 0o600,
    }


def test_a_directory_that_is_not_there_is_said_to_be_unavailable(tmp_path: Path) -> None:
    with pytest.raises(MetastoreUnavailable, match="No such file"):
        WriteLock(str(tmp_path / "absent"))
