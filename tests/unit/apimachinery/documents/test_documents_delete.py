from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from tests.unit.apimachinery.documents_world import (
    CRATES,
    STAMP,
    WIDGETS,
    Widget,
    World,
    asked,
    names,
    owner,
    read,
    revision,
    upcoming,
    widget,
)
from tidegate.apimachinery.errors import NotFound, UpdateConflict
from tidegate.apimachinery.selectors import EVERYTHING, Selection, parse_labels
from tidegate.apimachinery.storage import DeleteOptions, ListOptions
from tidegate.apimachinery.store import Key

HOLD = "example.com/hold"


async def owned(
    world: World, name: str, *owners: Mapping[str, Any], blocks: bool | None = None, **metadata: Any
) -> dict[str, Any]:
    references = [owner(each, blocks=blocks) for each in owners]
    (made,) = await world.create(widget(name, owners=references, **metadata))
    return made


async def release(world: World, name: str, finalizers: Sequence[str] = ()) -> None:
    """Do what a finalizer's controller does."""
    await world.update(name, lambda values: values["metadata"].update(finalizers=list(finalizers)))


def owners_of(values: Mapping[str, Any]) -> list[str]:
    return [each["name"] for each in values["metadata"].get("ownerReferences", [])]


def test_a_deleted_object_is_gone_and_answered_as_it_last_was() -> None:
    world = World()

    async def scenario() -> None:
        (made,) = await world.create(widget("a"))
        deleted = await world.delete("a")
        assert deleted.gone
        values = read(deleted.body)
        assert revision(values) == world.store.newest > revision(made)
        made["metadata"]["resourceVersion"] = values["metadata"]["resourceVersion"]
        assert values == made
        with pytest.raises(NotFound) as refusal:
            await world.delete("a")
        assert str(refusal.value) == 'widgets.example.com "a" not found'

    world.run(scenario())


def test_preconditions_must_hold() -> None:
    world = World()

    async def scenario() -> None:
        (made,) = await world.create(widget("a"))
        uid = made["metadata"]["uid"]
        with pytest.raises(UpdateConflict) as refusal:
            await world.delete("a", uid="x")
        assert str(refusal.value) == (
            'Operation cannot be fulfilled on Widget.example.com "a": the UID in the precondition '
            f"(x) does not match the UID in record ({uid}). The object might have been deleted and "
            "then recreated"
        )
        with pytest.raises(UpdateConflict) as refusal:
            await world.delete("a", uid=uid, resource_version="1")
        assert str(refusal.value) == (
            'Operation cannot be fulfilled on Widget.example.com "a": the ResourceVersion in the '
            f"precondition (1) does not match the ResourceVersion in record ({revision(made)}). "
            "The object might have been modified"
        )
        await world.delete("a", uid=uid, resource_version=str(revision(made)))

    world.run(scenario())


def test_finalizers_hold_an_object_until_the_last_is_removed() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a", finalizers=[HOLD, "example.com/two"]))
        deleted = await world.delete("a")
        assert not deleted.gone
        metadata = read(deleted.body)["metadata"]
        assert metadata["deletionTimestamp"] == STAMP
        assert metadata["deletionGracePeriodSeconds"] == 0
        assert metadata["generation"] == 2  # as Kubernetes counts the beginning of a deletion
        newest = world.store.newest
        again = await world.delete("a")
        assert (again.gone, world.store.newest) == (False, newest)
        watch = await world.watch(newest)
        await release(world, "a", [HOLD])
        assert await world.names() == ["a"]
        await release(world, "a")
        assert await world.names() == []
        assert await upcoming(watch) == [("MODIFIED", "a"), ("DELETED", "a")]
        watch.close()

    world.run(scenario())


