"""Expectations are those of Kubernetes' documentation of RBAC and of its `rbac/v1` API."""

import tracemalloc

import pytest

from tests.unit.auth.rbac.documents import path_rule, rule
from tidegate.apimachinery.authorizer import Attributes
from tidegate.auth.rbac.kinds import PolicyRule
from tidegate.auth.rbac.rules import (
    RuleTable,
    broken_down,
    compacted,
    covers,
    described,
    named_as,
    question,
    uncovered,
)


def asks(verb: str, resource: str, name: str = "", group: str = "") -> Attributes:
    return Attributes(verb, resource, "shop", name, group)


@pytest.mark.parametrize(
    ("rules", "asked", "allowed"),
    [
        # verbs
        (rule("get", "pods"), asks("get", "pods"), True),
        (rule("get", "pods"), asks("list", "pods"), False),
        (rule("get,list", "pods"), asks("list", "pods"), True),
        (rule("*", "pods"), asks("deletecollection", "pods"), True),
        (rule("*", "pods"), asks("impersonate", "pods"), True),
        (rule("GET", "pods"), asks("get", "pods"), False),
        # API groups
        (rule("get", "pods"), asks("get", "pods", group="apps"), False),
        (rule("get", "pods", "apps"), asks("get", "pods"), False),
        (rule("get", "pods", "*"), asks("get", "pods"), True),
        (rule("get", "pods", "*"), asks("get", "pods", group="apps"), True),
        (rule("get", "imagestreams", "'',apps"), asks("get", "imagestreams", group="apps"), True),
        # resources and subresources
        (rule("get", "pods"), asks("get", "pods/log"), False),
        (rule("get", "pods/log"), asks("get", "pods/log"), True),
        (rule("get", "pods/log"), asks("get", "pods"), False),
        (rule("get", "*"), asks("get", "pods"), True),
        (rule("get", "*"), asks("get", "pods/log"), True),
        (rule("get", "*/log"), asks("get", "pods/log"), True),
        (rule("get", "*/log"), asks("get", "pods"), False),
        (rule("get", "*/log"), asks("get", "pods/status"), False),
        (rule("get", "pods/*"), asks("get", "pods/log"), False),
        (rule("update", "*/scale"), asks("update", "deployments/scale"), True),
        # names
        (rule("get", "pods", names="web"), asks("get", "pods", "web"), True),
        (rule("get", "pods", names="web"), asks("get", "pods", "db"), False),
        (rule("get", "pods", names="web,db"), asks("get", "pods", "db"), True),
        (rule("*", "pods", names="web"), asks("list", "pods"), False),
        (rule("*", "pods", names="web"), asks("watch", "pods"), False),
        (rule("*", "pods", names="web"), asks("create", "pods"), False),
        (rule("*", "pods", names="web"), asks("deletecollection", "pods"), False),
        (rule("*", "pods", names="web"), asks("list", "pods", "web"), True),
        (rule("get", "pods", names="*"), asks("get", "pods", "web"), False),
        (rule("get", "pods", names="web"), asks("get", "pods/log", "web"), False),
        (rule("get", "pods/log", names="web"), asks("get", "pods/log", "web"), True),
        # a rule on resources says nothing of paths, nor the other way
        (rule("*", "*", "*"), Attributes("get", path="/metrics"), False),
        (path_rule("*", "*"), asks("get", "pods"), False),
        # paths
        (path_rule("get", "/healthz"), Attributes("get", path="/healthz"), True),
        (path_rule("get", "/healthz"), Attributes("get", path="/healthz/ready"), False),
        (path_rule("get", "/healthz"), Attributes("post", path="/healthz"), False),
        (path_rule("get", "/api/*"), Attributes("get", path="/api/v1"), True),
        (path_rule("get", "/api/*"), Attributes("get", path="/api/v1/namespaces"), True),
        (path_rule("get", "/api/*"), Attributes("get", path="/api"), False),
        (path_rule("get", "/api/*"), Attributes("get", path="/api/"), True),
        (path_rule("get", "/api*"), Attributes("get", path="/apis"), True),
        (path_rule("get", "/*/v1"), Attributes("get", path="/api/v1"), False),
        (path_rule("*", "*"), Attributes("delete", path="/anything"), True),
        (path_rule("get", "/"), Attributes("get", path="/"), True),
        (path_rule("get", "/"), Attributes("get", path="/version"), False),
        # what OpenShift's registry asks: the subresource within the resource
        (
            rule("get", "imagestreams/layers", "'',image.openshift.io"),
            Attributes("get", "imagestreams/layers", "shop", "web"),
            True,
        ),
        (
            rule("get", "imagestreams", "image.openshift.io"),
            Attributes("get", "imagestreams/layers", "shop", "web"),
            False,
        ),
        (
            rule("update", "imagestreams/layers", "image.openshift.io", "web"),
            Attributes("update", "imagestreams/layers", "shop", "db"),
            False,
        ),
    ],
)
def test_a_rule_allows_what_kubernetes_says(
    rules: PolicyRule, asked: Attributes, allowed: bool
) -> None:
    assert RuleTable([rules]).allows(question(asked)) is allowed


def test_rules_are_a_union_of_whole_rules_and_do_not_mix() -> None:
    table = RuleTable([rule("get", "pods"), rule("list", "secrets", "apps", "web")])
    assert table.allows(question(asks("get", "pods")))
    assert not table.allows(question(asks("list", "pods")))
    assert not table.allows(question(asks("get", "secrets", "web", "apps")))
    assert table.allows(question(asks("list", "secrets", "web", "apps")))


