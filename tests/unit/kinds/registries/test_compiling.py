from typing import Any

import pytest

from tests.unit.kinds.registries.documents import (
    certificate,
    digest_mirrors,
    document,
    image,
    mirrors,
    source_policy,
    tag_mirrors,
)
from tidegate.apimachinery.store import Key
from tidegate.kinds.registries.compiling import InForce, compiled
from tidegate.kinds.registries.shown import shown
from tidegate.oci.pull_spec import PullSpec
from tidegate.remote.errors import RegistryBlocked
from tidegate.remote.location import Location
from tidegate.remote.rules import MirrorRule, RegistryRules


def of(*documents: tuple[Key, bytes], internal: str = "") -> InForce:
    return compiled(dict(documents), internal)


def asked(rules: RegistryRules, reference: str, *, by_digest: bool = True) -> list[str]:
    """The repositories that are asked for a reference, in order; `blocked` for none."""
    location = Location.of(PullSpec.parse(reference))
    try:
        return [str(each.location) for each in rules.sources(location, by_digest=by_digest)]
    except RegistryBlocked:
        return ["blocked"]


def ignored(found: InForce) -> list[tuple[str, str]]:
    return [(each.object, each.entry) for each in found.ignored]


def test_nothing_said_is_nothing_restricted() -> None:
    found = of()
    assert found == InForce()
    assert asked(found.rules, "quay.io/a/b") == ["quay.io/a/b"]


def test_an_image_of_another_name_says_nothing() -> None:
    sources = {"registrySources": {"blockedRegistries": ["quay.io"]}}
    assert of(document("images", "other", spec=sources)) == InForce()


@pytest.mark.parametrize(
    ("blocked", "reference", "is_blocked"),
    [
        ("quay.io", "quay.io/a/b", True),
        ("quay.io", "QUAY.io/a/b", True),
        ("quay.io", "quay.io:443/a/b", True),
        ("quay.io", "quay.io:80/a/b", True),
        ("quay.io", "quay.io:8443/a/b", False),
        ("quay.io", "notquay.io/a/b", False),
        ("quay.io/org", "quay.io/org/b", True),
        ("quay.io/org", "quay.io/organisation/b", False),
        ("quay.io/org", "quay.io:443/org/b", True),
        ("quay.io/org/app", "quay.io/org/app", True),
        ("quay.io/org/app", "quay.io/org/apple", False),
        ("*.example.com", "a.b.example.com/x/y", True),
        ("*.example.com", "a.example.com:5000/x/y", True),
        ("*.example.com", "example.com/x/y", False),
        ("docker.io", "nginx", True),
        ("docker.io", "registry-1.docker.io/library/nginx", True),
        ("index.docker.io", "a/b", True),
        ("host:5000", "host:5000/x", True),
        ("host:5000", "host:5001/x", False),
    ],
)
def test_a_blocked_registry_is_asked_under_none_of_its_names(
    blocked: str, reference: str, is_blocked: bool
) -> None:
    rules = of(image(registrySources={"blockedRegistries": [blocked]})).rules
    assert (asked(rules, reference) == ["blocked"]) is is_blocked


def test_with_allowed_registries_nothing_else_is_asked() -> None:
    rules = of(image(registrySources={"allowedRegistries": ["quay.io/org", "*.local"]})).rules
    assert asked(rules, "quay.io/org/app") != ["blocked"]
    assert asked(rules, "mirror.local:5000/app") != ["blocked"]
    assert asked(rules, "quay.io/other/app") == ["blocked"]
    assert asked(rules, "nginx") == ["blocked"]


def test_the_mirror_of_an_allowed_registry_need_not_be_allowed_itself() -> None:
    rules = of(
        image(registrySources={"allowedRegistries": ["quay.io"]}),
        digest_mirrors("a", mirrors("quay.io", "mirror.local"), mirrors("gcr.io", "quay.io/gcr")),
    ).rules
    assert asked(rules, "quay.io/a/b") == ["mirror.local/a/b", "quay.io/a/b"]
    assert asked(rules, "gcr.io/a/b") == ["blocked"]


def test_a_blocked_mirror_is_not_asked() -> None:
    rules = of(
        image(registrySources={"blockedRegistries": ["bad.local"]}),
        digest_mirrors("a", mirrors("quay.io", "bad.local", "good.local")),
    ).rules
    assert asked(rules, "quay.io/a/b") == ["good.local/a/b", "quay.io/a/b"]


def test_allowed_registries_that_all_mean_nothing_allow_nothing() -> None:
    found = of(image(registrySources={"allowedRegistries": ["https://quay.io"]}))
    assert asked(found.rules, "quay.io/a/b") == ["blocked"]
    assert ignored(found) == [("images/cluster", "https://quay.io")]


