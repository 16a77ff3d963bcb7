import pytest

from tidegate.remote.errors import RemoteError
from tidegate.remote.http.redirects import Hop, Origin, next_hop, origin_of, shown

HEADERS = (
    ("Authorization", "Bearer secret"),
    ("X-Registry-Request-URL", "https://own/v2/a"),
    ("Range", "bytes=5-"),
    ("Accept", "*/*"),
)
HERE = Hop("https://registry.example/v2/app/blobs/x", HEADERS)
HARMLESS = (("Range", "bytes=5-"), ("Accept", "*/*"))


def follow(location: str, *, insecure: bool = False, hop: Hop = HERE) -> Hop:
    url, headers = next_hop(hop, location, insecure=insecure)
    return Hop(url, tuple(headers))


@pytest.mark.parametrize(
    "location", ["/other", "https://registry.example/other", "https://REGISTRY.example:443/other"]
)
def test_everything_goes_along_to_the_same_server(location: str) -> None:
    assert follow(location).headers == HEADERS


@pytest.mark.parametrize(
    "location",
    [
        "https://cdn.example/other",
        "https://registry.example:8443/other",
        "//registry.example.evil.example/other",
        "https://sub.registry.example/other",
        "https://registry.example./other",
    ],
)
def test_what_says_who_asks_goes_to_no_other_server(location: str) -> None:
    assert follow(location).headers == HARMLESS


def test_what_was_left_out_stays_out_on_the_way_back() -> None:
    there = follow("https://cdn.example/other")
    assert follow(HERE.url, hop=there).headers == HARMLESS


def test_tls_is_left_only_by_who_does_not_ask_for_it() -> None:
    with pytest.raises(RemoteError, match="without"):
        follow("http://cdn.example/other")
    with pytest.raises(RemoteError, match="without"):
        follow("http://registry.example/other")
    assert follow("http://registry.example/other", insecure=True).headers == HARMLESS
    plain = Hop("http://registry.example/a", HEADERS)
    assert follow("https://registry.example/a", hop=plain).headers == HARMLESS


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://registry.example/x",
        "gopher://registry.example/x",
        "https://ann:secret@registry.example/x",
        "https://@registry.example/x",
        "https://registry.example:0/x",
        "https://registry.example:99999/x",
        "https://registry.example:x/x",
        "https://registry.example/\r\nHost: evil",
        "https://registry.example/a b",
        "https://registry.example/ü",
        "https://[::1/x",
        "https://registry.example/" + "a" * 9000,
    ],
)
def test_what_is_no_address_of_a_server_is_not_followed(location: str) -> None:
    with pytest.raises(RemoteError) as caught:
        follow(location)
    assert "secret" not in str(caught.value)


def test_a_server_is_scheme_host_and_port() -> None:
    assert origin_of("https://Host.example/x") == Origin("https", "host.example", 443)
    assert origin_of("http://[::1]:8080") == Origin("http", "::1", 8080)
    assert str(origin_of("http://[::1]:8080/x")) == "http://[::1]:8080"
    assert str(origin_of("https://h:443/x")) == "https://h"
    assert str(origin_of("https://h:80/x")) == "https://h:80"


@pytest.mark.parametrize("text", ["", "https://", "https:///x", "registry.example", "//host/x"])
def test_what_names_no_server_is_no_address(text: str) -> None:
    with pytest.raises(RemoteError):
        origin_of(text)


def test_what_a_query_holds_is_not_shown() -> None:
    assert shown("https://cdn.example/blob?X-Amz-Signature=secret") == "https://cdn.example/blob"