def test_the_update_that_removes_the_last_finalizer_is_answered_with_the_object() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a", finalizers=[HOLD]))
        await world.delete("a")
        drop = lambda values: values["metadata"].pop("finalizers")  # noqa: E731
        rehearsed = await world.update("a", drop, dry_run=True)
        assert await world.names() == ["a"]
        updated = await world.update("a", drop)
        assert updated.body == rehearsed.body
        assert "finalizers" not in read(updated.body)["metadata"]
        assert await world.names() == []

    world.run(scenario())


def test_a_rehearsed_delete_leaves_everything() -> None:
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a")
        await owned(world, "b", made)
        await owned(world, "c", finalizers=[HOLD])
        before = dict(world.store.documents)
        assert (await world.delete("a", dry_run=True)).gone
        held = await world.delete("c", dry_run=True)
        assert not held.gone
        assert read(held.body)["metadata"]["deletionTimestamp"] == STAMP
        assert world.store.documents == before

    world.run(scenario())


@pytest.mark.parametrize("propagation", ["", "Background", "Foreground"])
def test_an_owner_takes_its_dependents_along_in_one_unit(propagation: str) -> None:
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a")
        child = await owned(world, "b", made, blocks=True)
        await owned(world, "c", child)
        await owned(world, "other")
        units = world.store.units
        assert (await world.delete("a", propagation=propagation)).gone
        assert await world.names() == ["other"]
        assert world.store.units == units + 1

    world.run(scenario())


def test_dependents_of_other_kinds_go_too() -> None:
    world = World()

    async def scenario() -> None:
        made = read(await world.crates.create(asked("create", ""), widget("crate")))
        references = [owner(made, "Crate")]
        await world.create(widget("a", owners=references), widget("b", "yard", owners=references))
        await world.crates.delete(asked("delete", ""), "crate", DeleteOptions())
        assert names(await world.list(namespace="")) == []

    world.run(scenario())


def test_an_owner_in_a_namespace_owns_nothing_outside_of_it() -> None:
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a")
        await world.create(widget("b", "yard", owners=[owner(made)]))
        await world.crates.create(asked("create", ""), widget("crate", owners=[owner(made)]))
        await world.delete("a")
        assert await world.names("yard") == ["b"]
        assert Key(CRATES.key, "", "crate") in world.store.documents

    world.run(scenario())


def test_a_dependent_with_another_owner_stays_and_forgets_the_one_that_went() -> None:
    world = World()

    async def scenario() -> None:
        one, two = await owned(world, "one"), await owned(world, "two")
        await owned(world, "child", one, two)
        await world.delete("one")
        assert owners_of(await world.get("child")) == ["two"]
        await world.delete("two")
        assert await world.names() == []

    world.run(scenario())


def test_a_dependent_all_of_whose_owners_go_together_goes() -> None:
    world = World()

    async def scenario() -> None:
        root = await owned(world, "root")
        left, right = await owned(world, "left", root), await owned(world, "right", root)
        await owned(world, "child", left, right)
        await world.delete("root")
        assert await world.names() == []

    world.run(scenario())


def test_owners_in_a_circle_go_together() -> None:
    world = World()

    async def scenario() -> None:
        one = await owned(world, "one")
        two = await owned(world, "two", one)
        reference = msgspec.to_builtins(owner(two))
        await world.update(
            "one", lambda values: values["metadata"].update(ownerReferences=[reference])
        )
        await world.delete("two")
        assert await world.names() == []

    world.run(scenario())


def test_orphans_stay_and_have_no_owner() -> None:
    world = World()

    async def scenario() -> None:
        one, two = await owned(world, "one"), await owned(world, "two")
        await owned(world, "both", one, two)
        await owned(world, "only", one)
        assert (await world.delete("one", propagation="Orphan")).gone
        assert owners_of(await world.get("both")) == ["two"]
        assert "ownerReferences" not in (await world.get("only"))["metadata"]

    world.run(scenario())


