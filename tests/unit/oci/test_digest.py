import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.oci.digest import ALGORITHMS, Digest, hasher
from tidegate.oci.errors import DigestInvalid

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(content=st.binary(max_size=200))
def test_the_digest_of_content_parses_and_matches_it(algorithm: str, content: bytes) -> None:
    digest = Digest.of(content, algorithm)
    assert Digest.parse(digest) == digest
    assert digest.algorithm == algorithm
    assert digest.encoded == hashlib.new(algorithm, content).hexdigest()
    assert digest.matches(content)
    assert not digest.matches(content + b"x")


def test_the_empty_blob_has_its_well_known_digest() -> None:
    assert Digest.of(b"") == EMPTY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha512:" + "a" * 64,
        "md5:" + "a" * 32,
        "SHA256:" + "a" * 64,
        "sha256:" + "a" * 64 + "\n",
        "sha256:" + "\u0661" * 64,
        "sha256:../../../../etc/passwd" + "a" * 42,
    ],
)
def test_text_that_is_no_registered_digest_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid):
        Digest.parse(text)


@given(st.text(max_size=200))
def test_any_text_is_either_a_digest_as_written_or_refused(text: str) -> None:
    with suppress(DigestInvalid):
        assert Digest.parse(text) == text


def test_a_hasher_of_an_unregistered_algorithm_is_refused() -> None:
    with pytest.raises(DigestInvalid):
        hasher("md5")
    assert Digest.of(b"a", "sha512").hasher().name == "sha512"
