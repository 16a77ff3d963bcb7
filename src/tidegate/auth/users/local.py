"""Local users: a row with the password's hash, a User object, and the Identity that joins them.

Each function is (part of) one unit on the metadata database, so that no user is ever half there.
Invariant: whatever takes a password's word away (another password, disabling, removal) ends every
access token of the user in the same unit; registry tokens end with their login.
"""

from tidegate.apimachinery.store import DocumentTransaction, Key
from tidegate.auth.oauth.tokens import end_all
from tidegate.auth.rbac.reconciliation import grant_cluster_admin
from tidegate.auth.rbac.resources import CLUSTER_ROLE_BINDINGS
from tidegate.auth.stored import put, put_new, read
from tidegate.auth.users.kinds import (
    GROUPS,
    IDENTITIES,
    LOCAL,
    USERS,
    Group,
    Identity,
    IdentityUser,
    User,
    member_fault,
    user_name_fault,
)
from tidegate.metastore import users
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import DocumentUnit


def create(
    tx: Transaction, name: str, password_hash: str, now: float, *, admin: bool = False
) -> bool:
    """Make a user, with `admin` one who may do everything; False when there is one already.

    A ClusterRoleBinding says who is an administrator; the column is for earlier versions.
    """
    if users.get(tx, name) is not None:
        return False
    users.put(tx, users.User(name, password_hash, admin=admin, disabled=False, changed_at=now))
    documents = DocumentUnit(tx)
    ensure_objects(documents, name, now)
    if admin:
        grant_cluster_admin(documents, name, now)
    return True


def set_password(tx: Transaction, name: str, password_hash: str, now: float) -> bool:
    """Replace a user's password; False without such a user."""
    user = users.get(tx, name)
    if user is None:
        return False
    users.put(tx, user._replace(password_hash=password_hash, changed_at=now))
    end_all(DocumentUnit(tx), name)
    return True


def set_disabled(tx: Transaction, name: str, now: float, *, disabled: bool) -> bool:
    """Let a user in no more, or again; False without such a user."""
    user = users.get(tx, name)
    if user is None:
        return False
    if user.disabled is not disabled:
        users.put(tx, user._replace(disabled=disabled, changed_at=now))
        end_all(DocumentUnit(tx), name)
    return True


def remove(tx: Transaction, name: str) -> bool:
    """Remove a user with her objects and her places in groups; False without such a user.

    Role bindings stay: whose they are to be is for those who wrote them.
    """
    if users.get(tx, name) is None:
        return False
    DocumentUnit(tx).delete(Key(USERS.key, "", name))
    forget(tx, name)
    return True


def forget(tx: Transaction, name: str) -> None:
    """Everything of a local user but her User object: password, identity, tokens, groups.

    With the binding that `create` gave an administrator, lest the next user of her name have it;
    nor shall that one find her groups.
    """
    users.remove(tx, name)
    documents = DocumentUnit(tx)
    documents.delete(Key(IDENTITIES.key, "", f"{LOCAL}:{name}"))
    end_all(documents, name)
    binding = documents.get(Key(CLUSTER_ROLE_BINDINGS.key, "", f"cluster-admin-{name}"))
    if binding is not None:
        subjects = read(CLUSTER_ROLE_BINDINGS, binding).subjects
        if [(each.kind, each.name) for each in subjects] == [("User", name)]:
            documents.delete(binding.key)
    for document in documents.list(GROUPS.key):
        group = read(GROUPS, document)
        if name in group.users:
            group.users = [each for each in group.users if each != name]
            put(documents, GROUPS, group)


def ensure_objects(tx: DocumentTransaction, name: str, now: float) -> str:
    """The uid of the User of a local user; what there is not yet of User and Identity is made."""
    identity_name = f"{LOCAL}:{name}"
    document = tx.get(Key(USERS.key, "", name))
    if document is None:
        user = User(identities=[identity_name])
        user.metadata.name = name
        document = put_new(tx, USERS, user, now)
    elif identity_name not in (user := read(USERS, document)).identities:
        user.identities = [*user.identities, identity_name]
        put(tx, USERS, user)
    if tx.get(Key(IDENTITIES.key, "", identity_name)) is None:
        identity = Identity(
            provider_name=LOCAL,
            provider_user_name=name,
            user=IdentityUser(name=name, uid=document.uid),
        )
        identity.metadata.name = identity_name
        put_new(tx, IDENTITIES, identity, now)
    return document.uid


def membership_fault(group: str, names: list[str]) -> str | None:
    """Why a group of this name, or with these users, cannot be; None when it can."""
    if fault := user_name_fault(group):
        return f"group {group!r}: {fault}"
    for name in names:
        if fault := member_fault(name):
            return f"user {name!r}: {fault}"
    return None


def add_to_group(tx: DocumentTransaction, group: str, names: list[str], now: float) -> None:
    """Have a group name these users; the group is made if need be."""
    document = tx.get(Key(GROUPS.key, "", group))
    if document is None:
        made = Group(users=list(dict.fromkeys(names)))
        made.metadata.name = group
        put_new(tx, GROUPS, made, now)
        return
    changed = read(GROUPS, document)
    changed.users = list(dict.fromkeys([*changed.users, *names]))
    put(tx, GROUPS, changed)


def remove_from_group(tx: DocumentTransaction, group: str, names: list[str]) -> bool:
    """Have a group name these users no more; False without such a group."""
    document = tx.get(Key(GROUPS.key, "", group))
    if document is None:
        return False
    changed = read(GROUPS, document)
    changed.users = [each for each in changed.users if each not in names]
    put(tx, GROUPS, changed)
    return True