def test_an_object_says_by_a_finalizer_how_it_is_to_be_deleted() -> None:
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a", finalizers=["orphan"])
        await owned(world, "b", made)
        assert (await world.delete("a")).gone
        assert await world.names() == ["b"]
        other = await owned(world, "c", finalizers=["foregroundDeletion"])
        await owned(world, "d", other, blocks=True, finalizers=[HOLD])
        assert not (await world.delete("c")).gone
        overridden = await owned(world, "e", finalizers=["orphan"])
        await owned(world, "f", overridden)
        assert (await world.delete("e", propagation="Background")).gone
        assert await world.names() == ["b", "c", "d"]

    world.run(scenario())


def test_dependents_wait_for_an_owner_whose_finalizers_hold_it() -> None:
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a", finalizers=[HOLD])
        await owned(world, "b", made)
        await world.delete("a")
        assert await world.names() == ["a", "b"]
        await release(world, "a")
        assert await world.names() == []

    world.run(scenario())


def test_the_finalizers_of_a_dependent_are_honoured() -> None:
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a")
        child = await owned(world, "b", made, finalizers=[HOLD])
        await owned(world, "c", child)
        assert (await world.delete("a")).gone
        assert await world.names() == ["b", "c"]
        assert (await world.get("b"))["metadata"]["deletionTimestamp"] == STAMP
        await release(world, "b")
        assert await world.names() == []

    world.run(scenario())


def test_a_foreground_deletion_waits_for_dependents_that_block_it() -> None:
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a")
        await owned(world, "b", made, blocks=True, finalizers=[HOLD])
        await owned(world, "c", made, blocks=True, finalizers=[HOLD])
        await owned(world, "d", made, blocks=True)
        deleted = await world.delete("a", propagation="Foreground")
        assert not deleted.gone
        assert read(deleted.body)["metadata"]["finalizers"] == ["foregroundDeletion"]
        assert await world.names() == ["a", "b", "c"]
        await release(world, "b")
        assert await world.names() == ["a", "c"]
        await release(world, "c")
        assert await world.names() == []

    world.run(scenario())


def test_a_foreground_deletion_does_not_wait_for_what_does_not_block_it() -> None:
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a")
        await owned(world, "b", made, finalizers=[HOLD])
        assert (await world.delete("a", propagation="Foreground")).gone
        assert await world.names() == ["b"]

    world.run(scenario())


def test_a_foreground_deletion_goes_on_over_generations() -> None:
    world = World()

    async def scenario() -> None:
        root = await owned(world, "root")
        child = await owned(world, "child", root, blocks=True)
        await owned(world, "grandchild", child, blocks=True, finalizers=[HOLD])
        assert not (await world.delete("root", propagation="Foreground")).gone
        assert await world.names() == ["child", "grandchild", "root"]
        await release(world, "grandchild")
        assert await world.names() == []

    world.run(scenario())


def test_a_foreground_deletion_waits_for_finalizers_of_the_owner_too() -> None:
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a", finalizers=[HOLD])
        await owned(world, "b", made, blocks=True, finalizers=[HOLD])
        deleted = await world.delete("a", propagation="Foreground")
        assert read(deleted.body)["metadata"]["finalizers"] == [HOLD, "foregroundDeletion"]
        await release(world, "b")
        assert (await world.get("a"))["metadata"]["finalizers"] == [HOLD]
        await release(world, "a")
        assert await world.names() == []

    world.run(scenario())


def test_an_owner_that_waits_is_let_go_by_a_dependent_that_disowns_it() -> None:
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a")
        await owned(world, "b", made, blocks=True, finalizers=[HOLD])
        await world.delete("a", propagation="Foreground")
        await world.update("b", lambda values: values["metadata"].pop("ownerReferences"))
        assert await world.names() == ["b"]

    world.run(scenario())