def test_no_rules_allow_nothing() -> None:
    assert not RuleTable([]).allows(question(asks("get", "pods")))
    assert not RuleTable([]).allows(question(Attributes("get", path="/")))
    assert not RuleTable([PolicyRule(verbs=["*"])]).allows(question(asks("get", "pods")))


EVERYTHING = (rule("*", "*", "*"), path_rule("*", "*"))


@pytest.mark.parametrize(
    ("owned", "wanted", "covered"),
    [
        ((), (), True),
        ((), (rule("get", "pods"),), False),
        ((rule("get", "pods"),), (rule("get", "pods"),), True),
        ((rule("get,list", "pods"),), (rule("list", "pods"),), True),
        ((rule("get", "pods"), rule("list", "pods")), (rule("get,list", "pods"),), True),
        ((rule("get", "pods"), rule("get", "secrets")), (rule("get", "pods,secrets"),), True),
        ((rule("get", "pods"),), (rule("get", "pods", "apps"),), False),
        ((rule("get", "pods", "*"),), (rule("get", "pods", "apps"),), True),
        ((rule("get", "pods", "'',apps"),), (rule("get", "pods", "*"),), False),
        (EVERYTHING, (rule("*", "*", "*"), path_rule("*", "*")), True),
        # stars are only covered by stars
        ((rule("get,list,watch", "pods"),), (rule("*", "pods"),), False),
        ((rule("get", "pods,secrets"),), (rule("get", "*"),), False),
        ((rule("*", "*", "*"),), (path_rule("get", "/metrics"),), False),
        # subresources
        ((rule("get", "pods"),), (rule("get", "pods/log"),), False),
        ((rule("get", "*"),), (rule("get", "pods/log"),), True),
        ((rule("get", "*/log"),), (rule("get", "pods/log"),), True),
        ((rule("get", "*/log"),), (rule("get", "*/log"),), True),
        ((rule("get", "pods/log"),), (rule("get", "*/log"),), False),
        # names
        ((rule("get", "pods"),), (rule("get", "pods", names="web"),), True),
        ((rule("get", "pods", names="web"),), (rule("get", "pods"),), False),
        ((rule("get", "pods", names="web,db"),), (rule("get", "pods", names="db"),), True),
        ((rule("get", "pods", names="web"),), (rule("get", "pods", names="web,db"),), False),
        (
            (rule("get", "pods", names="web"), rule("get", "pods", names="db")),
            (rule("get", "pods", names="web,db"),),
            True,
        ),
        # paths
        ((path_rule("get", "/api/*"),), (path_rule("get", "/api/v1"),), True),
        ((path_rule("get", "/api/*"),), (path_rule("get", "/api/v1/*"),), True),
        ((path_rule("get", "/api/*"),), (path_rule("get", "/api"),), False),
        ((path_rule("get", "/api/v1"),), (path_rule("get", "/api/*"),), False),
        ((path_rule("get", "*"),), (path_rule("get", "/api,/apis"),), True),
        ((path_rule("get", "*"),), (path_rule("post", "/api"),), False),
    ],
)
def test_rules_cover_what_kubernetes_says(
    owned: tuple[PolicyRule, ...], wanted: tuple[PolicyRule, ...], covered: bool
) -> None:
    assert covers(owned, wanted) is covered


def test_what_is_not_covered_is_named_verb_by_verb() -> None:
    left = uncovered([rule("get", "pods")], [rule("get,list,watch", "pods,secrets")])
    assert [described(each) for each in compacted(left)] == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list" "watch"]}',
    ]


def test_only_rules_that_differ_by_verbs_are_joined() -> None:
    rules = [
        rule("get", "pods", names="web"),
        rule("get", "pods"),
        path_rule("get", "/api"),
        rule("list", "pods"),
    ]
    assert [described(each) for each in compacted(rules)] == [
        '{APIGroups:[""], Resources:["pods"], ResourceNames:["web"], Verbs:["get"]}',
        '{NonResourceURLs:["/api"], Verbs:["get"]}',
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
    ]


def test_a_rule_breaks_down_to_single_verbs_resources_and_names() -> None:
    parts = [described(each) for each in broken_down(rule("get,list", "pods", "'',apps", "a,b"))]
    assert len(parts) == 8
    assert parts[0] == '{APIGroups:[""], Resources:["pods"], ResourceNames:["a"], Verbs:["get"]}'
    assert [described(each) for each in broken_down(path_rule("get,post", "/a"))] == [
        '{NonResourceURLs:["/a"], Verbs:["get"]}',
        '{NonResourceURLs:["/a"], Verbs:["post"]}',
    ]


def test_a_rule_too_large_to_break_down_is_compiled_and_counts_as_not_covered() -> None:
    many = ",".join(f"r{each}" for each in range(3000))
    hostile = PolicyRule(many.split(","), many.split(","), many.split(","), many.split(","))
    table = RuleTable([hostile])
    assert table.allows(question(asks("r1", "r2", "r3", "r4")))
    assert uncovered([rule("get", "pods")], [hostile]) == [hostile]
    assert covers([hostile], [hostile])
    assert covers(EVERYTHING, [hostile])


def test_long_names_of_resources_are_not_kept() -> None:
    """Anybody may ask about a resource of a megabyte, as often as she likes."""
    tracemalloc.start()
    try:
        for number in range(20):
            assert named_as(f"{number}{'x' * 500_000}/y")[2] == "*/y"
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
