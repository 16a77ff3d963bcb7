import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestInvalid, NameInvalid, TagInvalid
from tidegate.oci.name import NAME_LIMIT, RepositoryName, Tag, parse_reference

SPECIFICATION = re.compile(
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
)
"""`<name>` of the distribution specification: every name accepted here must also be one there."""


@pytest.mark.parametrize("name", ["a/b", "shop/web-front.v2_x", "0/1", "a-b/c", "x" * 63 + "/y"])
def test_a_project_and_a_stream_make_a_repository(name: str) -> None:
    repository = RepositoryName.parse(name)
    assert f"{repository.project}/{repository.stream}" == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("busybox", "1 components instead of two"),
        ("a/b/c", "3 components instead of two"),
        ("A/b", "no project name"),
        ("a_b/c", "no project name"),
        ("x" * 64 + "/y", "no project name"),
        ("-a/b", "no project name"),
        ("a/B", "no stream name"),
        ("a/b__c", "no stream name"),
        ("a/..", "no stream name"),
        ("../b", "no project name"),
        ("a/b\n", "no stream name"),
        ("a/b\x00", "no stream name"),
        ("a/", "no stream name"),
        ("/b", "no project name"),
        ("a/" + "b" * NAME_LIMIT, "characters"),
    ],
)
def test_another_name_is_refused_with_a_sentence_that_says_why(name: str, hint: str) -> None:
    with pytest.raises(NameInvalid, match=hint):
        RepositoryName.parse(name)


@pytest.mark.parametrize(
    ("name", "flat"),
    [
        ("hub/library/nginx", "hub/library.nginx"),
        ("hub/a/b/c", "hub/a.b.c"),
        ("hub/some--org/x__y", "hub/some-org.x_y"),
        ("hub/a---b", "hub/a-b"),
        ("shop/web", "shop/web"),
    ],
)
def test_a_name_of_any_depth_is_flattened_to_one_of_two_parts(name: str, flat: str) -> None:
    assert RepositoryName.flattened(name) == flat


@pytest.mark.parametrize(
    "name", ["web", "hub/", "hub//x", "hub/x/", "hub/X/y", "hub/a/../b", "hub/a._b", "a_b/c/d",
             "hub/" + "x/" * 200 + "y"]
)  # fmt: skip
def test_what_no_registry_would_call_a_repository_is_not_flattened(name: str) -> None:
    with pytest.raises(NameInvalid):
        RepositoryName.flattened(name)


@given(st.from_regex(r"[a-z0-9./_-]{1,40}", fullmatch=True))
def test_every_accepted_name_is_one_of_the_specification(text: str) -> None:
    try:
        name = RepositoryName.parse(text)
    except NameInvalid:
        return
    assert SPECIFICATION.fullmatch(name)
    assert name.count("/") == 1


@given(st.text(max_size=300))
def test_any_text_is_either_a_name_as_written_or_refused(text: str) -> None:
    with suppress(NameInvalid):
        assert RepositoryName.parse(text) == text


@pytest.mark.parametrize("text", ["latest", "v1.0", "_", "A-b_c.d", "x" * 128, "sha256-abc"])
def test_a_tag_is_read_as_written(text: str) -> None:
    assert Tag.parse(text) == text
    assert parse_reference(text) == text


@pytest.mark.parametrize("text", ["", ".a", "-a", "x" * 129, "a:b", "a/b", "a b", "ä", "a\n", ".."])
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(TagInvalid):
        Tag.parse(text)


def test_a_reference_with_a_colon_is_a_digest_or_nothing() -> None:
    digest = Digest.of(b"x", "sha512")
    assert isinstance(parse_reference(digest), Digest)
    with pytest.raises(DigestInvalid):
        parse_reference("latest:1")
