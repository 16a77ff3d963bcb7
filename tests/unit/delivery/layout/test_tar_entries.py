"""What an archive may hold, and what is refused before a byte of it is believed."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from tidegate.delivery.layout import tar_entries
from tidegate.delivery.layout.errors import LayoutInvalid
from tidegate.delivery.layout.tar_entries import TarEntry


def found(path: Path) -> list[TarEntry]:
    fd = os.open(path, os.O_RDONLY)
    try:
        return list(tar_entries.entries(fd, "x.tar"))
    finally:
        os.close(fd)


def archive(path: Path, *entries: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> Path:
    """A tar of these, each with as many bytes as it says."""
    with tarfile.open(path, "w", format=form) as tar:
        for each in entries:
            tar.addfile(each, io.BytesIO(b"x" * each.size) if each.isreg() else None)
    return path


def entry(name: str, size: int = 3, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    made.size = size if kind == tarfile.REGTYPE else 0
    made.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return made


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_files_are_found_where_their_bytes_lie_in_every_form_of_tar(
    tmp_path: Path, form: int
) -> None:
    path = archive(
        tmp_path / "a.tar",
        entry("blobs", kind=tarfile.DIRTYPE),
        entry("./blobs/one", 5),
        entry("two", 0),
        entry("three", 600),
        form=form,
    )
    assert [(each.name, each.size, each.is_whole) for each in found(path)] == [
        ("blobs/one", 5, True),
        ("two", 0, True),
        ("three", 600, True),
    ]
    content = path.read_bytes()
    assert all(content[e.offset : e.offset + e.size] == b"x" * e.size for e in found(path))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_names_too_long_for_a_header_are_read_from_the_one_before(
    tmp_path: Path, form: int
) -> None:
    long = "blobs/sha512/" + "a" * 128
    path = archive(tmp_path / "a.tar", entry(long), entry("short"), form=form)
    assert [each.name for each in found(path)] == [long, "short"]


@pytest.mark.parametrize("name", ["../escape", "blobs/../../escape", "/etc/passwd", "a/.."])
def test_a_name_that_leads_out_of_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LayoutInvalid, match="leads out of the archive"):
        found(archive(tmp_path / "a.tar", entry(name)))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(LayoutInvalid, match="is a link or a device"):
        found(archive(tmp_path / "a.tar", entry("index.json", kind=kind)))


def test_sparse_files_are_refused_in_both_of_their_forms(tmp_path: Path) -> None:
    with pytest.raises(LayoutInvalid, match="sparse"):
        found(archive(tmp_path / "a.tar", entry("x", kind=tarfile.GNUTYPE_SPARSE)))
    sparse = entry("x")
    sparse.pax_headers = {"GNU.sparse.major": "1"}
    with pytest.raises(LayoutInvalid, match="sparse"):
        found(archive(tmp_path / "b.tar", sparse))


def test_an_extended_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    large = entry("x")
    large.pax_headers = {"comment": "x" * 100_000}
    with pytest.raises(LayoutInvalid, match="extended header"):
        found(archive(tmp_path / "a.tar", large))


@pytest.mark.parametrize("record", [b"99 path=x\n", b"x path=y\n", b"9 path=x", b"8 patx\n\n"])
def test_an_extended_header_that_makes_no_sense_is_refused(tmp_path: Path, record: bytes) -> None:
    extended = tarfile.TarInfo("x")
    extended.type, extended.size = tarfile.XHDTYPE, len(record)
    path = tmp_path / "a.tar"
    path.write_bytes(extended.tobuf() + record.ljust(512, b"\0") + entry("y").tobuf() + bytes(1024))
    with pytest.raises(LayoutInvalid, match="extended header"):
        found(path)


@pytest.mark.parametrize("size", [-5, 2**62])
def test_a_size_that_no_file_has_is_told_or_refused(tmp_path: Path, size: int) -> None:
    lying = entry("blobs/x")
    lying.size = size
    path = tmp_path / "a.tar"
    path.write_bytes(lying.tobuf(tarfile.GNU_FORMAT) + b"x" * 512)
    if size < 0:
        with pytest.raises(LayoutInvalid, match="-5 bytes"):
            found(path)
    else:
        assert [each.is_whole for each in found(path)] == [False]


def test_what_is_no_tar_archive_is_refused_and_an_empty_file_has_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"\x1f\x8b" + b"gzip" * 300)
    with pytest.raises(LayoutInvalid, match="no tar archive"):
        found(path)
    path.write_bytes(b"")
    assert found(path) == []


def test_a_header_is_the_same_whoever_writes_it_and_python_reads_it(tmp_path: Path) -> None:
    name = "blobs/sha512/" + "b" * 128
    assert tar_entries.header(name, 9) == tar_entries.header(name, 9)
    path = tmp_path / "a.tar"
    huge = 10 * 2**30  # more than the oldest headers can say
    path.write_bytes(tar_entries.header(name, 3) + b"abc".ljust(512, b"\0"))
    with path.open("ab") as file:
        file.write(tar_entries.header("blobs/huge", huge))
        file.truncate(file.tell() + huge)
    with path.open("ab") as file:
        file.write(tar_entries.END)
    assert [(each.name, each.size) for each in found(path)] == [(name, 3), ("blobs/huge", huge)]
    with tarfile.open(path) as tar:
        assert [(each.name, each.size) for each in tar] == [(name, 3), ("blobs/huge", huge)]
