from tests.unit.auth.projects.world import JANE, ProjectWorld
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.store import Key
from tidegate.auth.projects.kinds import NAMESPACES
from tidegate.auth.projects.provision import (
    Provisioned,
    ensure_system_namespaces,
    provision,
    restore,
)
from tidegate.auth.rbac.resources import ROLE_BINDINGS
from tidegate.auth.secrets import SECRETS
from tidegate.auth.serviceaccounts.kinds import PULL_SECRET, SERVICE_ACCOUNTS

BINDINGS = ["system:deployers", "system:image-builders", "system:image-pullers"]


def provisioned(world: ProjectWorld, name: str, who: User | None = JANE) -> Provisioned:
    signer = world.signer()
    made: Provisioned = world.write(lambda tx: provision(tx, name, who, signer))
    return made


def names(world: ProjectWorld, resource: str, namespace: str) -> list[str]:
    return sorted(
        key.name
        for key in world.store.documents
        if (key.resource, key.namespace) == (resource, namespace)
    )


def test_a_project_comes_with_bindings_and_accounts_in_one_unit(world: ProjectWorld) -> None:
    units = world.store.units
    made = provisioned(world, "shop")
    assert made.created
    assert world.store.units == units + 1
    assert names(world, "rolebindings.rbac.authorization.k8s.io", "shop") == ["admin", *BINDINGS]
    assert names(world, "serviceaccounts", "shop") == ["builder", "default", "deployer"]
    assert len(names(world, "secrets", "shop")) == 3
    for name in ("builder", "default", "deployer"):
        account = world.find(SERVICE_ACCOUNTS, name)
        assert account is not None
        assert world.find(SECRETS, account.metadata.annotations[PULL_SECRET]) is not None


def test_its_requester_is_its_administrator(world: ProjectWorld) -> None:
    made = provisioned(world, "shop")
    assert made.namespace.metadata.annotations == {
        "openshift.io/description": "",
        "openshift.io/display-name": "",
        "openshift.io/requester": "jane",
    }
    binding = world.find(ROLE_BINDINGS, "admin")
    assert binding is not None
    assert (binding.role_ref.kind, binding.role_ref.name) == ("ClusterRole", "admin")
    (subject,) = binding.subjects
    assert (subject.kind, subject.name) == ("User", "jane")
    assert world.seen(JANE) == ["shop"]


def test_a_service_account_becomes_the_administrator_as_one(world: ProjectWorld) -> None:
    provisioned(world, "shop", User("system:serviceaccount:ci:robot"))
    binding = world.find(ROLE_BINDINGS, "admin")
    assert binding is not None
    (subject,) = binding.subjects
    assert (subject.kind, subject.namespace, subject.name) == ("ServiceAccount", "ci", "robot")


def test_a_project_of_nobody_has_no_administrator(world: ProjectWorld) -> None:
    made = provisioned(world, "shop", None)
    assert made.namespace.metadata.annotations == {}
    assert names(world, "rolebindings.rbac.authorization.k8s.io", "shop") == BINDINGS


def test_a_project_that_is_there_stays_as_it_is(world: ProjectWorld) -> None:
    provisioned(world, "shop")
    revision = world.store.newest
    made = provisioned(world, "shop", User("joe"))
    assert not made.created
    assert made.namespace.metadata.annotations["openshift.io/requester"] == "jane"
    assert world.store.newest == revision


def test_what_was_deleted_is_restored_and_nothing_else_is_written(world: ProjectWorld) -> None:
    provisioned(world, "shop")
    world.revoke("shop", "system:image-pullers")
    world.write(lambda tx: tx.delete(Key("serviceaccounts", "shop", "builder")))
    signer = world.signer()
    assert world.write(lambda tx: restore(tx, "shop", signer))
    assert "system:image-pullers" in names(world, "rolebindings.rbac.authorization.k8s.io", "shop")
    assert names(world, "serviceaccounts", "shop") == ["builder", "default", "deployer"]
    assert not world.write(lambda tx: restore(tx, "shop", signer))
    assert not world.write(lambda tx: restore(tx, "ghost", signer))


def test_nothing_is_restored_in_a_project_that_is_going(world: ProjectWorld) -> None:
    provisioned(world, "shop")
    world.delete_namespace("shop")
    world.revoke("shop", "system:image-pullers")
    signer = world.signer()
    assert not world.write(lambda tx: restore(tx, "shop", signer))


def test_the_system_s_namespaces_are_made_once(world: ProjectWorld) -> None:
    signer = world.signer()
    world.write(lambda tx: ensure_system_namespaces(tx, signer))
    found = names(world, NAMESPACES.key, "")
    assert found == ["default", "kube-public", "kube-system", "openshift", "openshift-config"]
    revision = world.store.newest
    world.write(lambda tx: ensure_system_namespaces(tx, signer))
    assert world.store.newest == revision
