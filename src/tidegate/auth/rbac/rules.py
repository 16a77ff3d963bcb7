"""What policy rules mean: which request a rule allows, and whether some rules hold others.

Semantics are Kubernetes' to the letter. Rules only ever allow, so many of them are a union. A
subresource is part of the resource's name here, `pods/log`, in rules and in questions alike; `*`
stands for every resource and subresource, `*/log` for that subresource of every resource.
Compiling is linear in the text of the rules: nothing multiplies out lists that a user wrote.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from tidegate.apimachinery.authorizer import Attributes
from tidegate.auth.rbac.kinds import ANY, PolicyRule

BREAKDOWN_LIMIT = 500_000
"""Steps that one comparison of rules takes at most, some 0.1 s. The largest role that Kubernetes
ships asks for about 10,000; the limit keeps a hostile one from holding up the process.
"""

REMEMBERED_LENGTH = 256
"""Characters of a resource whose names are remembered: anybody may ask about one of a megabyte."""


class Question(NamedTuple):
    """Attributes, made ready to be asked of many roles.

    `resources` are the texts by which a rule may name the resource.
    """

    verb: str
    group: str
    resources: tuple[str, ...]
    name: str
    path: str


def question(attributes: Attributes) -> Question:
    """The question that these attributes ask."""
    return Question(
        attributes.verb,
        attributes.group,
        named_as(attributes.resource),
        attributes.name,
        attributes.path,
    )


def named_as(resource: str) -> tuple[str, ...]:
    """How a rule may name a resource: itself, `*`, and `*/SUBRESOURCE`."""
    if len(resource) > REMEMBERED_LENGTH:
        return _named_as.__wrapped__(resource)
    return _named_as(resource)


@lru_cache(maxsize=4096)
def _named_as(resource: str) -> tuple[str, ...]:
    subresource = resource.partition("/")[2]
    return (resource, ANY, f"{ANY}/{subresource}") if subresource else (resource, ANY)


class _Part(NamedTuple):
    """One rule about resources, but for its resources; `names` None is all names."""

    verbs: frozenset[str]
    groups: frozenset[str]
    names: frozenset[str] | None


class RuleTable:
    """Rules, compiled for asking; `names` are all the names that any of them is limited to."""

    __slots__ = ("_parts", "_paths", "_prefixes", "names", "rules")

    def __init__(self, rules: Iterable[PolicyRule]) -> None:
        self.rules = tuple(rules)
        self.names = frozenset(name for rule in self.rules for name in rule.resource_names)
        self._parts: dict[str, list[_Part]] = {}
        self._paths: dict[str, set[str]] = {}
        self._prefixes: list[tuple[str, frozenset[str]]] = []
        for rule in self.rules:
            self._add(rule)

    def _add(self, rule: PolicyRule) -> None:
        verbs = frozenset(rule.verbs)
        part = _Part(
            verbs,
            frozenset(rule.api_groups),
            frozenset(rule.resource_names) if rule.resource_names else None,
        )
        for resource in dict.fromkeys(rule.resources):
            self._parts.setdefault(resource, []).append(part)
        for path in rule.non_resource_urls:
            self._paths.setdefault(path, set()).update(verbs)
            if path.endswith(ANY):
                self._prefixes.append((path.rstrip(ANY), verbs))

    def allows(self, asked: Question) -> bool:
        """Whether any of the rules allows what is asked."""
        if asked.path:
            on_path = self._verbs_on_path(asked.path)
            return any(asked.verb in each or ANY in each for each in on_path)
        verb, group, resources, name, _ = asked
        for resource in resources:
            for verbs, groups, names in self._parts.get(resource, ()):
                if (
                    (verb in verbs or ANY in verbs)
                    and (group in groups or ANY in groups)
                    and (names is None or name in names)
                ):
                    return True
        return False

    def allows_any_name(self, asked: Question) -> bool:
        """Whether what is asked is allowed whatever the object's name."""
        verbs = self.verbs_on(asked.group, asked.resources[0], None)
        return asked.verb in verbs or ANY in verbs

    def verbs_on(self, group: str, resource: str, name: str | None) -> set[str]:
        """Verbs allowed on what a rule calls `resource`; `name` None asks for all names."""
        found: set[str] = set()
        for key in named_as(resource):
            for verbs, groups, names in self._parts.get(key, ()):
                if (group in groups or ANY in groups) and (names is None or name in names):
                    found |= verbs
        return found

    @property
    def prefixes(self) -> int:
        """How many paths with `*` there are."""
        return len(self._prefixes)

    def weight(self, resource: str) -> int:
        """How many rules `verbs_on` looks at."""
        return sum(len(self._parts.get(key, ())) for key in named_as(resource))

    def verbs_on_path(self, path: str) -> set[str]:
        """Verbs allowed on what a rule calls `path`."""
        return set().union(*self._verbs_on_path(path))

    def _verbs_on_path(self, path: str) -> Iterator[frozenset[str] | set[str]]:
        if (exact := self._paths.get(path)) is not None:
            yield exact
        for prefix, verbs in self._prefixes:
            if path.startswith(prefix):
                yield verbs


