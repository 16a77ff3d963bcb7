"""Answers and texts as OpenShift's project and projectrequest storage give them."""

import json
from typing import Any

import pytest

from tests.unit.auth.projects.world import JANE, JOE, ROOT, ProjectWorld
from tidegate.apimachinery.errors import (
    AlreadyExists,
    Forbidden,
    Invalid,
    NotFound,
)
from tidegate.apimachinery.http.endpoints import Endpoints
from tidegate.apimachinery.meta import Object, ObjectMeta
from tidegate.apimachinery.selectors import EVERYTHING, Selection, parse_labels
from tidegate.apimachinery.storage import Call, DeleteOptions, ListOptions
from tidegate.apimachinery.store import Key
from tidegate.auth.projects.kinds import (
    NAMESPACES,
    SYSTEM_NAMESPACES,
    Namespace,
    Project,
    ProjectRequest,
)
from tidegate.auth.projects.storage import MayRequest, requestable
from tidegate.auth.serviceaccounts.kinds import SERVICE_ACCOUNTS


def test_every_resource_is_served_with_all_its_verbs(world: ProjectWorld) -> None:
    Endpoints(world.served, world.clock)  # raises when a storage lacks a verb
    assert [each.names_namespace for each in world.served] == [False, True, False]


def test_a_request_is_answered_with_the_project(world: ProjectWorld) -> None:
    project = world.request("shop", display_name="The shop", description="Sells")
    assert project["kind"] == "Project"
    assert project["apiVersion"] == "project.openshift.io/v1"
    assert project["metadata"]["annotations"] == {
        "openshift.io/description": "Sells",
        "openshift.io/display-name": "The shop",
        "openshift.io/requester": "jane",
    }
    assert project["spec"] == {"finalizers": ["kubernetes"]}
    assert project["status"] == {"phase": "Active"}
    assert project["metadata"]["resourceVersion"]


def test_a_request_makes_all_of_a_project_or_nothing(world: ProjectWorld) -> None:
    units = world.store.units
    world.request("shop")
    assert world.store.units == units + 1
    assert world.find(SERVICE_ACCOUNTS, "builder") is not None


@pytest.mark.parametrize("fields", [{"display_name": "a\nb"}, {"description": "x" * 300_000}])
def test_what_people_read_of_a_project_is_bounded(
    world: ProjectWorld, fields: dict[str, str]
) -> None:
    with pytest.raises(Invalid, match=r"metadata\.annotations"):
        world.request("shop", JANE, **fields)


def test_a_dry_run_makes_nothing(world: ProjectWorld) -> None:
    call = Call(user=JANE, verb="create", dry_run=True)
    new = ProjectRequest(metadata=ObjectMeta(name="shop"))
    body = json.loads(world.run(world.project_requests.create(call, new)))
    assert "resourceVersion" not in body["metadata"]
    assert Key(NAMESPACES.key, "", "shop") not in world.store.documents


@pytest.mark.parametrize("who", [JANE, JOE])
def test_a_project_that_is_there_is_there_for_everybody(world: ProjectWorld, who: Any) -> None:
    world.request("shop")
    with pytest.raises(AlreadyExists) as refused:
        world.request("shop", who)
    assert str(refused.value) == 'project.project.openshift.io "shop" already exists'


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("openshift", 'cannot request a project with the name "openshift"'),
        ("kube", 'cannot request a project with the name "kube"'),
        ("openshift-x", 'cannot request a project starting with "openshift-"'),
        ("kubernetes-x", 'cannot request a project starting with "kubernetes-"'),
        ("kube-system", 'cannot request a project starting with "kube-"'),
    ],
)
def test_some_names_cannot_be_requested(world: ProjectWorld, name: str, why: str) -> None:
    with pytest.raises(Forbidden) as refused:
        world.request(name)
    assert str(refused.value) == f'project.project.openshift.io "{name}" is forbidden: {why}'
    assert not requestable(name)


def test_other_names_can() -> None:
    assert requestable("kubelet")
    assert not requestable("a")
    assert not requestable("A-b")


def test_a_name_that_is_none_is_invalid(world: ProjectWorld) -> None:
    with pytest.raises(Invalid) as refused:
        world.request("x")
    assert str(refused.value) == (
        'ProjectRequest.project.openshift.io "x" is invalid: metadata.name: Invalid value: "x": '
        "must be at least 2 characters long"
    )


def test_listing_requests_says_whether_one_may(world: ProjectWorld) -> None:
    with pytest.raises(MayRequest) as answer:
        world.run(
            world.project_requests.list(world.as_user(JANE), ListOptions(selection=EVERYTHING))
        )
    assert answer.value.code == 200
    assert answer.value.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
    }
    with pytest.raises(Forbidden) as refused:
        world.run(
            world.project_requests.list(world.as_user(JOE), ListOptions(selection=EVERYTHING))
        )
    assert str(refused.value) == "You may not request a new project via this API."
    assert refused.value.status()["details"] == {
        "group": "project.openshift.io",
        "kind": "projectrequest",
    }


def test_users_see_the_projects_that_they_may_get(world: ProjectWorld) -> None:
    world.request("shop")
    world.create_namespace("secret")
    assert world.seen(JANE) == ["shop"]
    assert world.seen(JOE) == []
    assert world.seen(ROOT) == ["secret", "shop"]
    world.grant("secret", JOE)
    assert world.seen(JOE) == ["secret"]
    world.revoke("secret", "admin-joe")
    world.now += 1
    assert world.seen(JOE) == []


