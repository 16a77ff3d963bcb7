"""Cases of library-go's pkg/image/reference: what it reads, writes and refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.oci.pull_spec import (
    PullSpec,
    PullSpecInvalid,
    digest_or_image_match,
    is_digest,
)

HEX = "3c87c572822935df60f0f5d3665bd376841a7fcfeb806b5f212de6a00e9a7b25"
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("bar", ("", "", "bar", "", "")),
        ("bar:tag", ("", "", "bar", "tag", "")),
        ("foo/bar", ("", "foo", "bar", "", "")),
        ("foo/bar:tag", ("", "foo", "bar", "tag", "")),
        (f"foo/bar@{DIGEST}", ("", "foo", "bar", "", DIGEST)),
        ("bar/foo/baz/biz", ("", "bar", "foo/baz/biz", "", "")),
        ("foo/bar/baz:tag", ("", "foo", "bar/baz", "tag", "")),
        ("foo.com/bar", ("foo.com", "", "bar", "", "")),
        ("foo:5000/bar", ("foo:5000", "", "bar", "", "")),
        ("localhost/bar/baz", ("localhost", "bar", "baz", "", "")),
        ("localhostess/bar", ("", "localhostess", "bar", "", "")),
        ("foo.com:5000/bar/baz/bop:tag", ("foo.com:5000", "bar", "baz/bop", "tag", "")),
        (f"foo.com/bar/baz:tag@{DIGEST}", ("foo.com", "bar", "baz", "tag", DIGEST)),
        ("HOST.com/a", ("HOST.com", "", "a", "", "")),
        ("a__b/c--d", ("", "a__b", "c--d", "", "")),
    ],
)
def test_a_registry_has_a_dot_or_a_port_or_is_localhost(
    text: str, parts: tuple[str, str, str, str, str]
) -> None:
    assert PullSpec.parse(text) == PullSpec(*parts)


@pytest.mark.parametrize("text", ["foo.bar", "localhost", "localhost:5000", "foo.bar:tag"])
def test_a_lone_word_with_a_dot_is_a_registry_without_a_name(text: str) -> None:
    assert PullSpec.parse(text) == PullSpec(registry=text)
    assert PullSpec.parse(text).exact() == ""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "repository name must have at least one component"),
        ("foo/Bar", "repository name must be lowercase"),
        ("Uppercase:tag", "repository name must be lowercase"),
        ("https://foo.com/bar", "invalid reference format"),
        ("foo bar", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("a@sha256:abc", "invalid reference format"),
        ("a\n", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("*", "invalid reference format"),
        ("a:" + "t" * 129, "invalid reference format"),
        ("a/" * 128 + "a", "repository name must not be more than 255 characters"),
        (f"a@sha256:{HEX}00", "invalid checksum digest length"),
        (f"a@md5:{HEX[:32]}", "unsupported digest algorithm"),
    ],
)
def test_what_is_none_is_refused_in_the_original_s_words(text: str, fault: str) -> None:
    with pytest.raises(PullSpecInvalid) as caught:
        PullSpec.parse(text)
    assert str(caught.value) == fault


def test_a_hostile_text_costs_no_more_than_its_length() -> None:
    for text in ("a" * 200_000 + "!", "a-" * 100_000, "a." * 100_000 + "!", "a/" * 100_000):
        with pytest.raises(PullSpecInvalid):
            PullSpec.parse(text)


def test_an_id_takes_the_place_of_the_tag() -> None:
    assert PullSpec("r.io", "n", "a", "t", DIGEST).exact() == f"r.io/n/a@{DIGEST}"
    assert PullSpec("", "n", "a", "t").exact() == "n/a:t"
    assert PullSpec("", "", "a", "t", "3c87c572").exact() == "a:3c87c572"
    assert PullSpec(name="a").exact() == "a"


def test_the_defaults_of_the_docker_client() -> None:
    assert PullSpec.parse("a").docker_client_defaults().exact() == "docker.io/library/a:latest"
    assert (
        PullSpec.parse("index.docker.io/a:1").docker_client_defaults().exact()
        == "index.docker.io/library/a:1"
    )
    assert PullSpec.parse("b/a").docker_client_defaults().exact() == "docker.io/b/a:latest"
    assert PullSpec.parse("r.io/a").docker_client_defaults() == PullSpec(
        "r.io", "", "a", "latest", ""
    )
    assert PullSpec.parse(f"a@{DIGEST}").docker_client_defaults().tag == "latest"


def test_the_daemon_s_form_has_no_defaults() -> None:
    for text in ("docker.io/library/a:latest", "index.docker.io/library/a"):
        assert PullSpec.parse(text).daemon_minimal().exact() == "docker.io/a"
    assert PullSpec.parse("registry-1.docker.io/b/a").daemon_minimal().exact() == "docker.io/b/a"
    assert PullSpec.parse("r.io/library/a:1").daemon_minimal().exact() == "r.io/library/a:1"
    assert PullSpec.parse("library/a").daemon_minimal().exact() == "library/a"


def test_the_most_specific_form_prefers_a_digest() -> None:
    assert PullSpec.parse(f"a:t@{DIGEST}").most_specific() == PullSpec(name="a", id=DIGEST)
    assert PullSpec.parse("a:t").most_specific() == PullSpec(name="a", tag="t")
    assert PullSpec(name="a", id="3c87").most_specific() == PullSpec(name="a", tag="3c87")
    both = PullSpec(name="a", tag="t", id="3c87")
    assert both.most_specific() == both


def test_parts_are_taken_off_and_put_on() -> None:
    spec = PullSpec.parse("r.io:5000/n/a:t")
    assert spec.repository().exact() == "r.io:5000/n/a"
    assert spec.repository_name() == "n/a"
    assert spec.with_tag("u").exact() == "r.io:5000/n/a:u"
    assert spec.with_id(DIGEST).exact() == f"r.io:5000/n/a@{DIGEST}"


def test_where_a_registry_answers() -> None:
    assert PullSpec.parse("a").registry_host_port() == ("registry-1.docker.io", "443")
    assert PullSpec.parse("docker.io/a").registry_host_port() == ("registry-1.docker.io", "443")
    assert PullSpec.parse("r.io/a").registry_host_port(insecure=True) == ("r.io", "80")
    assert PullSpec.parse("r.io:5/a").registry_host_port(insecure=True) == ("r.io", "5")


def test_digests_of_known_algorithms_only() -> None:
    assert is_digest(DIGEST)
    assert is_digest(f"sha256:{HEX.upper()}")
    assert is_digest("sha384:" + "0" * 96)
    assert is_digest("sha512:" + "0" * 128)
    assert not is_digest(HEX)
    assert not is_digest(DIGEST + "\n")


def test_an_image_is_named_by_how_its_digest_begins() -> None:
    assert digest_or_image_match(DIGEST, "3c87")
    assert digest_or_image_match(DIGEST, "sha256:3c87")
    assert digest_or_image_match(DIGEST, DIGEST)
    assert not digest_or_image_match(DIGEST, "c572")
    assert digest_or_image_match("old-name", "old")
    assert not digest_or_image_match("old-name", "name")


@given(
    st.from_regex(
        r"([a-z]{1,9}\.[a-z]{2}(:[0-9]{1,5})?/)?([a-z0-9]{1,9}/)?[a-z0-9]{1,9}", fullmatch=True
    ),
    st.from_regex(r"(:[a-z0-9_][a-z0-9._-]{0,20})?", fullmatch=True),
    st.sampled_from(["", f"@{DIGEST}"]),
)
def test_what_is_written_is_read_as_the_same(name: str, tag: str, image: str) -> None:
    spec = PullSpec.parse(name + tag + image)
    assert spec.exact() == name + (image or tag)
    assert PullSpec.parse(spec.exact()) == (spec.with_tag("") if image else spec)


@given(st.text(max_size=80))
def test_any_text_is_a_pull_spec_or_is_refused(text: str) -> None:
    try:
        spec = PullSpec.parse(text)
    except PullSpecInvalid:
        return
    assert spec.registry or spec.name
