"""A watch of projects shows what its user may see, from the moment when she may."""

import json
from collections.abc import Callable, Sequence

import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tests.unit.auth.projects.world import JANE, JOE, ROOT, ProjectWorld, shown
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.errors import ResourceExpired
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.selectors import EVERYTHING
from tidegate.apimachinery.storage import WatchOptions
from tidegate.apimachinery.store import Change, Key
from tidegate.auth.projects.kinds import Namespace
from tidegate.auth.projects.sight import ProjectWatch, Sight
from tidegate.auth.rbac.bootstrap import cluster_role_ref, user
from tidegate.auth.rbac.kinds import ClusterRoleBinding
from tidegate.auth.rbac.resources import CLUSTER_ROLE_BINDINGS
from tidegate.auth.stored import put_new


def touch(world: ProjectWorld, name: str) -> None:
    def change(current: object) -> Namespace:
        return Namespace(
            metadata=ObjectMeta(name=name, annotations={"touched": str(world.store.newest)})
        )

    world.run(world.namespaces.update(world.as_user(ROOT, "update"), name, change))


def test_a_watch_begins_with_what_she_sees(world: ProjectWorld) -> None:
    world.request("shop")
    world.create_namespace("secret")
    assert world.events(world.watch(JANE)) == ["ADDED shop"]
    assert world.events(world.watch(ROOT)) == ["ADDED secret", "ADDED shop"]


def test_a_streaming_list_ends_with_a_bookmark(world: ProjectWorld) -> None:
    world.request("shop")
    watch = world.watch(JANE, initial=True)
    events = world.run(watch.next(0.01))
    assert [shown(each) for each in events] == ["ADDED shop", "BOOKMARK -"]
    assert json.loads(events[-1].body)["metadata"]["annotations"]
    assert shown(watch.bookmark()) == "BOOKMARK -"


def test_changes_of_others_projects_are_not_told(world: ProjectWorld) -> None:
    world.request("shop")
    world.create_namespace("secret")
    watch = world.watch(JANE, revision=world.store.newest)
    touch(world, "secret")
    touch(world, "shop")
    world.create_namespace("another")
    assert world.events(watch) == ["MODIFIED shop"]
    assert world.events(watch) == []


def test_a_project_that_she_makes_is_added(world: ProjectWorld) -> None:
    watch = world.watch(JANE, revision=world.store.newest)
    world.request("shop")
    assert world.events(watch) == ["ADDED shop"]
    touch(world, "shop")
    assert world.events(watch) == ["MODIFIED shop"]


def test_a_project_comes_and_goes_with_the_binding(world: ProjectWorld) -> None:
    world.create_namespace("secret")
    watch = world.watch(JOE, revision=world.store.newest)
    assert world.events(watch) == []
    world.grant("secret", JOE)
    assert world.events(watch) == ["ADDED secret"]
    world.revoke("secret", "admin-joe")
    world.now += 1
    assert world.events(watch) == ["DELETED secret"]
    touch(world, "secret")
    assert world.events(watch) == []


def test_a_binding_that_is_told_before_the_namespace_s_changes_shows_it_once(
    world: ProjectWorld,
) -> None:
    watch = world.watch(JOE, revision=world.store.newest)
    world.create_namespace("secret")
    touch(world, "secret")
    world.grant("secret", JOE)
    assert world.events(watch) == ["ADDED secret"]


def test_a_project_that_is_gone_is_deleted_for_who_saw_it(world: ProjectWorld) -> None:
    world.request("shop")
    world.create_namespace("secret")
    watch = world.watch(JANE)
    assert world.events(watch) == ["ADDED shop"]
    for name in ("shop", "secret"):
        world.write(lambda tx, name=name: tx.delete(Key("namespaces", "", name)))
    assert world.events(watch) == ["DELETED shop"]


def test_what_went_between_list_and_watch_is_told_as_deleted(world: ProjectWorld) -> None:
    world.request("shop")
    revision = world.store.newest
    world.write(lambda tx: tx.delete(Key("namespaces", "", "shop")))
    watch = world.watch(JANE, revision=revision)
    assert world.events(watch) == ["DELETED shop"]
    world.revoke("shop", "admin")
    world.now += 1
    assert world.events(watch) == []


