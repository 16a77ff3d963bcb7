"""Nobody grants what she does not hold: the admission of writes to roles and bindings.

Writing a rule into a role takes holding it, or `escalate` on roles; binding a role takes holding
all its rules, or `bind` on that role. As in Kubernetes an aggregation rule takes everything, since
it can gather anything. Writes that grant no more than before pass, which is wider than Kubernetes
where somebody narrows or annotates what she does not hold. The labels of a ClusterRole count as
part of what it grants: they decide which roles gather its rules.
"""

from collections.abc import Sequence

from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.documents.beside import weighed
from tidegate.apimachinery.errors import Forbidden, Qualified, forbid, missing
from tidegate.apimachinery.storage import Admitted, Call
from tidegate.auth.rbac.authorizer import RbacAuthorizer
from tidegate.auth.rbac.index import FULL_AUTHORITY, Held, joined
from tidegate.auth.rbac.kinds import (
    GROUP,
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleBinding,
)
from tidegate.auth.rbac.rules import compacted, covers, described, parts_of, quoted, uncovered

_PLURALS = {
    Role: "roles",
    ClusterRole: "clusterroles",
    RoleBinding: "rolebindings",
    ClusterRoleBinding: "clusterrolebindings",
}

PART, HEAVIEST = 8, 1024 * 1024
"""Bytes that a part of a rule counts as where heavy work is kept off the event loop: to compare and
describe one costs some 3 us, and a role that is refused can have a hundred thousand."""


class NoEscalation:
    """An `Admission` for the four kinds of RBAC; it lets other objects and deletions pass."""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    async def admit(self, asked: Admitted) -> None:
        new, old = asked.new, asked.old
        if isinstance(new, Role | ClusterRole):
            await self._admit_role(asked.call, new, old)
        elif isinstance(new, RoleBinding | ClusterRoleBinding):
            await self._admit_binding(asked.call, new, old)

    async def _admit_role(self, call: Call, new: Role | ClusterRole, old: object) -> None:
        if type(old) is type(new) and not _grants_more(new, old):
            return
        resource = Qualified(_PLURALS[type(new)], GROUP)
        namespace, name = new.metadata.namespace, new.metadata.name
        # As in Kubernetes a POST is asked without a name, so that resourceNames do not allow it.
        escalate = Attributes("escalate", resource.name, namespace, call.name, GROUP)
        if await self._authorizer.authorize(call.user, escalate):
            return
        held = await self._authorizer.rules(call.user, namespace)
        await _check(call.user, held, new.rules, resource, name)
        if (_aggregates(new) or _aggregates(old)) and not covers(held.rules, FULL_AUTHORITY):
            why = "must have cluster-admin privileges to use the aggregationRule"
            raise forbid(resource, name, why)

    async def _admit_binding(
        self, call: Call, new: RoleBinding | ClusterRoleBinding, old: object
    ) -> None:
        if type(old) is type(new) and not _binds_more(new, old):
            return
        resource = Qualified(_PLURALS[type(new)], GROUP)
        namespace, ref = new.metadata.namespace, new.role_ref
        role = Qualified("roles" if ref.kind == "Role" else "clusterroles", GROUP)
        bind = Attributes("bind", role.name, namespace, ref.name, GROUP)
        if await self._authorizer.authorize(call.user, bind):
            return
        place = namespace if ref.kind == "Role" else ""
        rules = await self._authorizer.rules_of_role(place, ref.name)
        if rules is None:
            raise missing(role, ref.name)
        held = await self._authorizer.rules(call.user, namespace)
        await _check(call.user, held, rules, resource, new.metadata.name)


async def _check(
    user: User, held: Held, wanted: Sequence[PolicyRule], resource: Qualified, name: str
) -> None:
    weight = min(sum(map(parts_of, wanted)) * PART, HEAVIEST)
    await weighed(weight, _refuse_more, user, held, wanted, resource, name)


def _refuse_more(
    user: User, held: Held, wanted: Sequence[PolicyRule], resource: Qualified, name: str
) -> None:
    left = uncovered(held.rules, wanted)
    if left:
        raise _refusal(user, held, left, resource, name)


def _refusal(
    user: User, held: Held, left: Sequence[PolicyRule], resource: Qualified, name: str
) -> Forbidden:
    why = (
        f"user {quoted([user.name])[1:-1]} (groups={quoted(user.groups)}) is attempting to grant "
        "RBAC permissions not currently held:\n"
    )
    why += "\n".join(sorted({described(each) for each in compacted(left)}))
    if held.errors:
        why += f"; resolution errors: [{joined(held.errors)}]"
    return forbid(resource, name, why)


def _grants_more(new: Role | ClusterRole, old: Role | ClusterRole) -> bool:
    if not covers(old.rules, new.rules):
        return True
    if isinstance(new, ClusterRole) and isinstance(old, ClusterRole):
        same_labels = new.metadata.labels == old.metadata.labels
        return not same_labels or new.aggregation_rule != old.aggregation_rule
    return False


def _binds_more(
    new: RoleBinding | ClusterRoleBinding, old: RoleBinding | ClusterRoleBinding
) -> bool:
    return new.role_ref != old.role_ref or any(each not in old.subjects for each in new.subjects)


def _aggregates(role: object) -> bool:
    return isinstance(role, ClusterRole) and role.aggregation_rule is not None
