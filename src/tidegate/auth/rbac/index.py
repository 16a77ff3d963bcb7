"""Who may do what, kept at hand: every role and binding of the store, compiled.

    subject (user name or group) -> namespace ("" for the cluster) -> its bindings
    binding -> role -> `RuleTable`

It follows the documents one change at a time, whatever their order, and never reads a store. A
binding whose role does not exist grants nothing until the role does. Invariant: each answer is that
of the documents applied so far; answers that are remembered are forgotten at every change.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.store import Key
from tidegate.auth.rbac.aggregation import gathered
from tidegate.auth.rbac.kinds import (
    ANY,
    GROUP,
    MASTERS,
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleBinding,
    Subject,
)
from tidegate.auth.rbac.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)
from tidegate.auth.rbac.rules import RuleTable, question

MEMO_LIMIT = 20_000
"""Answers that are remembered: about 10 MB."""

MEMO_TEXT = 10_000_000
"""Characters in all that is remembered: names in questions are as long as who asks likes."""

FULL_AUTHORITY = (
    PolicyRule(verbs=[ANY], api_groups=[ANY], resources=[ANY]),
    PolicyRule(verbs=[ANY], non_resource_urls=[ANY]),
)
"""What `system:masters` may do, and `cluster-admin`."""

_Place = tuple[str, str]  # namespace ("" for the cluster's) and name


class Held(NamedTuple):
    """The rules that apply to somebody, and why others may be missing."""

    rules: tuple[PolicyRule, ...]
    errors: tuple[str, ...]


class Verdict(NamedTuple):
    """An answer with its grounds, in the words of Kubernetes' access reviews."""

    allowed: bool
    reason: str


class Subjects(NamedTuple):
    """Names of users (service accounts among them) and of groups, sorted."""

    users: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """The namespaces in which somebody may do something: `everywhere`, or just those named."""

    everywhere: bool
    namespaces: frozenset[str] = frozenset()

    def __contains__(self, namespace: object) -> bool:
        return self.everywhere or namespace in self.namespaces


@dataclass(frozen=True, slots=True)
class Binding:
    """A binding as it is asked: `namespace` is "" for one of the whole cluster."""

    namespace: str
    name: str
    role: _Place
    subjects: tuple[Subject, ...]

    def users(self) -> Iterator[str]:
        for each in self.subjects:
            if each.kind == "User":
                yield each.name
            elif each.kind == "ServiceAccount" and (namespace := each.namespace or self.namespace):
                yield f"system:serviceaccount:{namespace}:{each.name}"

    def groups(self) -> Iterator[str]:
        return (each.name for each in self.subjects if each.kind == "Group")


