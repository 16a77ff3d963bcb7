"""Texts are those of Kubernetes' `pkg/apis/rbac/validation`."""

import msgspec
import pytest

from tests.unit.auth.rbac.documents import (
    binding,
    cluster_binding,
    cluster_role,
    path_rule,
    role,
    rule,
)
from tidegate.auth.rbac.kinds import (
    GROUP,
    ClusterRole,
    ClusterRoleBinding,
    LabelSelector,
    LabelSelectorRequirement,
    PolicyRule,
    Role,
    RoleBinding,
    RoleRef,
    Subject,
)
from tidegate.auth.rbac.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)


def role_texts(new: Role) -> list[str]:
    return [str(each) for each in ROLES.strategy.validate(new, None)]


def cluster_role_texts(new: ClusterRole) -> list[str]:
    return [str(each) for each in CLUSTER_ROLES.strategy.validate(new, None)]


def binding_texts(new: RoleBinding, old: RoleBinding | None = None) -> list[str]:
    ROLE_BINDINGS.strategy.prepare(new, old)
    return [str(each) for each in ROLE_BINDINGS.strategy.validate(new, old)]


def cluster_binding_texts(new: ClusterRoleBinding) -> list[str]:
    CLUSTER_ROLE_BINDINGS.strategy.prepare(new, None)
    return [str(each) for each in CLUSTER_ROLE_BINDINGS.strategy.validate(new, None)]


def test_good_roles_and_bindings_have_no_fault() -> None:
    assert role_texts(role("shop", "r", rule("get", "pods"))) == []
    assert role_texts(role("shop", "empty")) == []
    good = cluster_role("c", rule("get", "pods,secrets", names="a"), path_rule("get", "/x/*"))
    assert cluster_role_texts(good) == []
    assert binding_texts(binding("shop", "b", "Role/r", "User/ann", "ServiceAccount/ci")) == []
    assert cluster_binding_texts(cluster_binding("b", "c", "Group/x")) == []


@pytest.mark.parametrize(
    ("bad", "texts"),
    [
        (
            PolicyRule(),
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                (
                    "rules[0].apiGroups: Required value: "
                    "resource rules must supply at least one api group"
                ),
                (
                    "rules[0].resources: Required value: "
                    "resource rules must supply at least one resource"
                ),
            ],
        ),
        (
            path_rule("get", "/x"),
            [
                (
                    'rules[0].nonResourceURLs: Invalid value: ["/x"]: '
                    "namespaced rules cannot apply to non-resource URLs"
                )
            ],
        ),
    ],
)
def test_a_bad_rule_is_refused_in_a_role(bad: PolicyRule, texts: list[str]) -> None:
    assert role_texts(role("shop", "r", bad)) == texts


def test_paths_do_not_go_with_resources() -> None:
    bad = PolicyRule(verbs=["get"], resources=["pods"], non_resource_urls=["/x"])
    assert cluster_role_texts(cluster_role("c", bad)) == [
        (
            'rules[0].nonResourceURLs: Invalid value: ["/x"]: '
            "rules cannot apply to both regular resources and non-resource URLs"
        )
    ]


def test_an_aggregation_rule_needs_selectors_that_can_be_read() -> None:
    bad = cluster_role("c", selects="x")
    assert bad.aggregation_rule is not None
    field = "aggregationRule.clusterRoleSelectors"
    bad.aggregation_rule.cluster_role_selectors = []
    assert cluster_role_texts(bad) == [
        (
            f"{field}: Required value: "
            "at least one clusterRoleSelector required if aggregationRule is non-nil"
        )
    ]
    conditions = [
        LabelSelectorRequirement(key="a", operator="In"),
        LabelSelectorRequirement(key="a", operator="Exists", values=["b"]),
        LabelSelectorRequirement(key="a", operator="Like", values=["_"]),
        LabelSelectorRequirement(key="-", operator="DoesNotExist"),
    ]
    bad.aggregation_rule.cluster_role_selectors = [
        LabelSelector(match_labels={"ok": "yes"}),
        LabelSelector(match_labels={"b/c/d": "-"}, match_expressions=conditions),
    ]
    texts = cluster_role_texts(bad)
    starts = [
        f'{field}[1].matchLabels: Invalid value: "b/c/d": ',
        f'{field}[1].matchLabels: Invalid value: "-": a valid label must be an empty string',
        f"{field}[1].matchExpressions[0].values: Required value: must be specified when `operator`",
        f"{field}[1].matchExpressions[1].values: Forbidden: may not be specified when `operator`",
        f'{field}[1].matchExpressions[2].operator: Invalid value: "Like": not a valid selector',
        f'{field}[1].matchExpressions[2].values[0]: Invalid value: "_": a valid label must',
        f'{field}[1].matchExpressions[3].key: Invalid value: "-": name part must consist of',
    ]
    assert [text[: len(start)] for text, start in zip(texts, starts, strict=True)] == starts


def test_a_binding_gets_the_groups_that_it_leaves_out() -> None:
    new = RoleBinding(
        role_ref=RoleRef(kind="Role", name="r"),
        subjects=[
            Subject(kind="User", name="ann"),
            Subject(kind="Group", name="staff"),
            Subject(kind="ServiceAccount", name="ci"),
        ],
    )
    ROLE_BINDINGS.strategy.prepare(new, None)
    assert new.role_ref.api_group == GROUP
    assert [each.api_group for each in new.subjects] == [GROUP, GROUP, ""]


