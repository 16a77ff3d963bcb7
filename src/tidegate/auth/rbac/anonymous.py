"""The setting `anonymous_pull`, as what it stands for: one ClusterRoleBinding, made and unmade."""

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import DocumentTransaction, Key
from tidegate.auth.rbac.bootstrap import AUTHENTICATED, UNAUTHENTICATED, cluster_role_ref, group
from tidegate.auth.rbac.kinds import ClusterRoleBinding
from tidegate.auth.rbac.resources import CLUSTER_ROLE_BINDINGS
from tidegate.auth.stored import put_new

NAME = "tidegate:anonymous-pull"

_ROLE = "system:image-puller"


def let_anybody_pull(tx: DocumentTransaction, now: float, *, allowed: bool) -> None:
    """Bind everybody, logged in or not, to pulling from every project, or end that."""
    key = Key(CLUSTER_ROLE_BINDINGS.key, "", NAME)
    is_bound = tx.get(key) is not None
    if allowed and not is_bound:
        binding = ClusterRoleBinding(
            metadata=ObjectMeta(name=NAME),
            subjects=[group(UNAUTHENTICATED), group(AUTHENTICATED)],
            role_ref=cluster_role_ref(_ROLE),
        )
        put_new(tx, CLUSTER_ROLE_BINDINGS, binding, now)
    elif is_bound and not allowed:
        tx.delete(key)