class RbacIndex:
    """All roles and bindings; see the module. `memo_limit` bounds the answers remembered."""

    def __init__(self, memo_limit: int = MEMO_LIMIT) -> None:
        self._tables: dict[_Place, RuleTable] = {}
        self._cluster_roles: dict[str, ClusterRole] = {}
        self._bindings: dict[str, dict[str, Binding]] = {}  # by namespace, by name
        self._users: _Links = {}
        self._groups: _Links = {}
        self._gathering = False  # aggregated roles are to be compiled again
        self._memo: dict[tuple[str, tuple[str, ...], Attributes], bool] = {}
        self._memo_limit = memo_limit
        self._memo_text = 0

    def apply(self, key: Key, body: bytes | None) -> None:
        """Take in a document as it is now; None when it is gone. Others than RBAC's are ignored."""
        self._forget()
        match key.resource:
            case ROLES.key:
                role = msgspec.json.decode(body, type=Role) if body is not None else None
                self._put_table((key.namespace, key.name), role.rules if role else None)
            case CLUSTER_ROLES.key:
                self._put_cluster_role(key.name, body)
            case ROLE_BINDINGS.key:
                self._put_binding(key, RoleBinding, body)
            case CLUSTER_ROLE_BINDINGS.key:
                self._put_binding(key, ClusterRoleBinding, body)

    def allows(self, user: User, attributes: Attributes) -> bool:
        """Whether any rule that applies to the user allows what the attributes say."""
        asked = (user.name, user.groups, attributes)
        known = self._memo.get(asked)
        if known is None:
            known = self._decide(user, attributes)
            text = _text(user, attributes)
            if len(self._memo) >= self._memo_limit or self._memo_text + text > MEMO_TEXT:
                self._forget()
            self._memo[asked] = known
            self._memo_text += text
        return known

    def _forget(self) -> None:
        self._memo.clear()
        self._memo_text = 0

    def explain(self, user: User, attributes: Attributes) -> Verdict:
        """As `allows`, and what the answer rests on."""
        asked = question(attributes)
        errors: list[str] = []
        for binding in self._applying(user, _namespace(attributes)):
            table = self._table(binding.role)
            if table is None:
                errors.append(_missing(binding.role))
            elif table.allows(asked):
                return Verdict(allowed=True, reason=f"RBAC: allowed by {_described(binding, user)}")
        if MASTERS in user.groups:
            return Verdict(allowed=True, reason="")  # as by Kubernetes' privileged group authorizer
        return Verdict(allowed=False, reason=f"RBAC: {joined(errors)}" if errors else "")

    def rules(self, user: User, namespace: str) -> Held:
        """Every rule that applies to the user in a namespace, those of the whole cluster included.

        With namespace "" only the latter. A role that several bindings grant counts once.
        """
        rules = list(FULL_AUTHORITY) if MASTERS in user.groups else []
        errors: dict[str, None] = {}
        seen: set[_Place] = set()
        for binding in self._applying(user, namespace):
            if binding.role in seen:
                continue
            seen.add(binding.role)
            table = self._table(binding.role)
            if table is None:
                errors[_missing(binding.role)] = None
            else:
                rules.extend(table.rules)
        return Held(tuple(rules), tuple(errors))

    def rules_of_role(self, namespace: str, name: str) -> tuple[PolicyRule, ...] | None:
        """The rules of a role, or with namespace "" of a ClusterRole; None when there is none."""
        table = self._table((namespace, name))
        return None if table is None else table.rules

    def who_can(self, attributes: Attributes) -> Subjects:
        """Everybody who is named by a binding that allows this."""
        asked = question(attributes)
        users: set[str] = set()
        groups = {MASTERS}
        for namespace in dict.fromkeys(("", _namespace(attributes))):
            for binding in self._bindings.get(namespace, {}).values():
                table = self._table(binding.role)
                if table is not None and table.allows(asked):
                    users.update(binding.users())
                    groups.update(binding.groups())
        return Subjects(tuple(sorted(users)), tuple(sorted(groups)))

    def namespaces_where(self, user: User, attributes: Attributes, *, named: bool = False) -> Reach:
        """In which namespaces the user may do this; the attributes' own namespace is ignored.

        `named` asks about the object that is named as each namespace, as does whoever lists
        namespaces or projects: then also a rule for just those names counts, cluster-wide or not.
        """
        if MASTERS in user.groups:
            return Reach(everywhere=True)
        asked = question(attributes)
        reach: set[str] = set()
        for binding in self._of_user(user):
            table = self._table(binding.role)
            if table is None:
                continue
            if binding.namespace:
                here = asked._replace(name=binding.namespace) if named else asked
                if table.allows(here):
                    reach.add(binding.namespace)
            elif named:
                if table.allows_any_name(asked):
                    return Reach(everywhere=True)
                reach |= {name for name in table.names if table.allows(asked._replace(name=name))}
            elif table.allows(asked):
                return Reach(everywhere=True)
        return Reach(everywhere=False, namespaces=frozenset(reach))

    def _decide(self, user: User, attributes: Attributes) -> bool:
        if MASTERS in user.groups:
            return True
        asked = question(attributes)
        namespace = _namespace(attributes)
        for granted in self._granted(user):
            for place in ("", namespace) if namespace else ("",):
                for binding in granted.get(place, {}).values():
                    table = self._table(binding.role)
                    if table is not None and table.allows(asked):
                        return True
        return False

    def _granted(self, user: User) -> Iterator[dict[str, dict[str, Binding]]]:
        """What names the user or one of her groups: bindings by namespace and name."""
        if (own := self._users.get(user.name)) is not None:
            yield own
        for group in user.groups:
            if (shared := self._groups.get(group)) is not None:
                yield shared

    def _of_user(self, user: User) -> Iterator[Binding]:
        for granted in self._granted(user):
            for bindings in granted.values():
                yield from bindings.values()

    def _applying(self, user: User, namespace: str) -> Iterator[Binding]:
        """Bindings that apply in a namespace, each once: the cluster's first, then by name."""
        for place in dict.fromkeys(("", namespace)):
            found: dict[str, Binding] = {}
            for granted in self._granted(user):
                found.update(granted.get(place, {}))
            yield from (found[name] for name in sorted(found))

    def _table(self, role: _Place) -> RuleTable | None:
        if self._gathering:
            self._gather()
        return self._tables.get(role)

    def _gather(self) -> None:
        """Compile the aggregated roles; put off until somebody asks, since changes come in many."""
        self._gathering = False
        for name, role in self._cluster_roles.items():
            if role.aggregation_rule is not None:
                self._tables["", name] = RuleTable(gathered(role, self._cluster_roles))

    def _put_cluster_role(self, name: str, body: bytes | None) -> None:
        self._gathering = True
        if body is None:
            self._cluster_roles.pop(name, None)
            self._put_table(("", name), None)
            return
        role = self._cluster_roles[name] = msgspec.json.decode(body, type=ClusterRole)
        if role.aggregation_rule is None:
            self._put_table(("", name), role.rules)

    def _put_table(self, place: _Place, rules: Iterable[PolicyRule] | None) -> None:
        if rules is None:
            self._tables.pop(place, None)
        else:
            self._tables[place] = RuleTable(rules)

    def _put_binding(
        self, key: Key, kind: type[RoleBinding] | type[ClusterRoleBinding], body: bytes | None
    ) -> None:
        if (old := self._bindings.get(key.namespace, {}).get(key.name)) is not None:
            _unlink(self._users, old.users(), old)
            _unlink(self._groups, old.groups(), old)
            _drop(self._bindings, key.namespace, key.name)
        if body is None:
            return
        stored = msgspec.json.decode(body, type=kind)
        ref = stored.role_ref
        role = (key.namespace if ref.kind == "Role" else "", ref.name)
        new = Binding(key.namespace, key.name, role, tuple(stored.subjects))
        self._bindings.setdefault(key.namespace, {})[key.name] = new
        _link(self._users, new.users(), new)
        _link(self._groups, new.groups(), new)


