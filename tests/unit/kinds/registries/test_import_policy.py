"""Expected answers are those of the original's own tests of its list of registries."""

import pytest

from tidegate.kinds.registries.import_policy import Allowed, ImportPolicy, allowed_fault, matches
from tidegate.oci.pull_spec import PullSpec


def policy(*entries: str, insecure: bool = False, internal: str = "") -> ImportPolicy:
    allowed = tuple(Allowed.of(each, insecure=insecure) for each in entries)
    return ImportPolicy(allowed, restricted=True, internal=internal)


def host(found: ImportPolicy, name: str, *, insecure: bool = False) -> str:
    return found.fault_of(PullSpec(registry=name), insecure=insecure)


def spec(found: ImportPolicy, text: str, *, insecure: bool = False) -> str:
    return found.fault_of(PullSpec.parse(text), insecure=insecure)


LISTED = ("localhost:5000", "docker.io", "example.com:*", "registry.com:80")
SECURE_LIST = '"localhost:5000", "docker.io:443", "example.com:*", "registry.com:80"'
LONG = (*LISTED, "*.foo.com", "*domain.ltd")


def test_without_a_list_everything_may_be_imported() -> None:
    assert spec(ImportPolicy(internal="registry:5000"), "evil.example.com:99/a/b") == ""
    assert ImportPolicy().hosts() == ["*:*"]


def test_a_list_whose_entries_all_mean_nothing_allows_nothing() -> None:
    assert host(policy(), "example.com") == (
        'registry "example.com" not allowed by empty whitelist'
    )
    assert spec(policy(), "busybox") == (
        'registry "registry-1.docker.io:443" not allowed by empty whitelist'
    )


@pytest.mark.parametrize("name", ["docker.io", "example.com", "localhost:443", "localhost"])
def test_a_star_is_every_host_at_the_port_of_https(name: str) -> None:
    assert host(policy("*"), name) == ""


@pytest.mark.parametrize("name", ["localhost:5000", "localhost:80"])
def test_a_star_is_no_other_port(name: str) -> None:
    assert host(policy("*"), name) == f'registry "{name}" not allowed by whitelist: "*:443"'


def test_any_host_and_port() -> None:
    for name in ("localhost:5000", "docker.io", "localhost:443", "example.com"):
        for insecure in (False, True):
            assert host(policy("*:*", insecure=insecure), name, insecure=insecure) == ""


@pytest.mark.parametrize(
    "name",
    [
        "example.com:5000",
        "example.com:80",
        "example.com",
        "localhost:5000",
        "registry-1.docker.io:443",
        "registry.com:80",
        "docker.io",
        "index.docker.io",
        "EXAMPLE.com",
    ],
)
def test_what_is_listed_may_be_imported(name: str) -> None:
    assert host(policy(*LISTED), name) == ""


@pytest.mark.parametrize(
    "name", ["localhost:443", "registry.com:443", "registry.com", "registry.example.com"]
)
def test_what_is_not_listed_may_not(name: str) -> None:
    assert host(policy(*LISTED), name) == (
        f'registry "{name}" not allowed by whitelist: {SECURE_LIST}'
    )


def test_docker_hub_has_three_names_and_needs_none() -> None:
    for text in ("busybox", "docker.io/library/busybox", "index.docker.io/a/b", "a/b:1"):
        assert spec(policy("docker.io"), text) == ""
        assert spec(policy("quay.io"), text) != ""


@pytest.mark.parametrize(
    "text",
    [
        "a.b.c.d.foo.com:80/repo",
        "domain.ltd/a/b",
        "example.com/c/d",
        "index.docker.io/bar",
        "localhost:5000/repo",
        "my.domain.ltd:80/foo:latest",
        "my.domain.ltd/bar:1.3.4",
        "mydomain.ltd/my/repo/sitory",
        "registry.com/repo",
        "registry.foo.com/123",
        "repository:latest",
        "nm/repo:latest",
    ],
)
def test_an_insecure_import_may_use_either_port(text: str) -> None:
    assert spec(policy(*LONG, insecure=True), text, insecure=True) == ""


@pytest.mark.parametrize("name", ["foo.com", "my.domain.ltd:443", "registry.com:443"])
def test_a_long_list_is_told_in_part(name: str) -> None:
    assert host(policy(*LONG, insecure=True), name, insecure=True) == (
        f'registry "{name}" not allowed by whitelist: "localhost:5000", "docker.io:80", '
        '"example.com:*", "registry.com:80", and 2 more ...'
    )


def test_our_own_registry_may_always_be_named_and_is_told_first() -> None:
    found = policy("quay.io", internal="registry.svc:5000")
    assert spec(found, "registry.svc:5000/shop/web") == ""
    assert spec(found, "gcr.io/a/b") == (
        'registry "gcr.io" not allowed by whitelist: "registry.svc:5000", "quay.io:443"'
    )


def test_repositories_that_are_known_stay_allowed_whatever_their_tag() -> None:
    found = policy("quay.io").knowing(["gcr.io/a/b:1", "nginx", "not a pull spec!"])
    assert spec(found, "gcr.io/a/b@sha256:" + "a" * 64) == ""
    assert spec(found, "docker.io/library/nginx:2") == ""
    assert spec(found, "gcr.io/a/c:1") != ""
    assert spec(found, "gcr.io:443/a/b:1") != ""


def test_an_import_is_refused_in_the_words_that_clients_print() -> None:
    assert policy("quay.io").import_fault(PullSpec.parse("gcr.io/a/b:1")) == (
        'importing images from registry "gcr.io:443" is forbidden: registry "gcr.io:443" not '
        'allowed by whitelist: "quay.io:443"'
    )
    assert policy("docker.io").import_fault(PullSpec.parse("nginx")) == ""
    insecure = policy("gcr.io", insecure=True)
    assert insecure.import_fault(PullSpec.parse("gcr.io/a/b"), insecure=True) == ""
    assert "gcr.io:443" in insecure.import_fault(PullSpec.parse("gcr.io/a/b"))


@pytest.mark.parametrize(
    ("text", "glob", "expected"),
    [
        ("", "", True),
        ("a", "", False),
        ("", "*", True),
        ("abc", "a?c", True),
        ("abc", "a?", False),
        ("registry.example.com", "*.example.com", True),
        ("example.com", "*.example.com", False),
        ("aXbXc", "*X*c", True),
        ("aXbXd", "*X*c", False),
        ("a[b]", "a[b]", True),
        ("ab", "a[b]", False),
    ],
)
def test_a_glob_knows_stars_and_question_marks(text: str, glob: str, expected: bool) -> None:
    assert matches(text, glob) is expected


def test_a_hostile_glob_costs_no_more_than_the_product() -> None:
    assert not matches("a" * 255, "*a" * 127 + "b")


@pytest.mark.parametrize(
    "entry", ["a:b:c", "https://quay.io", "quay.io/org", "a b", "a\n", "a" * 257]
)
def test_an_entry_that_could_match_nothing_is_told(entry: str) -> None:
    assert allowed_fault(entry)


@pytest.mark.parametrize("entry", ["quay.io", "*.example.com:*", "host-??:50*"])
def test_an_entry_may_have_wildcards(entry: str) -> None:
    assert allowed_fault(entry) == ""
