"""The challenge's realm leads where the client came from, behind a proxy too, and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.raw_http import exchange, request
from tests.server import Server, serving

FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "registry.example.com"}
STANDARD = {"Forwarded": "for=192.0.2.1;proto=https;host=registry.example.com"}


@contextmanager
def told(directories: pytest.TempPathFactory, *arguments: str) -> Iterator[Server]:
    """A server that was started with these arguments."""
    data = directories.mktemp("server") / "data"
    with serving(Server(data, workers=1, arguments=arguments)) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that believes proxies on this machine."""
    with told(tmp_path_factory, "--trusted-proxy", "127.0.0.0/8") as server:
        yield server


@pytest.fixture(scope="module")
def wary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose proxies are on another machine."""
    with told(tmp_path_factory, "--trusted-proxy", "192.0.2.0/24") as server:
        yield server


def realm(server: Server, headers: dict[str, str], host: str = "internal:5000") -> str:
    """The realm of the challenge to a request with these headers."""
    answer = exchange(server.address, request("GET", "/v2/", headers, host=host))
    assert answer is not None
    assert answer.status == 401, answer
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="')
    return challenge.removeprefix('Bearer realm="').partition('"')[0]


@pytest.mark.parametrize("headers", [FORWARDED, STANDARD])
def test_a_trusted_proxy_names_the_address_that_clients_use(
    trusting: Server, headers: dict[str, str]
) -> None:
    assert realm(trusting, headers) == "https://registry.example.com/openshift/token"


@pytest.mark.parametrize("headers", [FORWARDED, STANDARD])
def test_forwarded_headers_of_a_stranger_change_nothing(
    wary: Server, headers: dict[str, str]
) -> None:
    assert realm(wary, headers) == "http://internal:5000/openshift/token"


def test_a_public_url_beats_whatever_a_request_says(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    words = ("--public-url", "https://hub.example.com", "--trusted-proxy", "127.0.0.1/32")
    with told(tmp_path_factory, *words) as server:
        for headers in ({}, FORWARDED, STANDARD):
            assert realm(server, headers) == "https://hub.example.com/openshift/token"


@pytest.mark.parametrize(
    "host", ['evil"x', "a b", "a, b", "evil.example/path", "user@evil.example", "a\\b", "x" * 5000]
)
def test_a_host_that_is_none_is_never_echoed(trusting: Server, host: str) -> None:
    for headers, name in (({}, host), ({"X-Forwarded-Host": host}, "internal")):
        answer = exchange(trusting.address, request("GET", "/v2/", headers, host=name))
        assert answer is not None
        assert answer.status in (400, 401, 431)
        assert host not in answer.headers.get("www-authenticate", "")