@pytest.mark.parametrize(
    ("subject", "texts"),
    [
        (
            Subject(kind="User"),
            [
                "subjects[0].name: Required value",
                'subjects[0].name: Invalid value: "": user name cannot be empty',
            ],
        ),
        (
            Subject(kind="Group", name="x", api_group="user.openshift.io"),
            [
                (
                    'subjects[0].apiGroup: Unsupported value: "user.openshift.io": '
                    'supported values: "rbac.authorization.k8s.io"'
                )
            ],
        ),
        (
            Subject(kind="ServiceAccount", name="x", api_group=GROUP),
            [f'subjects[0].apiGroup: Unsupported value: "{GROUP}": supported values: ""'],
        ),
        (
            Subject(kind="Robot", name="x"),
            [
                (
                    'subjects[0].kind: Unsupported value: "Robot": '
                    'supported values: "ServiceAccount", "User", "Group"'
                )
            ],
        ),
    ],
)
def test_a_bad_subject_is_refused(subject: Subject, texts: list[str]) -> None:
    new = binding("shop", "b", "Role/r")
    new.subjects = [subject]
    assert binding_texts(new) == texts


def test_the_name_of_a_service_account_is_checked() -> None:
    (text,) = binding_texts(binding("shop", "b", "Role/r", "ServiceAccount/shop/A_b"))
    assert text.startswith('subjects[0].name: Invalid value: "A_b": a lowercase RFC 1123 subdomain')


def test_a_cluster_binding_names_the_namespace_of_accounts_and_binds_cluster_roles_only() -> None:
    assert cluster_binding_texts(cluster_binding("b", "c", "ServiceAccount/ci")) == [
        "subjects[0].namespace: Required value"
    ]
    new = cluster_binding("b", "c")
    new.role_ref.kind = "Role"
    assert cluster_binding_texts(new) == [
        'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"'
    ]


def test_a_role_reference_is_checked_and_cannot_be_changed() -> None:
    bad = RoleBinding(role_ref=RoleRef(api_group="apps", kind="Deployment"))
    assert binding_texts(bad) == [
        (
            'roleRef.apiGroup: Unsupported value: "apps": '
            'supported values: "rbac.authorization.k8s.io"'
        ),
        'roleRef.kind: Unsupported value: "Deployment": supported values: "Role", "ClusterRole"',
        "roleRef.name: Required value",
    ]
    odd = binding("shop", "b", "Role/a%b")
    assert binding_texts(odd) == ["roleRef.name: Invalid value: \"a%b\": may not contain '%'"]
    old, new = binding("shop", "b", "Role/r"), binding("shop", "b", "ClusterRole/r")
    assert binding_texts(new, old) == [
        (
            'roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole",'
            '"name":"r"}: cannot change roleRef'
        )
    ]


def test_names_only_have_to_fit_into_a_path() -> None:
    for resource in (ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS):
        fault = resource.strategy.name_fault
        assert fault is not None
        assert fault("system:image-puller") is None
        assert fault("Ann@example.com") is None
        assert fault("..") == "may not be '..'"
        assert fault("a/b") == "may not contain '/'"


def test_the_rules_of_an_aggregated_role_are_not_the_writers() -> None:
    prepare = CLUSTER_ROLES.strategy.prepare
    new = cluster_role("c", rule("*", "*", "*"), selects="x")
    prepare(new, None)
    assert new.rules == []
    old = cluster_role("c", rule("get", "pods"), selects="x")
    new = cluster_role("c", rule("*", "*", "*"), selects="x")
    prepare(new, old)
    assert new.rules == old.rules
    plain = cluster_role("c", rule("get", "secrets"))
    prepare(plain, old)
    assert plain.rules == [rule("get", "secrets")]


def test_wire_names_are_those_of_kubernetes() -> None:
    new = cluster_role("c", rule("get", "pods", names="a"), path_rule("get", "/x"), selects="x")
    values = msgspec.to_builtins(new)
    assert values["rules"] == [
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]},
        {"verbs": ["get"], "nonResourceURLs": ["/x"]},
    ]
    assert values["aggregationRule"] == {"clusterRoleSelectors": [{"matchLabels": {"x": "true"}}]}
    assert msgspec.to_builtins(binding("shop", "b", "Role/r", "ServiceAccount/shop/ci")) == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "b", "namespace": "shop", "uid": "shop/b"},
        "subjects": [{"kind": "ServiceAccount", "name": "ci", "namespace": "shop"}],
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "r"},
    }


def test_columns_are_those_of_kubectl() -> None:
    new = binding("shop", "b", "ClusterRole/view", "User/ann", "User/bob", "Group/staff")
    new.subjects += [Subject(kind="ServiceAccount", name="ci", namespace="shop")]
    new.metadata.creation_timestamp = "1970-01-01T00:00:00Z"
    columns = ROLE_BINDINGS.columns
    assert [(each.name, each.priority) for each in columns] == [
        ("Role", 0),
        ("Age", 0),
        ("Users", 1),
        ("Groups", 1),
        ("ServiceAccounts", 1),
    ]
    assert [each.cell(new, 7200.0) for each in columns] == [
        "ClusterRole/view",
        "120m",
        "ann, bob",
        "staff",
        "shop/ci",
    ]
    made = role("shop", "r")
    made.metadata.creation_timestamp = "2024-05-01T10:00:00Z"
    assert [(each.name, each.cell(made, 0.0)) for each in ROLES.columns] == [
        ("Created At", "2024-05-01T10:00:00Z")
    ]