@pytest.mark.parametrize("who", [JANE, JOE])
def test_who_may_have_seen_something_else_between_two_watches_lists_again(
    world: ProjectWorld, who: User
) -> None:
    world.create_namespace("shop")
    revision = world.store.newest
    world.grant("shop", JOE)
    with pytest.raises(ResourceExpired):
        world.watch(who, revision=revision)
    assert world.store.watchers == 0
    assert world.events(world.watch(who, revision=world.store.newest)) == []


def test_a_bookmark_does_not_run_ahead_of_a_change_of_rights(world: ProjectWorld) -> None:
    world.create_namespace("shop")
    watch = world.watch(JOE)
    before = watch.bookmark().body
    world.grant("shop", JOE)
    assert watch.bookmark().body == before
    assert world.events(watch) == ["ADDED shop"]
    marked = json.loads(watch.bookmark().body)["metadata"]["resourceVersion"]
    assert marked == str(world.store.newest)


def test_who_sees_everything_watches_on_whatever_becomes_of_one_project(
    world: ProjectWorld,
) -> None:
    revision = world.store.newest
    world.create_namespace("shop")
    world.grant("shop", JOE)
    assert world.events(world.watch(ROOT, revision=revision)) == ["ADDED shop"]
    world.write(lambda tx: tx.delete(Key(CLUSTER_ROLE_BINDINGS.key, "", "self-provisioners")))
    with pytest.raises(ResourceExpired):
        world.watch(ROOT, revision=revision)


def test_a_binding_without_its_namespace_shows_nothing(world: ProjectWorld) -> None:
    watch = world.watch(JOE)
    world.grant("ghost", JOE)
    assert world.events(watch) == []
    watch = world.watch(JOE, revision=world.store.newest)
    world.revoke("ghost", "admin-joe")
    world.now += 1
    assert world.events(watch) == []


def test_who_comes_to_see_everything_lists_again(world: ProjectWorld) -> None:
    watch = world.watch(JOE)
    binding = ClusterRoleBinding(
        metadata=ObjectMeta(name="all"),
        subjects=[user("joe")],
        role_ref=cluster_role_ref("admin"),
    )
    world.write(lambda tx: put_new(tx, CLUSTER_ROLE_BINDINGS, binding, world.now))
    with pytest.raises(ResourceExpired):
        world.events(watch)


def test_who_sees_everything_goes_on_when_rights_change(world: ProjectWorld) -> None:
    watch = world.watch(ROOT, revision=world.store.newest)
    world.create_namespace("secret")
    world.grant("secret", JOE)
    assert world.events(watch) == ["ADDED secret"]


def test_a_watch_is_closed_with_what_it_stands_on(world: ProjectWorld) -> None:
    watch = world.watch(JANE)
    assert world.store.watchers == 1
    watch.close()
    assert world.store.watchers == 0


def test_rights_that_may_have_changed_unseen_are_looked_up_again(world: ProjectWorld) -> None:
    world.create_namespace("secret")
    sight = Sight(Unfollowed(), world.authorizer)
    namespaces = world.namespaces
    watched = WatchOptions(selection=EVERYTHING, revision=world.store.newest)
    call = world.as_user(JOE, "watch")
    inner = world.run(namespaces.watch(call, watched))
    watch = ProjectWatch(inner, namespaces, sight, call, EVERYTHING)
    world.run(watch.start(None))
    world.grant("secret", JOE)
    assert world.events(watch) == []
    Unfollowed.missed()
    assert world.events(watch) == ["ADDED secret"]


class Unfollowed(MemoryStore):
    """A store whose followers hear nothing but that they missed something."""

    missed: Callable[[], None]

    def follow(
        self,
        resources: Sequence[str],
        apply: Callable[[Change], None],
        reset: Callable[[], None] | None = None,
    ) -> None:
        assert reset is not None
        Unfollowed.missed = reset
