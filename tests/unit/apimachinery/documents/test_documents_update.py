import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.unit.apimachinery.documents_world import (
    WIDGETS,
    World,
    asked,
    read,
    revision,
    widget,
)
from tidegate.apimachinery.errors import (
    BadRequest,
    Invalid,
    NotFound,
    RequestTooLarge,
    UpdateConflict,
)
from tidegate.apimachinery.meta import ManagedFieldsEntry
from tidegate.apimachinery.resource import Strategy


def resize(size: int) -> Any:
    return lambda values: values["spec"].update(size=size)


def managed(time: str, manager: str = "m") -> dict[str, Any]:
    entry = ManagedFieldsEntry(
        manager=manager, operation="Update", time=time, fields_v1={"f:spec": {}}
    )
    values: dict[str, Any] = msgspec.to_builtins(entry)
    return values


def test_an_update_replaces_the_object_and_counts_its_generation() -> None:
    world = World()

    async def scenario() -> None:
        (made,) = await world.create(widget("a"))
        updated = await world.update("a", resize(5))
        values = read(updated.body)
        assert not updated.created
        assert values["spec"] == {"size": 5, "color": "grey"}
        assert values["metadata"]["generation"] == 2
        assert revision(values) == world.store.newest > revision(made)
        assert await world.get("a") == values

    world.run(scenario())


def test_metadata_and_status_are_not_counted() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a"))
        await world.update("a", lambda values: values["metadata"].update(labels={"x": "y"}))
        updated = await world.update("a", lambda values: values.update(status={"phase": "Ready"}))
        assert read(updated.body)["metadata"]["generation"] == 1

    world.run(scenario())


def test_what_the_server_owns_stays_whatever_an_update_says() -> None:
    world = World()

    async def scenario() -> None:
        (made,) = await world.create(widget("a"))
        sent = widget(
            "a",
            size=2,
            generation=9,
            creation_timestamp="2001-01-01T00:00:00Z",
            deletion_timestamp="2001-01-01T00:00:00Z",
            self_link="/x",
        )
        metadata = read((await world.replace(sent)).body)["metadata"]
        expected = {**made["metadata"], "generation": 2}
        assert {**metadata, "resourceVersion": ""} == {**expected, "resourceVersion": ""}

    world.run(scenario())


def test_an_update_of_an_older_version_is_refused() -> None:
    world = World()

    async def scenario() -> None:
        (made,) = await world.create(widget("a"))
        await world.update("a", resize(2))
        stale = widget("a", resource_version=made["metadata"]["resourceVersion"])
        with pytest.raises(UpdateConflict) as refusal:
            await world.replace(stale)
        assert refusal.value.status() == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": 'Operation cannot be fulfilled on widgets.example.com "a": the object has '
            "been modified; please apply your changes to the latest version and try again",
            "reason": "Conflict",
            "details": {"name": "a", "group": "example.com", "kind": "widgets"},
            "code": 409,
        }

    world.run(scenario())


def test_an_update_without_a_version_is_of_whatever_is_there() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a"))
        await world.update("a", resize(2))
        updated = await world.replace(widget("a", size=3))
        assert read(updated.body)["spec"]["size"] == 3

    world.run(scenario())


def test_an_update_of_an_object_with_another_uid_is_refused() -> None:
    world = World()

    async def scenario() -> None:
        (made,) = await world.create(widget("a"))
        with pytest.raises(UpdateConflict) as refusal:
            await world.replace(widget("a", uid="other"))
        assert str(refusal.value) == (
            'Operation cannot be fulfilled on widgets.example.com "a": Precondition failed: UID in '
            f"precondition: other, UID in object meta: {made['metadata']['uid']}"
        )

    world.run(scenario())


def test_changes_made_at_once_are_all_made() -> None:
    world = World()

    def grow(values: dict[str, Any]) -> None:
        values["spec"]["size"] += 1

    async def scenario() -> None:
        await world.create(widget("a"))
        await asyncio.gather(*(world.update("a", grow) for _ in range(200)))
        assert (await world.get("a"))["spec"]["size"] == 201

    world.run(scenario())


