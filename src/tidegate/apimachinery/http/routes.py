"""What a path asks for, read before anything is looked up.

The reading is Kubernetes' (its RequestInfo): it needs no table of resources, so that a refusal says
the same whether the resource exists or not.
"""

from dataclasses import dataclass

NAMESPACE_SUBRESOURCES = ("status", "finalize")
"""What may follow a namespace's name without being a resource in it."""

_VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A resource, or some of it. `rest` is what follows a subresource, which nothing has.

    `namespace` is the one in the path, also where the path ends with it.
    """

    group: str
    version: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""


def target_of(path: str) -> Target | None:
    """The resource that a path names; None for a path that is no resource's."""
    parts = path.strip("/").split("/")
    if len(parts) >= 3 and parts[0] == "api":
        group, version, parts = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    resource, name, subresource, *rest = (*parts, "", "")[: max(len(parts), 3)]
    return Target(group, version, resource, namespace, name, subresource, "/".join(rest))


def verb_of(method: str, target: Target, *, watch: bool) -> str:
    """The verb of RBAC; empty for a method that means nothing here."""
    verb = _VERBS.get(method, "")
    if target.name:
        return verb
    if verb == "get":
        return "watch" if watch else "list"
    return "deletecollection" if verb == "delete" else verb
