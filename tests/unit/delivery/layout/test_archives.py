"""Archives: written straight into the tar, gone on with after a kill, read without extracting."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.images import small_image, write_layout
from tidegate.delivery.layout.archive import LayoutArchive, open_archive
from tidegate.delivery.layout.archive_writer import ArchiveWriter, make_archive
from tidegate.delivery.layout.errors import LayoutBusy, LayoutError, LayoutInvalid, LayoutMissing
from tidegate.delivery.layout.files import LayoutFiles
from tidegate.oci.digest import Digest
from tidegate.oci.manifest import Descriptor
from tidegate.oci.mediatype import OCI_MANIFEST

ONE, TWO = b"one" * 300, b"second"


def receive(writer: ArchiveWriter, digest: Digest, size: int, content: bytes) -> None:
    incoming = writer.receive(digest, size)
    incoming.write(content[incoming.offset :])
    incoming.publish()
    incoming.close()


def put(writer: ArchiveWriter, content: bytes) -> Digest:
    digest = Digest.of(content)
    receive(writer, digest, len(content), content)
    return digest


def read(files: LayoutFiles, digest: Digest) -> bytes | None:
    found = files.open(digest)
    if found is None:
        return None
    try:
        return os.pread(found.fd, found.size, found.offset)
    finally:
        os.close(found.fd)


def killed(writer: ArchiveWriter) -> None:
    """Let go of the file as the kernel does for a killed process."""
    writer.close()


def tarred(path: Path, directory: Path) -> Path:
    with tarfile.open(path, "w") as tar:
        tar.add(directory, arcname=".")
    return path


def written(path: Path) -> LayoutArchive:
    return open_archive(str(path))


def test_an_archive_appears_when_all_of_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    writer = make_archive(str(path))
    digest = put(writer, ONE)
    writer.name("web", Descriptor(OCI_MANIFEST, digest, len(ONE)), "quay.io/org/web:1")
    assert not path.exists()
    assert read(writer, digest) == ONE
    writer.finish()
    writer.close()
    assert [each.name for each in tmp_path.iterdir()] == ["a.tar"]
    archive = written(path)
    assert archive.index().names() == ["web"]
    assert read(archive, digest) == ONE
    archive.close()
    with tarfile.open(path) as tar:
        assert tar.getnames() == [
            "oci-layout",
            f"blobs/sha256/{digest.encoded}",
            "index.json",
        ]


def test_the_same_content_is_the_same_archive(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        writer = make_archive(str(tmp_path / name))
        put(writer, ONE)
        writer.finish()
        writer.close()
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_an_archive_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(LayoutError, match="is there already"):
        make_archive(str(tmp_path / "a.tar"))


def test_a_killed_run_goes_on_in_the_middle_of_a_blob(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tar")
    writer = make_archive(path)
    first = put(writer, TWO)
    incoming = writer.receive(Digest.of(ONE), len(ONE))
    incoming.write(ONE[:600])
    killed(writer)
    again = make_archive(path)
    assert read(again, first) == TWO
    assert read(again, Digest.of(ONE)) is None
    assert again.receive(Digest.of(ONE), len(ONE)).offset == 600
    killed(again)
    third = make_archive(path)
    put(third, ONE)
    third.finish()
    third.close()
    archive = written(tmp_path / "a.tar")
    assert read(archive, Digest.of(ONE)) == ONE
    archive.close()


def test_a_killed_run_that_goes_on_with_another_blob_drops_the_part(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tar")
    writer = make_archive(path)
    writer.receive(Digest.of(ONE), len(ONE)).write(ONE[:600])
    killed(writer)
    again = make_archive(path)
    second = put(again, TWO)
    again.finish()
    again.close()
    archive = written(tmp_path / "a.tar")
    assert (read(archive, second), read(archive, Digest.of(ONE))) == (TWO, None)
    archive.close()


@pytest.mark.parametrize("lost", [0, 1, 511, 512, 700, 1100])
def test_whatever_the_kill_left_at_the_end_is_cut_off_or_gone_on_with(
    tmp_path: Path, lost: int
) -> None:
    path = str(tmp_path / "a.tar")
    writer = make_archive(path)
    put(writer, TWO)
    put(writer, ONE)
    killed(writer)
    partial = tmp_path / "a.tar.partial"
    os.truncate(partial, partial.stat().st_size - lost)
    again = make_archive(path)
    for content in (TWO, ONE):
        if read(again, Digest.of(content)) is None:
            put(again, content)
    again.finish()
    again.close()
    archive = written(tmp_path / "a.tar")
    assert (read(archive, Digest.of(ONE)), read(archive, Digest.of(TWO))) == (ONE, TWO)
    archive.close()


def test_bytes_that_a_power_cut_took_are_not_believed(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tar")
    writer = make_archive(path)
    first = put(writer, TWO)
    second = put(writer, ONE)
    found = writer.open(second)
    assert found is not None
    os.close(found.fd)
    killed(writer)
    with (tmp_path / "a.tar.partial").open("r+b") as file:
        file.seek(found.offset)
        file.write(bytes(100))
    again = make_archive(path)
    assert read(again, first) == TWO
    assert read(again, second) is None
    again.close()


def test_a_kill_between_the_index_and_the_name_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    writer = make_archive(str(path))
    first = put(writer, ONE)
    writer.finish()
    writer.close()
    path.rename(tmp_path / "a.tar.partial")
    again = make_archive(str(path))
    assert read(again, first) == ONE
    put(again, TWO)
    again.finish()
    again.close()
    with tarfile.open(path) as tar:
        assert tar.getnames().count("index.json") == 1


def test_one_process_at_a_time_writes_an_archive(tmp_path: Path) -> None:
    writer = make_archive(str(tmp_path / "a.tar"))
    with pytest.raises(LayoutBusy):
        make_archive(str(tmp_path / "a.tar"))
    writer.close()
    writer.close()


@pytest.mark.parametrize("content", [b"x" * 6, b"too much", b"less"])
def test_what_has_another_digest_or_length_is_not_kept(tmp_path: Path, content: bytes) -> None:
    writer = make_archive(str(tmp_path / "a.tar"))
    with pytest.raises(LayoutError, match="another digest"):
        receive(writer, Digest.of(TWO), len(TWO), content)
    assert read(writer, Digest.of(TWO)) is None
    assert put(writer, TWO) == Digest.of(TWO)
    writer.close()


def test_archives_of_other_programs_are_read(tmp_path: Path) -> None:
    image = small_image("theirs")
    archive = written(tarred(tmp_path / "a.tar", write_layout(image, tmp_path / "layout", "v1")))
    assert archive.index().names() == ["v1"]
    assert read(archive, Digest.parse(image.digest)) == image.manifest.data
    archive.close()


def test_what_is_no_archive_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LayoutMissing, match="no such file"):
        written(tmp_path / "none.tar")
    with pytest.raises(LayoutInvalid, match="is no file"):
        written(tmp_path)
    empty = tmp_path / "empty.tar"
    tarfile.open(empty, "w").close()
    with pytest.raises(LayoutInvalid, match="is no OCI archive"):
        written(empty)


def test_an_archive_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tarred(tmp_path / "a.tar", write_layout(small_image("x"), tmp_path / "layout"))
    with tarfile.open(path) as tar:
        last = max(tar.getmembers(), key=lambda each: each.offset_data)
    os.truncate(path, last.offset_data + 1)
    with pytest.raises(LayoutInvalid, match="cut off"):
        written(path)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ([("index.json", b"{}"), ("index.json", b"{}")], "two files"),
        ([("index.json", b" " * (4 * 2**20 + 1))], "more than"),
        ([("index.json", b"no json")], "not valid"),
        ([("oci-layout", b" " * 5000), ("index.json", b"{}")], "more than|two files"),
    ],
)
def test_hostile_archives_are_refused(
    tmp_path: Path, files: list[tuple[str, bytes]], why: str
) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        if files[0][0] != "oci-layout":
            files = [("oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode()), *files]
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(LayoutInvalid, match=why):
        written(path)


def test_a_blob_that_was_given_up_writes_no_more(tmp_path: Path) -> None:
    """Its thread may be on its way still when the next blob begins."""
    writer = make_archive(str(tmp_path / "a.tar"))
    late = writer.receive(Digest.of(ONE), len(ONE))
    late.write(ONE[:100])
    second = put(writer, TWO)
    with pytest.raises(LayoutError, match="another blob"):
        late.write(ONE[100:])
    with pytest.raises(LayoutError):
        late.publish()
    assert read(writer, second) == TWO
    writer.close()
