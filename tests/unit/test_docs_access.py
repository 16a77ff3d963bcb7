"""The tables of docs/access.md and docs/ci.md say what the code says.

The roles' table is computed anew from the default roles: each is bound to a user in a project, then
for the whole cluster, and the index is asked for what docs say that an operation needs.
"""

import re
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from pathlib import Path

import msgspec
import pytest

from tests.unit.auth.rbac.documents import binding, cluster_binding, key_of
from tidegate.apimachinery.authorizer import Attributes, User
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.store import Key
from tidegate.auth.keys import KEPT_FOR, ROTATED_EVERY
from tidegate.auth.oidc.ci import CiIssuer
from tidegate.auth.oidc.logins import OidcIssuer
from tidegate.auth.oidc.verification import ALGORITHMS
from tidegate.auth.rbac import bootstrap
from tidegate.auth.rbac.bootstrap_roles import cluster_roles
from tidegate.auth.rbac.index import RbacIndex
from tidegate.auth.rbac.kinds import ClusterRoleBinding, RoleBinding, Subject
from tidegate.auth.rbac.resources import CLUSTER_ROLES
from tidegate.auth.scope import repository_grant, rights
from tidegate.auth.serviceaccounts.kinds import LONGEST, SHORTEST, USUAL
from tidegate.auth.throttle import FORGOTTEN_AFTER, PER_NETWORK, PER_USER, PER_USER_AND_NETWORK
from tidegate.oci.name import RepositoryName
from tidegate.registry.access import DELETE_IMAGES, LIST_EVERYWHERE

DOCS = Path(__file__).parent.parent.parent / "docs"

SHOP, ANN = "shop", User("ann")

IN_PROJECT, EVERYWHERE = "yes", "cluster"

OTHER_GROUPS = {
    "projectrequests": "project.openshift.io",
    "imagedigestmirrorsets": "config.openshift.io",
    **dict.fromkeys(("imageapprovals", "mirrors", "tagpolicies", "triggerpolicies"), "tidegate.io"),
    **dict.fromkeys(("eventsubscriptions", "clustereventsubscriptions", "rollouts"), "tidegate.io"),
    **dict.fromkeys(("backgroundjobs", "upstreams"), "tidegate.io"),
}
"""Resources of docs that are not images'."""


def table(page: str, name: str) -> list[list[str]]:
    """The rows between a page's two comments of a name; code marks are taken off."""
    text = (DOCS / page).read_text("utf-8").split(f"<!-- {name} -->")[1]
    lines = text.split(f"<!-- /{name} -->")[0].strip().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return [rows[0], *rows[2:]]


def plain(cell: str) -> str:
    return cell.replace("`", "")


def asked(text: str) -> tuple[bool, Attributes]:
    """What `verb resource` asks about the stream `web`, and whether for the whole cluster."""
    match = re.fullmatch(r"`(\w+) ([a-z/]+)`(,? cluster-wide)?", text)
    assert match, text
    verb, resource = match[1], match[2]
    group = OTHER_GROUPS.get(resource.partition("/")[0], "image.openshift.io")
    if match[3]:
        return True, Attributes(verb, resource, group=group)
    name = {"imagestreamtags": "web:1.0", "imagestreams": ""}.get(resource, "web")
    return False, Attributes(verb, resource, SHOP, name, group)


Needs = dict[str, list[list[tuple[bool, Attributes]]]]


def needs(name: str = "operations") -> Needs:
    """For each operation of docs the rights that it needs all of, each in its alternatives."""
    found: Needs = {}
    for operation, _, cell in table("access.md", name)[1:]:
        if "`" not in cell:
            continue
        parts = [part.strip() for part in cell.split(", and ")]
        alternatives = [part.split(", or ") for part in parts if part != "push"]
        found[operation] = [[asked(each) for each in either] for either in alternatives]
        if "push" in parts:
            found[operation] += found["push"]
    return found


def index_of_default_roles() -> RbacIndex:
    index = RbacIndex()
    for role in cluster_roles():
        key = Key(CLUSTER_ROLES.key, "", role.metadata.name)
        index.apply(key, msgspec.json.encode(role))
    return index


def done_by(index: RbacIndex, bound: Object, needs: Needs) -> set[str]:
    """The operations that one binding lets ann do."""
    index.apply(key_of(bound), msgspec.json.encode(bound))
    done = {
        operation
        for operation, needed in needs.items()
        if all(any(index.allows(ANN, each) for _, each in either) for either in needed)
    }
    index.apply(key_of(bound), None)
    return done


