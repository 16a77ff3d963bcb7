"""Namespaces, projects and rights on a store in memory."""

import json
from collections.abc import Sequence
from typing import Any

from tests.unit.auth.serviceaccounts.world import World
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.selectors import EVERYTHING, Selection
from tidegate.apimachinery.storage import (
    Call,
    DeleteOptions,
    Event,
    ListOptions,
    Storage,
    Watch,
    WatchOptions,
)
from tidegate.apimachinery.store import DocumentTransaction, Key
from tidegate.auth.projects.kinds import Namespace, ProjectRequest
from tidegate.auth.projects.serving import serve
from tidegate.auth.rbac.authorizer import RbacAuthorizer
from tidegate.auth.rbac.bootstrap import cluster_role_ref, user
from tidegate.auth.rbac.kinds import ClusterRole, ClusterRoleBinding, PolicyRule, RoleBinding
from tidegate.auth.rbac.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS
from tidegate.auth.stored import put_new

JANE, JOE, ROOT = User("jane"), User("joe"), User("root", ("system:masters",))

_ADMIN = PolicyRule(
    verbs=["get", "update", "patch", "delete"],
    api_groups=["project.openshift.io"],
    resources=["projects"],
)
_REQUEST = PolicyRule(
    verbs=["create"], api_groups=["project.openshift.io"], resources=["projectrequests"]
)


class ProjectWorld(World):
    """A world in which jane may request projects, joe may not, and root may do everything."""

    def __init__(self) -> None:
        super().__init__()
        self.authorizer = RbacAuthorizer(self.store, self.clock)
        self.run(self.authorizer.start())
        served = serve(self.store, self.authorizer, self.tokens, self.clock)
        self.served: Sequence[Served] = served
        self.namespaces: Storage = served[0].storage
        self.projects: Storage = served[1].storage
        self.project_requests: Storage = served[2].storage
        self.write(self._roles)

    def _roles(self, tx: DocumentTransaction) -> None:
        for name, rule in (("admin", _ADMIN), ("self-provisioner", _REQUEST)):
            role = ClusterRole(metadata=ObjectMeta(name=name), rules=[rule])
            put_new(tx, CLUSTER_ROLES, role, self.now)
        binding = ClusterRoleBinding(
            metadata=ObjectMeta(name="self-provisioners"),
            subjects=[user("jane")],
            role_ref=cluster_role_ref("self-provisioner"),
        )
        put_new(tx, CLUSTER_ROLE_BINDINGS, binding, self.now)

    def write(self, unit: Any) -> Any:
        return self.run(self.store.write(unit))

    def as_user(self, who: User, verb: str = "get", name: str = "") -> Call:
        return Call(user=who, verb=verb, name=name)

    def request(self, name: str, who: User = JANE, **fields: str) -> dict[str, Any]:
        new = ProjectRequest(metadata=ObjectMeta(name=name), **fields)
        body = self.run(self.project_requests.create(self.as_user(who, "create"), new))
        project: dict[str, Any] = json.loads(body)
        return project

    def create_namespace(self, name: str) -> dict[str, Any]:
        new = Namespace(metadata=ObjectMeta(name=name))
        body = self.run(self.namespaces.create(self.as_user(ROOT, "create"), new))
        namespace: dict[str, Any] = json.loads(body)
        return namespace

    def delete_namespace(self, name: str) -> None:
        self.run(self.namespaces.delete(self.as_user(ROOT), name, DeleteOptions()))

    def grant(self, namespace: str, who: User) -> None:
        binding = RoleBinding(
            metadata=ObjectMeta(name=f"admin-{who.name}", namespace=namespace),
            subjects=[user(who.name)],
            role_ref=cluster_role_ref("admin"),
        )
        self.write(lambda tx: put_new(tx, ROLE_BINDINGS, binding, self.now))

    def revoke(self, namespace: str, name: str) -> None:
        self.write(lambda tx: tx.delete(Key(ROLE_BINDINGS.key, namespace, name)))

    def seen(self, who: User, selection: Selection = EVERYTHING) -> list[str]:
        page = self.run(self.projects.list(self.as_user(who), ListOptions(selection=selection)))
        return [json.loads(each)["metadata"]["name"] for each in page.bodies]

    def watch(self, who: User, *, revision: int | None = None, **options: Any) -> Watch:
        wanted = WatchOptions(selection=EVERYTHING, revision=revision, **options)
        watch: Watch = self.run(self.projects.watch(self.as_user(who, "watch"), wanted))
        return watch

    def events(self, watch: Watch) -> list[str]:
        return [shown(each) for each in self.run(watch.next(0.01))]


def shown(event: Event) -> str:
    body = json.loads(event.body)
    assert body["kind"] == "Project"
    assert body["apiVersion"] == "project.openshift.io/v1"
    return f"{event.kind} {body['metadata'].get('name', '-')}"
