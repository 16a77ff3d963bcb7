"""A layout in a directory: made, found, added to, and safe against what somebody put in it."""

import json
import os
from pathlib import Path

import pytest

from tidegate.delivery.layout import index_json
from tidegate.delivery.layout.directory import LayoutDirectory, make_directory, open_directory
from tidegate.delivery.layout.errors import LayoutBusy, LayoutError, LayoutInvalid, LayoutMissing
from tidegate.oci.digest import Digest
from tidegate.oci.manifest import Descriptor
from tidegate.oci.mediatype import OCI_MANIFEST

CONTENT = b"some bytes of a layer"
DIGEST = Digest.of(CONTENT)


def put(layout: LayoutDirectory, content: bytes, digest: Digest | None = None) -> None:
    incoming = layout.receive(digest or Digest.of(content), len(content))
    try:
        incoming.write(content[incoming.offset :])
        incoming.publish()
    finally:
        incoming.close()


def read(layout: LayoutDirectory, digest: Digest) -> bytes | None:
    found = layout.open(digest)
    if found is None:
        return None
    try:
        return os.pread(found.fd, found.size, found.offset)
    finally:
        os.close(found.fd)


def test_a_new_layout_is_valid_at_once_and_an_existing_one_is_gone_on_with(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "layout")
    layout = make_directory(path)
    assert layout.index().entries == ()
    assert json.loads(Path(path, "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    put(layout, CONTENT)
    assert read(make_directory(path), DIGEST) == CONTENT
    assert read(open_directory(path), Digest.of(b"other")) is None


def test_a_directory_with_other_files_is_not_made_a_layout(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(LayoutInvalid, match="has other files in it"):
        make_directory(str(tmp_path))
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(LayoutMissing, match="is no OCI image layout"):
        open_directory(str(tmp_path))


@pytest.mark.parametrize(
    "mark", ["{}", "no json", '{"imageLayoutVersion":"2.0.0"}', "x" * 5000, "[]"]
)
def test_a_mark_of_no_known_layout_is_refused(tmp_path: Path, mark: str) -> None:
    (tmp_path / "oci-layout").write_text(mark)
    with pytest.raises(LayoutInvalid):
        open_directory(str(tmp_path))


def test_a_name_moves_and_what_others_wrote_of_other_names_stays(tmp_path: Path) -> None:
    layout = make_directory(str(tmp_path))
    other = {
        "mediaType": OCI_MANIFEST,
        "digest": str(Digest.of(b"o")),
        "size": 1,
        "platform": {"os": "linux", "architecture": "amd64"},
        "annotations": {"org.opencontainers.image.ref.name": "other", "mine": "yes"},
    }
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [other]}))
    for content in (b"1", b"2"):
        layout.name("web", Descriptor(OCI_MANIFEST, Digest.of(content), 1), "quay.io/org/web:1")
    written = json.loads((tmp_path / "index.json").read_bytes())["manifests"]
    assert written[0] == other
    assert [each["digest"] for each in written[1:]] == [Digest.of(b"2")]
    assert written[1]["annotations"] == {
        "org.opencontainers.image.ref.name": "web",
        "io.containerd.image.name": "quay.io/org/web:1",
    }
    index = layout.index()
    assert index.names() == ["other", "web"]
    for name in ("web", "quay.io/org/web:1", Digest.of(b"2")):
        found = index.find(name)
        assert found is not None
        assert found.descriptor.digest == Digest.of(b"2")


def test_a_part_that_a_killed_process_left_is_gone_on_with(tmp_path: Path) -> None:
    layout = make_directory(str(tmp_path))
    incoming = layout.receive(DIGEST, len(CONTENT))
    incoming.write(CONTENT[:7])
    incoming.close()
    assert read(layout, DIGEST) is None
    again = layout.receive(DIGEST, len(CONTENT))
    assert again.offset == 7
    again.write(CONTENT[7:])
    again.publish()
    again.close()
    assert read(layout, DIGEST) == CONTENT
    layout.finish()
    assert not (tmp_path / "ingest").exists()


def test_what_has_another_digest_is_not_kept_and_the_next_try_begins_anew(tmp_path: Path) -> None:
    layout = make_directory(str(tmp_path))
    with pytest.raises(LayoutError, match="another digest"):
        put(layout, b"x" * len(CONTENT), DIGEST)
    with pytest.raises(LayoutError, match="another digest"):
        put(layout, CONTENT[:-1], DIGEST)
    assert read(layout, DIGEST) is None
    assert layout.receive(DIGEST, len(CONTENT)).offset == 0


def test_a_part_longer_than_the_blob_is_begun_anew(tmp_path: Path) -> None:
    layout = make_directory(str(tmp_path))
    part = tmp_path / "ingest" / f"sha256-{DIGEST.encoded}"
    part.parent.mkdir()
    part.write_bytes(b"y" * 100)
    put(layout, CONTENT)
    assert read(layout, DIGEST) == CONTENT


def test_one_process_at_a_time_receives_a_blob(tmp_path: Path) -> None:
    layout = make_directory(str(tmp_path))
    incoming = layout.receive(DIGEST, len(CONTENT))
    with pytest.raises(LayoutBusy):
        layout.receive(DIGEST, len(CONTENT))
    incoming.close()


def test_links_pipes_and_directories_in_the_place_of_a_blob_are_not_read(tmp_path: Path) -> None:
    layout = make_directory(str(tmp_path / "layout"))
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    place = tmp_path / "layout" / "blobs" / "sha256" / DIGEST.encoded
    place.parent.mkdir(parents=True)
    place.symlink_to(secret)
    with pytest.raises(LayoutError):
        layout.open(DIGEST)
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(LayoutInvalid, match="is no file"):
        layout.open(DIGEST)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"schemaVersion":2,"manifests":[{"digest":"../../x"}]}',
        b'{"schemaVersion":2,"manifests":{}}',
        b" " * (4 * 2**20 + 1),
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    layout = make_directory(str(tmp_path))
    (tmp_path / "index.json").write_bytes(content)
    with pytest.raises(LayoutInvalid):
        layout.index()


def test_a_disk_that_is_full_is_told_in_a_sentence(tmp_path: Path) -> None:
    layout = make_directory(str(tmp_path))
    (tmp_path / "ingest").write_text("a file where a directory should be")
    with pytest.raises(LayoutError, match=str(tmp_path)):
        layout.receive(DIGEST, 5)


def test_an_index_that_nobody_could_read_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = make_directory(str(tmp_path))
    descriptor = Descriptor(OCI_MANIFEST, DIGEST, 1)
    with pytest.raises(LayoutError, match="more than"):
        layout.name("x" * 5_000_000, descriptor, "")
    monkeypatch.setattr(index_json, "ENTRIES_LIMIT", 3)
    for name in "abc":
        layout.name(name, descriptor, "")
    with pytest.raises(LayoutError, match="at most 3 images"):
        layout.name("d", descriptor, "")
    layout.name("c", Descriptor(OCI_MANIFEST, Digest.of(b"other"), 1), "")
    assert layout.index().names() == ["a", "b", "c"]
