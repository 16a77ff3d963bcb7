"""What makes a role or a binding valid, and what it is given by default.

Pure functions on values; the texts are Kubernetes', which clients print.
"""

from collections.abc import Iterator, Sequence

import msgspec

from tidegate.apimachinery.errors import FieldError, forbidden, invalid, not_supported, required
from tidegate.apimachinery.names import (
    label_value_faults,
    path_segment_faults,
    qualified_name_faults,
    subdomain_faults,
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


def name_fault(name: str) -> str | None:
    """What is wrong with the name of a role or binding: it only has to fit into a path."""
    return next(iter(path_segment_faults(name)), None)


def prepare_cluster_role(new: ClusterRole, old: ClusterRole | None) -> None:
    """Keep the rules of an aggregated role: they are gathered, whatever a client sends."""
    if new.aggregation_rule is not None:
        was_gathered = old is not None and old.aggregation_rule is not None
        new.rules = old.rules if old is not None and was_gathered else []


def prepare_binding(
    new: RoleBinding | ClusterRoleBinding, _old: RoleBinding | ClusterRoleBinding | None
) -> None:
    """Fill in the API groups that a client may leave out."""
    new.role_ref.api_group = new.role_ref.api_group or GROUP
    for each in new.subjects:
        if each.kind in ("User", "Group"):
            each.api_group = each.api_group or GROUP


def role_faults(new: Role, _old: Role | None) -> Sequence[FieldError]:
    return [
        fault
        for index, rule in enumerate(new.rules)
        for fault in _rule_faults(rule, f"rules[{index}]", namespaced=True)
    ]


def cluster_role_faults(new: ClusterRole, _old: ClusterRole | None) -> Sequence[FieldError]:
    faults = [
        fault
        for index, rule in enumerate(new.rules)
        for fault in _rule_faults(rule, f"rules[{index}]", namespaced=False)
    ]
    if new.aggregation_rule is not None:
        field = "aggregationRule.clusterRoleSelectors"
        selectors = new.aggregation_rule.cluster_role_selectors
        if not selectors:
            why = "at least one clusterRoleSelector required if aggregationRule is non-nil"
            faults.append(required(field, why))
        for index, selector in enumerate(selectors):
            faults += _selector_faults(selector, f"{field}[{index}]")
    return faults


def role_binding_faults(new: RoleBinding, old: RoleBinding | None) -> Sequence[FieldError]:
    return _binding_faults(new, old, ("Role", "ClusterRole"), namespaced=True)


def cluster_role_binding_faults(
    new: ClusterRoleBinding, old: ClusterRoleBinding | None
) -> Sequence[FieldError]:
    return _binding_faults(new, old, ("ClusterRole",), namespaced=False)


def _rule_faults(rule: PolicyRule, field: str, *, namespaced: bool) -> Iterator[FieldError]:
    if not rule.verbs:
        yield required(f"{field}.verbs", "verbs must contain at least one value")
    if rule.non_resource_urls:
        paths = f"{field}.nonResourceURLs"
        if namespaced:
            why = "namespaced rules cannot apply to non-resource URLs"
            yield _invalid_value(paths, rule.non_resource_urls, why)
        if rule.api_groups or rule.resources or rule.resource_names:
            why = "rules cannot apply to both regular resources and non-resource URLs"
            yield _invalid_value(paths, rule.non_resource_urls, why)
        return
    if not rule.api_groups:
        yield required(f"{field}.apiGroups", "resource rules must supply at least one api group")
    if not rule.resources:
        yield required(f"{field}.resources", "resource rules must supply at least one resource")


def _binding_faults(
    new: RoleBinding | ClusterRoleBinding,
    old: RoleBinding | ClusterRoleBinding | None,
    kinds: Sequence[str],
    *,
    namespaced: bool,
) -> list[FieldError]:
    faults = list(_role_ref_faults(new.role_ref, kinds))
    for index, subject in enumerate(new.subjects):
        faults += _subject_faults(subject, f"subjects[{index}]", namespaced=namespaced)
    if old is not None and old.role_ref != new.role_ref:
        faults.append(_invalid_value("roleRef", new.role_ref, "cannot change roleRef"))
    return faults


def _role_ref_faults(ref: RoleRef, kinds: Sequence[str]) -> Iterator[FieldError]:
    if ref.api_group != GROUP:
        yield not_supported("roleRef.apiGroup", ref.api_group, (GROUP,))
    if ref.kind not in kinds:
        yield not_supported("roleRef.kind", ref.kind, kinds)
    if not ref.name:
        yield required("roleRef.name")
    for fault in path_segment_faults(ref.name):
        yield invalid("roleRef.name", ref.name, fault)


def _subject_faults(subject: Subject, field: str, *, namespaced: bool) -> Iterator[FieldError]:
    if not subject.name:
        yield required(f"{field}.name")
    match subject.kind:
        case "ServiceAccount":
            yield from _account_faults(subject, field, namespaced=namespaced)
        case "User" | "Group":
            if not subject.name:
                why = f"{subject.kind.lower()} name cannot be empty"
                yield invalid(f"{field}.name", subject.name, why)
            if subject.api_group != GROUP:
                yield not_supported(f"{field}.apiGroup", subject.api_group, (GROUP,))
        case _:
            kinds = ("ServiceAccount", "User", "Group")
            yield not_supported(f"{field}.kind", subject.kind, kinds)


def _account_faults(subject: Subject, field: str, *, namespaced: bool) -> Iterator[FieldError]:
    if subject.name:
        for fault in subdomain_faults(subject.name):
            yield invalid(f"{field}.name", subject.name, fault)
    if subject.api_group:
        yield not_supported(f"{field}.apiGroup", subject.api_group, ("",))
    if not namespaced and not subject.namespace:
        yield required(f"{field}.namespace")


def _selector_faults(selector: LabelSelector, field: str) -> Iterator[FieldError]:
    labels = f"{field}.matchLabels"
    for key, value in selector.match_labels.items():
        yield from (invalid(labels, key, fault) for fault in qualified_name_faults(key))
        yield from (invalid(labels, value, fault) for fault in label_value_faults(value))
    for index, condition in enumerate(selector.match_expressions):
        yield from _condition_faults(condition, f"{field}.matchExpressions[{index}]")


def _condition_faults(condition: LabelSelectorRequirement, field: str) -> Iterator[FieldError]:
    match condition.operator:
        case "In" | "NotIn":
            if not condition.values:
                why = "must be specified when `operator` is 'In' or 'NotIn'"
                yield required(f"{field}.values", why)
        case "Exists" | "DoesNotExist":
            if condition.values:
                why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                yield forbidden(f"{field}.values", why)
        case _:
            yield invalid(f"{field}.operator", condition.operator, "not a valid selector operator")
    for fault in qualified_name_faults(condition.key):
        yield invalid(f"{field}.key", condition.key, fault)
    for index, value in enumerate(condition.values):
        for fault in label_value_faults(value):
            yield invalid(f"{field}.values[{index}]", value, fault)


def _invalid_value(field: str, value: list[str] | RoleRef, detail: str) -> FieldError:
    """As `invalid`, of a value that is no scalar: it is shown as JSON."""
    shown = msgspec.json.encode(value).decode()
    return FieldError("FieldValueInvalid", field, f"Invalid value: {shown}: {detail}")