_Links = dict[str, dict[str, dict[str, Binding]]]


def _link(links: _Links, subjects: Iterable[str], binding: Binding) -> None:
    for subject in subjects:
        placed = links.setdefault(subject, {})
        placed.setdefault(binding.namespace, {})[binding.name] = binding


def _unlink(links: _Links, subjects: Iterable[str], binding: Binding) -> None:
    for subject in set(subjects):
        _drop(links[subject], binding.namespace, binding.name)
        if not links[subject]:
            del links[subject]


def _drop(placed: dict[str, dict[str, Binding]], namespace: str, name: str) -> None:
    del placed[namespace][name]
    if not placed[namespace]:
        del placed[namespace]


def _text(user: User, attributes: Attributes) -> int:
    """Characters of a question."""
    asked = attributes.group, attributes.resource, attributes.namespace, attributes.name
    return sum(map(len, (*asked, attributes.path, user.name, *user.groups)))


def _namespace(attributes: Attributes) -> str:
    """Where bindings are looked for; a path is in no namespace."""
    return "" if attributes.path else attributes.namespace


def _described(binding: Binding, user: User) -> str:
    """The binding as Kubernetes names it: `RoleBinding "x/ns" of Role "y" to User "u"`."""
    kind, name = (
        ("RoleBinding", f"{binding.name}/{binding.namespace}")
        if binding.namespace
        else ("ClusterRoleBinding", binding.name)
    )
    role_kind = "Role" if binding.role[0] else "ClusterRole"
    return f'{kind} "{name}" of {role_kind} "{binding.role[1]}" to {_subject(binding, user)}'


def _subject(binding: Binding, user: User) -> str:
    """The first subject of the binding that the user is."""
    for each in binding.subjects:
        alone = Binding(binding.namespace, binding.name, binding.role, (each,))
        if user.name in alone.users() or any(group in user.groups for group in alone.groups()):
            namespace = each.namespace or binding.namespace
            account = each.kind == "ServiceAccount"
            return (
                f'{each.kind} "{each.name}/{namespace}"'
                if account
                else f'{each.kind} "{each.name}"'
            )
    return ""


def _missing(role: _Place) -> str:
    return f'{"role" if role[0] else "clusterrole"}.{GROUP} "{role[1]}" not found'


def joined(errors: Iterable[str]) -> str:
    """Errors as Kubernetes joins them: one as it is, several in brackets, none as ""."""
    texts = list(dict.fromkeys(errors))
    return "[" + ", ".join(texts) + "]" if len(texts) > 1 else "".join(texts)