def test_replacements_without_a_version_made_at_once_all_succeed() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a"))
        await asyncio.gather(*(world.replace(widget("a", size=n)) for n in range(2, 6)))
        assert (await world.get("a"))["metadata"]["generation"] == 5

    world.run(scenario())


def test_of_replacements_of_one_version_made_at_once_one_succeeds() -> None:
    world = World()

    async def attempt(size: int, version: str) -> bool:
        try:
            await world.replace(widget("a", size=size, resource_version=version))
        except UpdateConflict:
            return False
        return True

    async def scenario() -> None:
        (made,) = await world.create(widget("a"))
        version = made["metadata"]["resourceVersion"]
        done = await asyncio.gather(*(attempt(n, version) for n in range(2, 9)))
        assert sum(done) == 1

    world.run(scenario())


def test_who_is_overtaken_a_hundred_times_is_told_to_try_again() -> None:
    world = World()
    seen: list[int] = []

    async def scenario() -> None:
        await world.create(widget("a"))
        key = next(key for key in world.store.documents if key.name == "a")

        def overtaken(values: dict[str, Any]) -> None:
            seen.append(values["spec"]["size"])
            current = world.store.documents[key]
            body = current.body.replace(b'"size":%d' % seen[-1], b'"size":%d' % (seen[-1] + 1))
            world.store.documents[key] = type(current)(key, current.uid, current.revision + 1, body)
            values["spec"]["color"] = "red"

        with pytest.raises(UpdateConflict, match="the object has been modified"):
            await world.update("a", overtaken)
        assert seen == list(range(1, 101))

    world.run(scenario())


def test_an_update_that_changes_nothing_writes_nothing() -> None:
    world = World()

    async def scenario() -> None:
        (made,) = await world.create(widget("a", managed_fields=[]))
        units = world.store.units
        updated = await world.replace(widget("a"))
        assert read(updated.body) == made
        await world.update("a", lambda _: None)
        assert world.store.units == units

    world.run(scenario())


def test_the_times_of_managed_fields_alone_are_no_change() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a"))
        early, late = managed("2023-01-01T00:00:00Z"), managed("2024-01-01T00:00:00Z")
        await world.update("a", lambda values: values["metadata"].update(managedFields=[early]))
        before = await world.get("a")
        await world.update("a", lambda values: values["metadata"].update(managedFields=[late]))
        assert await world.get("a") == before
        other = managed("2024-01-01T00:00:00Z", "n")
        await world.update("a", lambda values: values["metadata"].update(managedFields=[other]))
        assert (await world.get("a"))["metadata"]["managedFields"] == [other]

    world.run(scenario())


def test_an_object_that_is_not_there_is_not_updated() -> None:
    world = World()
    with pytest.raises(NotFound) as refusal:
        world.run(world.update("a", lambda _: None))
    assert str(refusal.value) == 'widgets.example.com "a" not found'


def test_an_update_may_create_where_the_request_or_the_kind_allows_it() -> None:
    world = World()

    async def scenario() -> None:
        updated = await world.replace(widget("a", size=4), creates=True)
        values = read(updated.body)
        assert updated.created
        assert (values["metadata"]["name"], values["metadata"]["generation"]) == ("a", 1)
        assert values["spec"] == {"size": 4, "color": "grey"}
        storage = world.storage(replace(WIDGETS, strategy=Strategy(update_creates=True)))
        made = await storage.update(asked("update"), "b", lambda _: widget("b"))
        assert made.created

    world.run(scenario())


def test_an_update_that_creates_needs_a_living_namespace_and_no_uid() -> None:
    world = World()

    async def scenario() -> None:
        call = asked("update", "moon")
        with pytest.raises(NotFound, match='namespaces "moon" not found'):
            await world.widgets.update(call, "a", lambda _: widget("a"), creates=True)
        with pytest.raises(UpdateConflict, match=r"UID in object meta: $"):
            await world.replace(widget("a", uid="u"), creates=True)

    world.run(scenario())