def test_an_image_that_cannot_be_read_lets_nothing_through() -> None:
    found = of(image(registrySources="all of them"))
    assert asked(found.rules, "quay.io/a/b") == ["blocked"]
    assert found.imports.fault_of(PullSpec.parse("quay.io/a/b"))
    assert ignored(found) == [("images/cluster", "")]


def test_who_may_be_asked_without_tls() -> None:
    rules = of(
        image(registrySources={"insecureRegistries": ["dev.local:5000", "*.lab"]}),
        digest_mirrors("a", mirrors("quay.io", "dev.local:5000/quay")),
    ).rules
    sources = rules.sources(Location("quay.io", "a/b"), by_digest=True)
    assert [(str(each.location), each.insecure) for each in sources] == [
        ("dev.local:5000/quay/a/b", True),
        ("quay.io/a/b", False),
    ]
    assert rules.is_insecure(Location("x.lab", "a"))


def test_mirrors_for_digests_are_for_no_tags_and_those_for_tags_come_after_them() -> None:
    rules = of(
        digest_mirrors("d", mirrors("quay.io/org", "one.local/org")),
        tag_mirrors("t", mirrors("quay.io/org", "two.local/org")),
        source_policy("p", mirrors("gcr.io/x", "three.local/x")),
    ).rules
    assert asked(rules, "quay.io/org/app") == [
        "one.local/org/app",
        "two.local/org/app",
        "quay.io/org/app",
    ]
    assert asked(rules, "quay.io/org/app", by_digest=False) == [
        "two.local/org/app",
        "quay.io/org/app",
    ]
    assert asked(rules, "gcr.io/x") == ["three.local/x", "gcr.io/x"]
    assert asked(rules, "gcr.io/x", by_digest=False) == ["gcr.io/x"]


def test_of_several_sources_the_most_specific_counts_alone() -> None:
    rules = of(
        digest_mirrors("a", mirrors("quay.io", "all.local"), mirrors("quay.io/org", "org.local")),
        digest_mirrors("b", mirrors("quay.io/org/app", "app.local/app")),
    ).rules
    assert asked(rules, "quay.io/x/y") == ["all.local/x/y", "quay.io/x/y"]
    assert asked(rules, "quay.io/org/other") == ["org.local/other", "quay.io/org/other"]
    assert asked(rules, "quay.io/org/app") == ["app.local/app", "quay.io/org/app"]


def test_a_wildcard_source_keeps_the_path() -> None:
    rules = of(digest_mirrors("a", mirrors("*.redhat.io", "mirror.local/redhat"))).rules
    assert asked(rules, "registry.redhat.io/product/repo")[0] == "mirror.local/redhat/product/repo"


def test_sets_that_name_one_source_are_joined() -> None:
    rules = of(
        digest_mirrors("b", mirrors("quay.io", "c", "d", "e")),
        digest_mirrors("a", mirrors("quay.io", "a", "b", "c")),
        source_policy("z", mirrors("quay.io", "e", "f")),
    ).rules
    assert rules.digest_mirrors == (MirrorRule("quay.io", ("a", "b", "c", "d", "e", "f")),)


def test_a_source_that_is_never_contacted_is_contacted_for_no_reference() -> None:
    never = "NeverContactSource"
    rules = of(digest_mirrors("a", mirrors("quay.io", "mirror.local", policy=never))).rules
    assert asked(rules, "quay.io/a/b") == ["mirror.local/a/b"]
    assert asked(rules, "quay.io/a/b", by_digest=False) == ["blocked"]  # it has mirrors for digests
    assert asked(rules, "quay.io:443/a/b", by_digest=False) == ["blocked"]
    assert asked(rules, "quay.io:80/a/b", by_digest=False) == ["blocked"]
    tagged = of(tag_mirrors("a", mirrors("quay.io", "mirror.local", policy=never))).rules
    for by_digest in (True, False):
        assert asked(tagged, "quay.io/a/b", by_digest=by_digest) == ["mirror.local/a/b"]
    both = of(
        digest_mirrors("a", mirrors("quay.io", "mirror.local", policy=never)),
        tag_mirrors("a", mirrors("quay.io", "mirror.local", policy="AllowContactingSource")),
    ).rules
    assert asked(both, "quay.io/a/b", by_digest=False) == ["mirror.local/a/b"]


def test_without_a_mirror_the_policy_for_the_source_says_nothing() -> None:
    for places in ((), ("quay.io",)):
        set_ = digest_mirrors("a", mirrors("quay.io", *places, policy="NeverContactSource"))
        assert asked(of(set_).rules, "quay.io/a/b") == ["quay.io/a/b"]