def test_a_foreground_deletion_of_an_owner_of_the_cluster_is_let_go_too() -> None:
    world = World()

    async def scenario() -> None:
        made = read(await world.crates.create(asked("create", ""), widget("crate")))
        references = [owner(made, "Crate", blocks=True)]
        await world.create(widget("a", owners=references, finalizers=[HOLD]))
        options = DeleteOptions(propagation="Foreground")
        held = await world.crates.delete(asked("delete", ""), "crate", options)
        assert not held.gone
        await world.delete("a")
        await release(world, "a")
        assert Key(CRATES.key, "", "crate") not in world.store.documents

    world.run(scenario())


@pytest.mark.parametrize("kind", ["Widget", "Policy", "Glass"])
def test_a_reference_to_an_owner_that_is_not_there_holds_nothing_up(kind: str) -> None:
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a", finalizers=[HOLD])
        reference = owner(made, kind, blocks=True)
        reference.uid = "another"
        await world.create(widget("b", owners=[reference]))
        await world.delete("a", propagation="Foreground")
        assert (await world.delete("b")).gone
        assert await world.names() == ["a"]

    world.run(scenario())


def test_an_owner_that_is_not_being_deleted_is_left_alone_by_its_dependents() -> None:
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a")
        await owned(world, "b", made, blocks=True)
        await world.delete("b")
        assert await world.get("a") == made

    world.run(scenario())


