"""ClusterRoles whose rules are gathered from others, by label.

`gathered` is what such a role grants: the rules of every ClusterRole that it selects, and of those
that they select in turn. Pure; `index` answers with it, and `writeback` stores it where readers of
the role see it.
"""

from collections.abc import Mapping

import msgspec

from tidegate.auth.rbac.kinds import (
    ClusterRole,
    LabelSelector,
    LabelSelectorRequirement,
    PolicyRule,
)

_encode = msgspec.json.Encoder().encode


def gathered(role: ClusterRole, roles: Mapping[str, ClusterRole]) -> list[PolicyRule]:
    """The rules of a role that has an aggregation rule: by name of their origin, each once.

    Roles that select each other in a ring have the same rules in the end.
    """
    sources = _sources(role, roles)
    rules: dict[bytes, PolicyRule] = {}
    for name in sorted(sources):
        for rule in sources[name].rules:
            rules.setdefault(_encode(rule), rule)
    return list(rules.values())


def _sources(role: ClusterRole, roles: Mapping[str, ClusterRole]) -> dict[str, ClusterRole]:
    """The roles with rules of their own that are selected, at whatever remove."""
    found: dict[str, ClusterRole] = {}
    seen = {role.metadata.name}
    pending = [role]
    while pending:
        rule = pending.pop().aggregation_rule
        selectors = rule.cluster_role_selectors if rule else ()
        for name, other in roles.items():
            if name in seen or not any(matches(each, other.metadata.labels) for each in selectors):
                continue
            seen.add(name)
            if other.aggregation_rule is None:
                found[name] = other
            else:
                pending.append(other)
    return found


def matches(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether an object with these labels is selected."""
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _holds(each, labels.get(each.key)) for each in selector.match_expressions
    )


def _holds(condition: LabelSelectorRequirement, value: str | None) -> bool:
    match condition.operator:
        case "In":
            return value is not None and value in condition.values
        case "NotIn":
            return value is None or value not in condition.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False
