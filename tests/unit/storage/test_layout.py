import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestInvalid
from tidegate.storage import layout
from tidegate.storage.errors import PathRefused

EMPTY = Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def test_a_blob_lies_in_a_directory_named_by_its_first_two_digits() -> None:
    assert layout.blob_path(EMPTY) == f"blobs/sha256/e3/{EMPTY.encoded}"
    assert layout.quarantine_path(EMPTY) == f"quarantine/sha256/e3/{EMPTY.encoded}"


def test_both_algorithms_have_their_own_tree() -> None:
    digest = Digest.of(b"", "sha512")
    assert layout.blob_path(digest) == f"blobs/sha512/cf/{digest.encoded}"


def test_an_upload_is_named_by_its_session() -> None:
    assert layout.upload_path("0" * 32) == "uploads/" + "0" * 32


@pytest.mark.parametrize(
    "upload_id",
    ["", "0" * 31, "0" * 33, "A" * 32, "g" * 32, "../" + "0" * 29, "0" * 31 + "/", "0" * 32 + "\n",
     "\N{ARABIC-INDIC DIGIT ZERO}" * 32, "\0" * 32],
)  # fmt: skip
def test_what_is_no_upload_id_has_no_path(upload_id: str) -> None:
    with pytest.raises(PathRefused):
        layout.upload_path(upload_id)


@pytest.mark.parametrize(
    "text", ["sha256:../../../../etc/passwd", "sha256:" + "/" * 64, "sha256:" + "A" * 64, ""]
)
def test_text_that_was_never_parsed_as_a_digest_has_no_path(text: str) -> None:
    with pytest.raises(DigestInvalid):
        layout.blob_path(Digest(text))


@given(st.binary(max_size=8), st.sampled_from(["sha256", "sha512"]))
def test_a_path_leads_back_to_its_digest(content: bytes, algorithm: str) -> None:
    digest = Digest.of(content, algorithm)
    assert layout.blob_digest(layout.blob_path(digest)) == digest


@given(st.text())
def test_a_stray_file_is_no_blob_and_no_upload(name: str) -> None:
    assert layout.blob_digest("blobs/" + name) is None
    assert layout.upload_id("uploads/" + name) is None


def test_a_blob_in_the_wrong_directory_is_no_blob() -> None:
    assert layout.blob_digest(f"blobs/sha256/00/{EMPTY.encoded}") is None
    assert layout.blob_digest(f"blobs/sha256/{EMPTY.encoded}") is None


def test_a_path_leads_back_to_its_upload() -> None:
    assert layout.upload_id(layout.upload_path("0123456789abcdef" * 2)) == "0123456789abcdef" * 2


def test_a_copy_lies_apart_and_leads_back_to_its_digest() -> None:
    assert layout.cache_path(EMPTY) == f"cache/sha256/e3/{EMPTY.encoded}"
    assert layout.cached_digest(layout.cache_path(EMPTY)) == EMPTY
    assert layout.cached_digest(layout.blob_path(EMPTY)) is None


def test_a_copy_grows_under_the_name_of_its_digest_and_its_source() -> None:
    path = layout.fill_path(EMPTY, "quay.io")
    assert path.startswith(f"fills/sha256/{EMPTY.encoded}-")
    assert path != layout.fill_path(EMPTY, "docker.io")
    with pytest.raises(DigestInvalid):
        layout.fill_path(Digest("sha256:../x"), "quay.io")