def test_updates_that_create_at_once_make_one_object_and_change_it() -> None:
    world = World()

    async def scenario() -> None:
        updates = [world.replace(widget("a", size=n), creates=True) for n in range(1, 5)]
        done = await asyncio.gather(*updates)
        assert sum(each.created for each in done) == 1
        assert (await world.get("a"))["metadata"]["generation"] == 4

    world.run(scenario())


def test_the_name_and_the_namespace_are_those_of_the_request() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a"))
        with pytest.raises(BadRequest) as refusal:
            await world.update("a", lambda values: values["metadata"].update(name="b"))
        assert str(refusal.value) == (
            "the name of the object (b) does not match the name on the URL (a)"
        )
        with pytest.raises(BadRequest, match="the namespace of the provided object does not"):
            await world.update("a", lambda values: values["metadata"].update(namespace="yard"))

    world.run(scenario())


def test_an_update_is_validated() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a"))
        with pytest.raises(Invalid, match=r"spec\.size: Required value: must be positive"):
            await world.update("a", resize(-1))
        with pytest.raises(Invalid, match=r"metadata\.labels: Invalid value: \"_\": a valid label"):
            await world.update("a", lambda values: values["metadata"].update(labels={"a": "_"}))

    world.run(scenario())


def test_a_rehearsed_update_answers_with_the_object_and_leaves_nothing() -> None:
    world = World()

    async def scenario() -> None:
        (made,) = await world.create(widget("a"))
        updated = await world.update("a", resize(5), dry_run=True)
        values = read(updated.body)
        assert (values["spec"]["size"], values["metadata"]["generation"]) == (5, 2)
        assert revision(values) == revision(made)
        assert await world.get("a") == made
        created = await world.update("b", lambda _: None, dry_run=True, creates=True)
        assert created.created
        assert await world.names() == ["a"]

    world.run(scenario())


def test_finalizers_are_not_added_to_what_is_being_deleted() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a", finalizers=["example.com/x"]))
        await world.delete("a")
        with pytest.raises(Invalid) as refusal:
            await world.update(
                "a", lambda values: values["metadata"]["finalizers"].append("example.com/y")
            )
        assert (
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being "
            'deleted, found new finalizers []string{"example.com/y"}'
        ) in str(refusal.value)

    world.run(scenario())


def test_what_a_change_refuses_is_refused() -> None:
    world = World()

    def refuse(values: dict[str, Any]) -> None:
        raise BadRequest("no such patch")

    async def scenario() -> None:
        await world.create(widget("a"))
        with pytest.raises(BadRequest, match="no such patch"):
            await world.update("a", refuse)

    world.run(scenario())


def test_an_object_grows_to_what_etcd_takes_and_no_further() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a", color="x" * 1_000_000))
        with pytest.raises(RequestTooLarge, match="limit is 1572864"):
            await world.update("a", lambda values: values["spec"].update(color="x" * 2_000_000))
        with pytest.raises(RequestTooLarge):
            await world.create(widget("b", color="x" * 2_000_000))
        assert len((await world.get("a"))["spec"]["color"]) == 1_000_000

    world.run(scenario())


def test_an_object_that_is_too_large_already_may_become_smaller() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a", size=10, color="x"))
        key = next(key for key in world.store.documents if key.name == "a")
        current = world.store.documents[key]
        body = current.body.replace(b'"color":"x"', b'"color":"%s"' % (b"x" * 2_000_000))
        world.store.documents[key] = type(current)(key, current.uid, current.revision, body)
        await world.update("a", resize(1))
        with pytest.raises(RequestTooLarge):
            await world.update("a", resize(100))
        await world.update("a", lambda values: values["spec"].update(color="red"))

    world.run(scenario())