def test_projects_are_selected_by_labels(world: ProjectWorld) -> None:
    world.request("shop")
    world.request("lab")
    selection = Selection(labels=parse_labels("kubernetes.io/metadata.name=lab"))
    assert world.seen(JANE, selection) == ["lab"]


def test_who_sees_everything_gets_pages(world: ProjectWorld) -> None:
    for name in ("aa", "bb", "cc"):
        world.create_namespace(name)
    options = ListOptions(selection=EVERYTHING, limit=2)
    page = world.run(world.projects.list(world.as_user(ROOT), options))
    assert len(page.bodies) == 2
    assert page.token


def test_a_project_is_read_and_missed_as_its_namespace(world: ProjectWorld) -> None:
    world.request("shop")
    body = json.loads(world.run(world.projects.get(world.as_user(JANE), "shop")))
    assert (body["kind"], body["metadata"]["name"]) == ("Project", "shop")
    with pytest.raises(NotFound, match='namespaces "ghost" not found'):
        world.run(world.projects.get(world.as_user(JANE), "ghost"))


def test_a_project_s_annotations_for_people_are_changed(world: ProjectWorld) -> None:
    world.request("shop")

    def change(current: Any) -> Object:
        assert current["kind"] == "Project"
        annotations = {**current["metadata"]["annotations"], "openshift.io/display-name": "New"}
        return Project(
            metadata=ObjectMeta(
                name="shop", annotations=annotations, labels=current["metadata"]["labels"]
            )
        )

    updated = world.run(world.projects.update(world.as_user(JANE, "update"), "shop", change))
    assert json.loads(updated.body)["kind"] == "Project"
    namespace = world.find(NAMESPACES, "shop", "")
    assert namespace is not None
    assert namespace.kind == "Namespace"
    assert namespace.metadata.annotations["openshift.io/display-name"] == "New"
    assert namespace.spec.finalizers == ["kubernetes"]


def test_a_project_s_other_annotations_are_not(world: ProjectWorld) -> None:
    world.request("shop")
    wanted = Project(metadata=ObjectMeta(name="shop", annotations={"openshift.io/requester": "x"}))
    with pytest.raises(Invalid, match="field is immutable, try updating the namespace"):
        world.run(world.projects.update(world.as_user(JANE, "update"), "shop", lambda _: wanted))


def test_a_project_that_is_created_is_furnished(world: ProjectWorld) -> None:
    new = Project(metadata=ObjectMeta(name="shop"))
    body = json.loads(world.run(world.projects.create(world.as_user(ROOT, "create"), new)))
    assert body["kind"] == "Project"
    assert world.find(SERVICE_ACCOUNTS, "builder") is not None
    with pytest.raises(Invalid, match="must be at least 2 characters long"):
        world.run(
            world.projects.create(
                world.as_user(ROOT, "create"), Project(metadata=ObjectMeta(name="x"))
            )
        )


def test_a_namespace_that_is_created_is_furnished_in_the_same_unit(world: ProjectWorld) -> None:
    units = world.store.units
    namespace = world.create_namespace("shop")
    assert namespace["status"] == {"phase": "Active"}
    assert world.store.units == units + 1
    assert world.find(SERVICE_ACCOUNTS, "deployer") is not None


def test_a_namespace_that_is_applied_is_furnished_from_the_start(world: ProjectWorld) -> None:
    def wanted(_current: object) -> Namespace:
        return Namespace(metadata=ObjectMeta(name="shop"))

    call = world.as_user(ROOT, "patch", "shop")
    assert world.run(world.namespaces.update(call, "shop", wanted, creates=True)).created
    assert world.find(SERVICE_ACCOUNTS, "deployer") is not None


def test_a_project_that_is_deleted_is_terminating_until_it_is_empty(world: ProjectWorld) -> None:
    world.request("shop")
    call = world.as_user(JANE, "delete")
    deleted = world.run(world.projects.delete(call, "shop", DeleteOptions()))
    assert not deleted.gone
    body = json.loads(deleted.body)
    assert body["kind"] == "Project"
    assert body["status"]["phase"] == "Terminating"
    assert body["metadata"]["deletionTimestamp"]
    again = world.run(world.projects.delete(call, "shop", DeleteOptions()))
    assert not again.gone


def test_no_content_is_made_in_a_namespace_that_is_going(world: ProjectWorld) -> None:
    world.request("shop")
    world.delete_namespace("shop")
    with pytest.raises(Forbidden, match="because it is being terminated"):
        world.make_account("late")
    with pytest.raises(AlreadyExists):
        world.request("shop")


@pytest.mark.parametrize("name", SYSTEM_NAMESPACES)
def test_the_system_s_namespaces_may_not_be_deleted(world: ProjectWorld, name: str) -> None:
    with pytest.raises(Forbidden) as refused:
        world.delete_namespace(name)
    assert str(refused.value) == (
        f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    )


def test_finalizing_does_not_hurry_the_end(world: ProjectWorld) -> None:
    world.request("shop")
    world.delete_namespace("shop")
    finalize = world.served[0].subresources["finalize"]
    empty = Namespace(metadata=ObjectMeta(name="shop"))
    world.run(finalize.update(world.as_user(ROOT, "update"), "shop", lambda _: empty))
    namespace = world.find(NAMESPACES, "shop", "")
    assert namespace is not None
    assert namespace.spec.finalizers == ["kubernetes"]


def test_a_kind_that_does_not_belong_here_is_a_mistake_of_ours(world: ProjectWorld) -> None:
    for storage in (world.projects, world.project_requests):
        with pytest.raises(TypeError):
            world.run(storage.create(world.as_user(JANE, "create"), Namespace()))