@pytest.mark.parametrize(
    "about", ["", "stream ", "outside "], ids=["registry", "streams", "outside"]
)
def test_each_role_may_do_what_its_row_says_and_no_role_is_left_out(about: str) -> None:
    heading, *rows = table("access.md", f"{about}roles")
    operations = heading[1:]
    documented = {plain(row[0]): dict(zip(operations, row[1:], strict=True)) for row in rows}
    needed = needs(f"{about}operations")
    assert set(operations) == set(needed)
    index = index_of_default_roles()
    expected = {}
    for role in (each.metadata.name for each in cluster_roles()):
        if "aggregate-to-" in role:
            continue  # a part of others, bound to nobody
        in_project = done_by(index, binding(SHOP, "b", f"ClusterRole/{role}", "User/ann"), needed)
        everywhere = done_by(index, cluster_binding("b", role, "User/ann"), needed)
        assert in_project <= everywhere
        if everywhere:
            words = dict.fromkeys(everywhere, EVERYWHERE) | dict.fromkeys(in_project, IN_PROJECT)
            expected[role] = {each: words.get(each, "") for each in operations}
    assert documented == expected


def test_the_registry_asks_for_the_rights_that_are_documented() -> None:
    web = RepositoryName.parse("shop/web")
    needed = needs()

    def documented(operation: str) -> list[Attributes]:
        return [each for either in needed[operation] for _, each in either]

    assert documented("pull") == list(rights(repository_grant(web, "pull")))
    assert documented("push") == list(rights(repository_grant(web, "push")))
    create = Attributes("create", "imagestreams", SHOP)
    assert documented("first push") == [create, *documented("push")]
    assert documented("delete") == [
        Attributes("delete", "imagestreamtags", SHOP, "web:1.0"),
        DELETE_IMAGES,
    ]
    assert documented("prune") == [DELETE_IMAGES]
    assert documented("anonymous catalog") == [LIST_EVERYWHERE]


def rows_of(bindings: Iterable[RoleBinding | ClusterRoleBinding]) -> list[list[str]]:
    return [
        [each.metadata.name, each.role_ref.name, ", ".join(map(described, each.subjects))]
        for each in bindings
    ]


def described(subject: Subject) -> str:
    return f"{subject.kind} {subject.name}"


def test_the_bindings_of_every_project_are_documented() -> None:
    documented = [list(map(plain, row)) for row in table("access.md", "project bindings")[1:]]
    assert documented == rows_of(bootstrap.namespace_bindings("PROJECT"))


def test_every_default_binding_that_lets_somebody_use_the_registry_is_documented() -> None:
    documented = [list(map(plain, row)) for row in table("access.md", "cluster bindings")[1:]]
    known = {plain(row[0]) for row in table("access.md", "roles")[1:]}
    bindings = [each for each in bootstrap.cluster_role_bindings() if each.role_ref.name in known]
    assert documented == rows_of(bindings)


@pytest.mark.parametrize(
    ("page", "name", "kind"), [("access.md", "oidc", OidcIssuer), ("ci.md", "ci", CiIssuer)]
)
def test_every_key_of_an_issuer_is_documented_with_its_default(
    page: str, name: str, kind: type[OidcIssuer] | type[CiIssuer]
) -> None:
    documented = {plain(row[0]): plain(row[1]) for row in table(page, name)[1:]}
    declared = {each.name: default_of(each) for each in fields(kind)}
    assert documented == declared


def default_of(declared: Field[object]) -> str:
    if declared.default is MISSING:
        return "needed"
    if declared.default == ALGORITHMS:
        return "all"
    return "" if declared.default in ("", ()) else str(declared.default)


def test_figures_that_are_told_are_those_in_force() -> None:
    text = (DOCS / "access.md").read_text("utf-8")
    for label, patience in (
        ("user and address", PER_USER_AND_NETWORK),
        ("address (an IPv6 /64 is one)", PER_NETWORK),
        ("user", PER_USER),
    ):
        line = re.search(rf"^\| {re.escape(label)} \| (\d+) \|.*\| (\d+) s \|$", text, re.MULTILINE)
        assert line, label
        assert (int(line[1]), float(line[2])) == (patience.free, patience.longest)
    assert FORGOTTEN_AFTER == 15 * 60
    assert (SHORTEST, USUAL, LONGEST) == (600, 3600, 365 * 86_400)
    assert (ROTATED_EVERY, KEPT_FOR) == (30 * 86_400, 366 * 86_400)
