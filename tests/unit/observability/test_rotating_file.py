import multiprocessing
import stat
from pathlib import Path

from tidegate.observability.rotating_file import RotatingFile


def test_a_full_file_is_set_aside_and_the_oldest_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    file = RotatingFile(str(path), limit=10, keep=2)
    for batch in (b"aaaaaaaa\n", b"bbbbbbbb\n", b"cccccccc\n", b"dddddddd\n"):
        assert file.write(batch) == len(batch)
    file.close()
    assert path.read_bytes() == b"dddddddd\n"
    assert (tmp_path / "audit.log.1").read_bytes() == b"cccccccc\n"
    assert (tmp_path / "audit.log.2").read_bytes() == b"bbbbbbbb\n"
    assert not (tmp_path / "audit.log.3").exists()


def test_a_file_goes_on_where_an_earlier_process_ended(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    for batch in (b"one\n", b"two\n"):
        file = RotatingFile(str(path))
        file.write(batch)
        file.close()
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_batch_larger_than_the_limit_is_written_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    file = RotatingFile(str(path), limit=10)
    assert file.write(b"x" * 50) == 50
    file.close()
    assert not (tmp_path / "audit.log.1").exists()


def test_a_file_that_another_program_renamed_or_removed_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    file = RotatingFile(str(path))
    file.write(b"one\n")
    path.rename(tmp_path / "elsewhere")
    file.write(b"two\n")
    assert path.read_bytes() == b"two\n"
    path.unlink()
    file.write(b"three\n")
    file.close()
    assert path.read_bytes() == b"three\n"


def test_others_may_not_read_it(tmp_path: Path) -> None:
    RotatingFile(str(tmp_path / "audit.log")).close()
    assert stat.S_IMODE((tmp_path / "audit.log").stat().st_mode) & 0o027 == 0


def _append(path: str, name: str) -> None:
    file = RotatingFile(path, limit=1000, keep=100)
    for number in range(500):
        file.write(f"{name} {number}\n".encode())
    file.close()


def test_processes_that_rotate_at_the_same_time_lose_and_tear_no_line(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    path = str(tmp_path / "audit.log")
    writers = [context.Process(target=_append, args=(path, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    files = list(tmp_path.iterdir())
    lines = sorted(line for each in files for line in each.read_text().splitlines())
    assert len(files) > 3
    assert lines == sorted(f"{name} {number}" for name in "abc" for number in range(500))