def test_a_blocked_source_may_be_had_from_its_mirror() -> None:
    rules = of(
        image(registrySources={"blockedRegistries": ["quay.io"]}),
        digest_mirrors("a", mirrors("quay.io", "mirror.local")),
    ).rules
    assert asked(rules, "quay.io/a/b") == ["mirror.local/a/b"]
    assert asked(rules, "quay.io/a/b", by_digest=False) == ["blocked"]


def test_what_is_bad_takes_nothing_else_down() -> None:
    found = of(
        image(registrySources={"blockedRegistries": ["a:b:c", "gcr.io"]}),
        digest_mirrors(
            "mixed",
            mirrors("https://quay.io", "x.local"),
            mirrors("", "y.local"),
            mirrors("quay.io", "bad mirror", "good.local"),
        ),
        document("imagetagmirrorsets", "broken", spec={"imageTagMirrors": "none"}),
        source_policy("old", mirrors("*", "z.local"), mirrors("ghcr.io", "ghcr.local")),
    )
    assert asked(found.rules, "gcr.io/a/b") == ["blocked"]
    assert asked(found.rules, "quay.io/a/b") == ["good.local/a/b", "quay.io/a/b"]
    assert asked(found.rules, "ghcr.io/a/b") == ["ghcr.local/a/b", "ghcr.io/a/b"]
    assert sorted(ignored(found)) == [
        ("imagecontentsourcepolicies/old", "*"),
        ("imagedigestmirrorsets/mixed", ""),
        ("imagedigestmirrorsets/mixed", "bad mirror"),
        ("imagedigestmirrorsets/mixed", "https://quay.io"),
        ("images/cluster", "a:b:c"),
        ("imagetagmirrorsets/broken", ""),
    ]
    assert all(each.reason for each in found.ignored)


CA, OTHER_CA = certificate(), certificate("Other Authority")


def config_map(**data: str) -> tuple[Key, bytes]:
    return document("configmaps", "user-ca", data=data)


TRUSTING = image(additionalTrustedCA={"name": "user-ca"})


def test_certificates_are_believed_for_the_hosts_that_are_named() -> None:
    found = of(TRUSTING, config_map(**{"quay.local": CA, "Dev.local..5000": CA + OTHER_CA}))
    assert found.rules.authority_of("quay.local", 443) == CA
    assert found.rules.authority_of("dev.local", 5000) == CA + OTHER_CA
    assert found.rules.authority_of("dev.local", 443) == ""
    assert [(each.registry, each.subject, each.expires) for each in shown(found).authorities] == [
        ("dev.local:5000", "CN=Test Authority", "2040-12-31T00:00:00Z"),
        ("dev.local:5000", "CN=Other Authority", "2040-12-31T00:00:00Z"),
        ("quay.local", "CN=Test Authority", "2040-12-31T00:00:00Z"),
    ]


def test_a_bad_certificate_is_told_and_the_others_are_believed() -> None:
    broken = CA.replace("M", "!", 3)
    found = of(TRUSTING, config_map(**{"a.local": broken, "-b": CA, "c.local": CA, "d": "text"}))
    assert dict(found.rules.authorities) == {"c.local": CA}
    assert ignored(found) == [("configmaps/user-ca", each) for each in ("-b", "a.local", "d")]


def test_a_config_map_that_is_not_there_is_told() -> None:
    found = of(TRUSTING)
    assert ignored(found) == [("configmaps/user-ca", "")]
    other, body = config_map(a=CA)
    assert ignored(of(TRUSTING, (other._replace(namespace="shop"), body))) == ignored(found)


def test_the_list_for_imports_is_compiled_with_our_own_registry() -> None:
    entries: list[dict[str, Any]] = [
        {"domainName": "quay.io"},
        {"domainName": "dev.local", "insecure": True},
        {"domainName": "quay.io"},
        {"domainName": "a:b:c"},
        {},
    ]
    found = of(image(allowedRegistriesForImport=entries), internal="registry.svc:5000")
    assert found.imports.hosts() == ["registry.svc:5000", "quay.io:443", "dev.local:80"]
    assert ignored(found) == [("images/cluster", "a:b:c"), ("images/cluster", "")]


def test_a_list_for_imports_of_bad_entries_allows_nothing_but_our_own() -> None:
    found = of(image(allowedRegistriesForImport=[{"domainName": "a:b:c"}]), internal="own:5000")
    assert found.imports.fault("quay.io", "443")
    assert found.imports.fault("own", "5000") == ""


def test_mode_and_hosts() -> None:
    found = of(
        image(
            imageStreamImportMode="PreserveOriginal",
            externalRegistryHostnames=["images.example.com", "https://x", "b.example.com:8443"],
        )
    )
    assert found.import_mode == "PreserveOriginal"
    assert found.external == ("images.example.com", "b.example.com:8443")
    assert of(image(imageStreamImportMode="Other")).import_mode == "Legacy"