@pytest.mark.parametrize("chain", [False, True])
def test_more_dependents_than_one_unit_takes_go_in_several(
    chain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.apimachinery.documents.writing.LIMIT", 3)
    world = World()

    async def scenario() -> None:
        root = last = await owned(world, "root")
        for index in range(10):
            last = await owned(world, f"child{index}", last if chain else root)
        units = world.store.units
        assert (await world.delete("root", dry_run=True)).gone
        assert (await world.delete("root")).gone
        assert await world.names() == []
        assert world.store.units == units + 4  # of 11 documents

    world.run(scenario())


def test_an_update_that_ends_an_owner_of_many_takes_several_units(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tidegate.apimachinery.documents.writing.LIMIT", 3)
    world = World()

    async def scenario() -> None:
        root = await owned(world, "root", finalizers=[HOLD])
        for index in range(7):
            await owned(world, f"child{index}", root)
        await world.delete("root")
        await release(world, "root")
        assert await world.names() == []

    world.run(scenario())


def test_a_chain_of_owners_may_be_longer_than_the_stack() -> None:
    world = World()
    world.store = type(world.store)()  # without rehearsals, which would take long
    world.widgets = world.storage(WIDGETS)

    async def scenario() -> None:
        await fill(world, 700)
        assert (await world.delete("w0000")).gone
        assert await world.names() == []

    world.run(scenario())


async def fill(world: World, count: int) -> None:
    def put(tx: Any) -> None:
        for index in range(count):
            metadata: dict[str, Any] = {"name": f"w{index:04}", "uid": f"u{index}"}
            if index:
                metadata["ownerReferences"] = [{"uid": f"u{index - 1}", "name": "x"}]
            body = msgspec.json.encode({"metadata": metadata})
            tx.put(Key(WIDGETS.key, "shop", metadata["name"]), metadata["uid"], lambda _, b=body: b)

    await world.store.write(put)


def test_a_kind_may_have_more_that_holds_its_objects() -> None:
    def may_go(held: Widget) -> bool:
        return not held.spec.finalizers

    def terminating(held: Widget) -> None:
        held.status.phase = "Terminating"

    world = World(may_go=may_go, terminating=terminating)

    async def scenario() -> None:
        made = widget("a")
        made.spec.finalizers = ["kubernetes"]
        await world.create(made, widget("b"))
        assert (await world.delete("b")).gone
        deleted = await world.delete("a")
        values = read(deleted.body)
        assert not deleted.gone
        assert values["status"] == {"phase": "Terminating"}
        assert values["metadata"]["deletionTimestamp"] == STAMP
        await world.update("a", lambda values: values["metadata"].update(labels={"x": "y"}))
        assert await world.names() == ["a"]
        await world.update("a", lambda values: values["spec"].pop("finalizers"))
        assert await world.names() == []

    world.run(scenario())


def test_a_kind_may_say_only_when_it_may_go_or_only_what_it_becomes() -> None:
    never = World(may_go=lambda _: False)
    assert not never.run(made_and_deleted(never)).gone
    orphaning = never.run(made_and_deleted(never, "b", finalizers=["orphan"]))
    assert "finalizers" not in read(orphaning.body)["metadata"]

    def terminating(held: Widget) -> None:
        held.status.phase = "Terminating"

    held = World(terminating=terminating)
    deleted = held.run(made_and_deleted(held, finalizers=[HOLD]))
    assert read(deleted.body)["status"] == {"phase": "Terminating"}
    gone = held.run(made_and_deleted(held, "b"))
    assert gone.gone


async def made_and_deleted(world: World, name: str = "a", **metadata: Any) -> Any:
    await world.create(widget(name, **metadata))
    return await world.delete(name)


def test_a_dependent_whose_spec_has_finalizers_is_left_to_its_own_kind() -> None:
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a")
        child = widget("b", owners=[owner(made)])
        child.spec.finalizers = ["kubernetes"]
        await world.create(child)
        await world.delete("a")
        assert (await world.get("b"))["metadata"]["deletionTimestamp"] == STAMP

    world.run(scenario())


async def delete_all(
    world: World, selection: Selection = EVERYTHING, *, limit: int = 0, dry_run: bool = False,
    **options: Any,
) -> Any:  # fmt: skip
    call = asked("deletecollection", "shop", dry_run=dry_run)
    selected = ListOptions(selection=selection, limit=limit)
    return await world.widgets.delete_collection(call, selected, DeleteOptions(**options))


def test_a_collection_is_deleted_as_far_as_it_is_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.apimachinery.documents.ending._PAGE", 4)
    monkeypatch.setattr("tidegate.apimachinery.documents.ending._AT_ONCE", 3)
    world = World()

    async def scenario() -> None:
        for index in range(12):
            await owned(world, f"w{index:02}", labels={"odd": str(index % 2)})
        await world.create(widget("elsewhere", "yard", labels={"odd": "1"}))
        odd = Selection(parse_labels("odd=1"))
        page = await delete_all(world, odd, dry_run=True)
        assert len(page.bodies) == 6
        assert len(await world.names()) == 12
        page = await delete_all(world, odd)
        assert names(page) == ["w01", "w03", "w05", "w07", "w09", "w11"]
        assert await world.names() == ["w00", "w02", "w04", "w06", "w08", "w10"]
        assert names(await delete_all(world)) == ["w00", "w02", "w04", "w06", "w08", "w10"]
        assert await world.names("yard") == ["elsewhere"]

    world.run(scenario())


def test_a_collection_with_a_limit_is_deleted_a_page_at_a_time() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(*(widget(name) for name in "abc"))
        page = await delete_all(world, limit=2)
        assert (names(page), page.token != "") == (["a", "b"], True)
        assert await world.names() == ["c"]

    world.run(scenario())


def test_a_collection_with_owners_and_dependents_is_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tidegate.apimachinery.documents.writing.LIMIT", 2)
    world = World()

    async def scenario() -> None:
        made = await owned(world, "a")
        for name in "bcdef":
            await owned(world, name, made)
        await owned(world, "g", finalizers=[HOLD])
        page = await delete_all(world)
        assert names(page) == ["a", "b", "c", "d", "e", "f", "g"]
        assert await world.names() == ["g"]

    world.run(scenario())


def test_a_precondition_holds_for_each_of_a_collection() -> None:
    world = World()

    async def scenario() -> None:
        (made, _) = await world.create(widget("a"), widget("b"))
        with pytest.raises(UpdateConflict, match=r"on Widget\.example\.com \"b\": the UID in"):
            await delete_all(world, uid=made["metadata"]["uid"])
        assert await world.names() == ["a", "b"]

    world.run(scenario())