def uncovered(owned: Sequence[PolicyRule], wanted: Iterable[PolicyRule]) -> list[PolicyRule]:
    """The parts of `wanted` that no rule of `owned` grants, broken down to single verbs.

    As in Kubernetes each part must be granted by one rule, and `*` by `*` alone. What would take
    more than `BREAKDOWN_LIMIT` steps to compare counts as not covered.
    """
    table = RuleTable(owned)
    left: list[PolicyRule] = []
    budget = BREAKDOWN_LIMIT
    for rule in wanted:
        if any(_is_part_of(rule, each) for each in owned):
            continue
        budget -= _steps(table, rule)
        if budget < 0:
            left.append(rule)
        else:
            left += _uncovered_resources(table, rule)
            left += _uncovered_paths(table, rule)
    return left


def covers(owned: Sequence[PolicyRule], wanted: Iterable[PolicyRule]) -> bool:
    """Whether `owned` grants all that `wanted` does."""
    return not uncovered(owned, wanted)


def parts_of(rule: PolicyRule) -> int:
    """How many rules `broken_down` gives."""
    named = len(rule.api_groups) * len(rule.resources) * max(1, len(rule.resource_names))
    return len(rule.verbs) * (named + len(rule.non_resource_urls))


def broken_down(rule: PolicyRule) -> Iterator[PolicyRule]:
    """The rule as rules of one verb on one resource (and name) or path each."""
    for group, resource, name in _targets(rule):
        for verb in rule.verbs:
            yield _single(group, resource, name, verb)
    for path in rule.non_resource_urls:
        for verb in rule.verbs:
            yield PolicyRule(verbs=[verb], non_resource_urls=[path])


def compacted(rules: Iterable[PolicyRule]) -> list[PolicyRule]:
    """Rules of one group and resource that differ by verbs only, joined; the others come first."""
    others: list[PolicyRule] = []
    joined: dict[tuple[str, str], list[str]] = {}
    for rule in rules:
        if (
            len(rule.api_groups) == len(rule.resources) == 1
            and not rule.resource_names
            and not rule.non_resource_urls
        ):
            joined.setdefault((rule.api_groups[0], rule.resources[0]), []).extend(rule.verbs)
        else:
            others.append(rule)
    return others + [
        PolicyRule(verbs=verbs, api_groups=[group], resources=[resource])
        for (group, resource), verbs in joined.items()
    ]


def described(rule: PolicyRule) -> str:
    """A rule as Kubernetes' refusals write it: `{APIGroups:[""], Resources:["pods"], …}`."""
    parts = (
        ("APIGroups", rule.api_groups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.non_resource_urls),
        ("ResourceNames", rule.resource_names),
        ("Verbs", rule.verbs),
    )
    return "{" + ", ".join(f"{name}:{quoted(texts)}" for name, texts in parts if texts) + "}"


def quoted(texts: Sequence[str]) -> str:
    """Texts as Go's `%q` prints a slice of strings: `["a" "b"]`."""
    return "[" + " ".join(json.dumps(each, ensure_ascii=False) for each in texts) + "]"


def _is_part_of(part: PolicyRule, whole: PolicyRule) -> bool:
    """Whether `whole` alone grants all of `part`, each list within the other."""
    if whole.resource_names and not (
        part.resource_names and set(part.resource_names) <= set(whole.resource_names)
    ):
        return False
    return (
        _within(part.verbs, whole.verbs)
        and _within(part.api_groups, whole.api_groups)
        and _within(part.resources, whole.resources)
        and _within(part.non_resource_urls, whole.non_resource_urls)
    )


def _within(part: Sequence[str], whole: Sequence[str]) -> bool:
    return ANY in whole or set(part) <= set(whole)


def _steps(table: RuleTable, rule: PolicyRule) -> int:
    """What a comparison takes: rules looked at, and parts that may be left over."""
    per_resource = len(rule.api_groups) * max(1, len(rule.resource_names))
    looked_at = sum(len(rule.verbs) + table.weight(resource) for resource in rule.resources)
    paths = len(rule.non_resource_urls) * (len(rule.verbs) + table.prefixes)
    return per_resource * looked_at + paths


def _targets(rule: PolicyRule) -> Iterator[tuple[str, str, str | None]]:
    names: Sequence[str | None] = rule.resource_names or (None,)
    for group in rule.api_groups:
        for resource in rule.resources:
            for name in names:
                yield group, resource, name


def _uncovered_resources(table: RuleTable, rule: PolicyRule) -> Iterator[PolicyRule]:
    for group, resource, name in _targets(rule):
        granted = table.verbs_on(group, resource, name)
        if ANY not in granted:
            missing = (verb for verb in rule.verbs if verb not in granted)
            yield from (_single(group, resource, name, verb) for verb in missing)


def _uncovered_paths(table: RuleTable, rule: PolicyRule) -> Iterator[PolicyRule]:
    for path in rule.non_resource_urls:
        granted = table.verbs_on_path(path)
        if ANY not in granted:
            missing = (verb for verb in rule.verbs if verb not in granted)
            yield from (PolicyRule(verbs=[verb], non_resource_urls=[path]) for verb in missing)


def _single(group: str, resource: str, name: str | None, verb: str) -> PolicyRule:
    return PolicyRule(
        verbs=[verb],
        api_groups=[group],
        resources=[resource],
        resource_names=[] if name is None else [name],
    )
