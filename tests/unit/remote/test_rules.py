"""Which registries may be asked, in which order."""

import pytest

from tidegate.remote.errors import RegistryBlocked
from tidegate.remote.location import Location
from tidegate.remote.rules import MIRROR_LIMIT, MirrorRule, RegistryRules

APP = Location("quay.io", "org/app")


def asked(rules: RegistryRules, location: Location = APP, *, by_digest: bool = True) -> list[str]:
    return [str(each.location) for each in rules.sources(location, by_digest=by_digest)]


def mirrors(*rules: MirrorRule) -> RegistryRules:
    return RegistryRules(digest_mirrors=rules)


@pytest.mark.parametrize(
    ("entry", "location"),
    [
        ("quay.io", APP),
        ("QUAY.io", APP),
        (" quay.io/ ", APP),
        ("quay.io:443", APP),
        ("quay.io", Location("quay.io:443", "org/app")),
        ("quay.io/org", APP),
        ("quay.io/org/app", APP),
        ("*.quay.io", Location("cdn.quay.io", "x")),
        ("*.quay.io", Location("a.cdn.quay.io:5000", "x")),
        ("docker.io", Location("docker.io", "library/nginx")),
        ("index.docker.io/library", Location("docker.io", "library/nginx")),
        ("docker.io", Location("registry-1.docker.io:443", "library/nginx")),
        ("host:5000", Location("host:5000", "x")),
    ],
)
def test_an_entry_covers_its_host_and_what_is_under_its_path(
    entry: str, location: Location
) -> None:
    with pytest.raises(RegistryBlocked, match=f"registry {location.host} blocked"):
        asked(RegistryRules(blocked=(entry,)), location)
    assert RegistryRules(blocked=(entry,)).is_blocked(location)
    assert asked(RegistryRules(allowed=(entry,)), location) == [str(location)]
    assert RegistryRules(insecure=(entry,)).sources(location, by_digest=True)[0].insecure


@pytest.mark.parametrize(
    ("entry", "location"),
    [
        ("quay.io", Location("quay.io:5000", "org/app")),
        ("quay.io:5000", APP),
        ("quay.io/or", APP),
        ("quay.io/org/app/more", APP),
        ("*.quay.io", APP),
        ("*.quay.io", Location("evilquay.io", "x")),
        ("io", APP),
        ("", APP),
        ("*", APP),
    ],
)
def test_and_nothing_else(entry: str, location: Location) -> None:
    assert asked(RegistryRules(blocked=(entry,)), location) == [str(location)]
    with pytest.raises(RegistryBlocked):
        asked(RegistryRules(allowed=(entry,)), location)
    assert RegistryRules(allowed=(entry,)).is_blocked(location)


@pytest.mark.parametrize(
    ("source", "mirror", "mirrored"),
    [
        ("quay.io", "mirror.example", "mirror.example/org/app"),
        ("quay.io", "mirror.example/quay/", "mirror.example/quay/org/app"),
        ("quay.io/org", "mirror.example/x", "mirror.example/x/app"),
        ("quay.io/org/app", "mirror.example/x/y", "mirror.example/x/y"),
        ("quay.io/org", "docker.io/copies", "docker.io/copies/app"),
    ],
)
def test_a_mirror_takes_the_place_of_what_it_mirrors(
    source: str, mirror: str, mirrored: str
) -> None:
    assert asked(mirrors(MirrorRule(source, (mirror,)))) == [mirrored, "quay.io/org/app"]


def test_a_wildcard_is_replaced_with_the_host_that_it_stood_for() -> None:
    rules = mirrors(MirrorRule("*.quay.io", ("mirror.example/x",)))
    location = Location("cdn.quay.io", "org/app")
    assert asked(rules, location) == ["mirror.example/x/org/app", "cdn.quay.io/org/app"]


def test_the_most_specific_source_counts_alone() -> None:
    general = MirrorRule("quay.io", ("general.example",), contact_source=False)
    special = MirrorRule("quay.io/org", ("one.example/a", "two.example/b"))
    also = MirrorRule("quay.io/org", ("three.example/c", "one.example/a"))
    rules = mirrors(general, special, also)
    assert asked(rules) == [
        "one.example/a/app",
        "two.example/b/app",
        "three.example/c/app",
        "quay.io/org/app",
    ]
    assert asked(rules, Location("quay.io", "x")) == ["general.example/x"]


def test_tags_and_digests_have_mirrors_of_their_own() -> None:
    rules = RegistryRules(
        digest_mirrors=(MirrorRule("quay.io", ("digests.example",)),),
        tag_mirrors=(MirrorRule("quay.io", ("tags.example",)),),
    )
    assert asked(rules, by_digest=False) == ["tags.example/org/app", "quay.io/org/app"]
    assert asked(rules)[0] == "digests.example/org/app"


def test_blocked_mirrors_are_left_out_and_a_blocked_registry_may_be_mirrored() -> None:
    rule = MirrorRule("quay.io", ("bad.example", "good.example"))
    rules = RegistryRules(digest_mirrors=(rule,), blocked=("bad.example", "quay.io"))
    assert asked(rules) == ["good.example/org/app"]
    with pytest.raises(RegistryBlocked):
        asked(rules, by_digest=False)


def test_no_request_tries_mirrors_without_end() -> None:
    many = tuple(f"mirror{number}.example" for number in range(1000))
    found = asked(mirrors(MirrorRule("quay.io", many)))
    assert len(found) == MIRROR_LIMIT + 1
    assert found[-1] == "quay.io/org/app"


def test_authorities_are_found_by_host_and_port() -> None:
    rules = RegistryRules(
        authorities={"h:5000": "port", "h": "host", "docker.io": "hub", "[": "nobody"}
    )
    assert rules.authority_of("h", 5000) == "port"
    assert rules.authority_of("h", 443) == "host"
    assert rules.authority_of("registry-1.docker.io", 443) == "hub"
    assert rules.authority_of("other", 443) == ""
