"""What annotations of a namespace say about the registry that its project mirrors."""

import pytest

from tidegate.auth.projects.proxy import (
    DEFAULT,
    FRESHNESS,
    HOST,
    STALE_LIMIT,
    Proxy,
    canonical,
    proxy_faults,
    proxy_of,
)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("Quay.IO", "quay.io"),
        ("localhost", "localhost"),
        ("registry:5000", "registry:5000"),
        ("10.0.0.7:5000", "10.0.0.7:5000"),
    ],
)
def test_a_host_is_read_in_the_one_way_that_it_is_compared(text: str, host: str) -> None:
    assert proxy_of({HOST: text}) == Proxy(host)
    assert canonical(text) == host
    assert proxy_faults({HOST: text}) == []


@pytest.mark.parametrize(
    "text",
    ["", "docker", "https://docker.io", "docker.io/library", "docker.io:", "a b", "docker.io@x",
     "[::1]:5000", "docker.io\n", "../x", "docker.io:5000/x"],
)  # fmt: skip
def test_what_is_no_host_is_refused_and_mirrors_nothing(text: str) -> None:
    assert proxy_of({HOST: text}) is None
    (fault,) = proxy_faults({HOST: text})
    assert "host of a registry" in str(fault)


def test_durations_and_the_default_are_read_with_it() -> None:
    annotations = {HOST: "quay.io", FRESHNESS: "1m30s", STALE_LIMIT: "1d12h", DEFAULT: "true"}
    assert proxy_of(annotations) == Proxy("quay.io", 90.0, 129_600.0, is_default=True)
    assert proxy_faults(annotations) == []
    assert proxy_of({HOST: "quay.io", FRESHNESS: "0s"}) == Proxy("quay.io", 0.0)


@pytest.mark.parametrize("text", ["", "5", "-1s", "1s1m", "1.5h", "soon", "999999999s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    for name in (FRESHNESS, STALE_LIMIT):
        (fault,) = proxy_faults({HOST: "quay.io", name: text})
        assert "duration" in str(fault)


def test_other_annotations_are_nobodys_business_here() -> None:
    assert proxy_of({"openshift.io/description": "docker.io"}) is None
    assert proxy_faults({"openshift.io/description": "docker.io"}) == []
    assert len(proxy_faults({DEFAULT: "yes"})) == 1
