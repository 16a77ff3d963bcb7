import asyncio
import re
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
    read,
    widget,
)
from tidegate.apimachinery.errors import (
    AlreadyExists,
    BadRequest,
    Forbidden,
    Invalid,
    NotFound,
    forbid,
)
from tidegate.apimachinery.storage import Admitted
from tidegate.apimachinery.store import DocumentTransaction, Key


def test_the_server_sets_what_it_owns_and_the_object_is_served_as_it_was_made() -> None:
    world = World()

    async def scenario() -> None:
        (made,) = await world.create(
            widget(
                "a",
                uid="mine",
                generation=7,
                creation_timestamp="2001-01-01T00:00:00Z",
                deletion_timestamp="2001-01-01T00:00:00Z",
                labels={"app": "x"},
            )
        )
        uid = made["metadata"].pop("uid")
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uid)
        assert made == {
            "apiVersion": "example.com/v1",
            "kind": "Widget",
            "metadata": {
                "name": "a",
                "namespace": "shop",
                "resourceVersion": "103",
                "generation": 1,
                "creationTimestamp": STAMP,
                "labels": {"app": "x"},
            },
            "spec": {"size": 1, "color": "grey"},
            "status": {},
        }
        assert (await world.get("a"))["metadata"]["uid"] == uid

    world.run(scenario())


def test_an_object_of_the_cluster_needs_no_namespace_and_has_none() -> None:
    world = World()
    made = read(world.run(world.crates.create(asked("create", ""), widget("a", "shop"))))
    assert "namespace" not in made["metadata"]
    assert made["kind"] == "Crate"
    assert "generation" not in made["metadata"]  # this strategy does not count
    assert world.store.documents[Key(CRATES.key, "", "a")].uid == made["metadata"]["uid"]


def test_a_missing_object_is_not_found() -> None:
    world = World()
    with pytest.raises(NotFound) as refusal:
        world.run(world.get("nope"))
    assert str(refusal.value) == 'widgets.example.com "nope" not found'


def test_a_namespace_in_the_body_must_be_the_one_of_the_request() -> None:
    world = World()
    with pytest.raises(BadRequest) as refusal:
        world.run(world.widgets.create(asked("create"), widget("a", "yard")))
    assert str(refusal.value) == (
        "the namespace of the provided object does not match the namespace sent on the request"
    )


def test_an_object_to_be_created_has_no_resource_version() -> None:
    world = World()
    with pytest.raises(BadRequest) as refusal:
        world.run(world.create(widget("a", resource_version="1")))
    assert str(refusal.value) == "resourceVersion should not be set on objects to be created"


def test_every_fault_of_an_object_is_told_at_once() -> None:
    world = World()
    with pytest.raises(Invalid) as refusal:
        world.run(world.create(widget("A", size=-1)))
    assert str(refusal.value) == (
        'Widget.example.com "A" is invalid: [metadata.name: Invalid value: "A": a lowercase RFC '
        "1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
        "start and end with an alphanumeric character (e.g. 'example.com', regex used for "
        "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), "
        "spec.size: Required value: must be positive]"
    )
    assert [each.field for each in refusal.value.causes] == ["metadata.name", "spec.size"]


def test_a_name_or_a_prefix_of_one_is_needed() -> None:
    world = World()
    with pytest.raises(Invalid, match=r"metadata\.name: Required value: name or generateName"):
        world.run(world.create(widget()))


def test_a_name_that_is_taken_is_refused() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a"))
        with pytest.raises(AlreadyExists) as refusal:
            await world.create(widget("a"))
        assert str(refusal.value) == 'widgets.example.com "a" already exists'
        await world.create(widget("a", "yard"))

    world.run(scenario())


def test_a_name_whose_object_is_being_deleted_is_taken_still() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a", finalizers=["example.com/wait"]))
        await world.delete("a")
        with pytest.raises(AlreadyExists) as refusal:
            await world.create(widget("a"))
        assert str(refusal.value) == (
            'object is being deleted: widgets.example.com "a" already exists'
        )

    world.run(scenario())


def test_of_many_who_create_one_name_at_once_one_succeeds() -> None:
    world = World()

    async def attempt() -> bool:
        try:
            await world.create(widget("a"))
        except AlreadyExists:
            return False
        return True

    async def scenario() -> None:
        done = await asyncio.gather(*(attempt() for _ in range(20)))
        assert sum(done) == 1

    world.run(scenario())


def test_a_generated_name_is_the_prefix_and_five_letters_of_kubernetes_alphabet() -> None:
    world = World()
    (made,) = world.run(world.create(widget(generate_name="web-")))
    assert re.fullmatch(r"web-[bcdfghjklmnpqrstvwxz2456789]{5}", made["metadata"]["name"])
    assert made["metadata"]["generateName"] == "web-"


def test_a_generated_name_is_no_longer_than_a_label() -> None:
    world = World()
    (made,) = world.run(world.create(widget(generate_name="w" * 100)))
    assert re.fullmatch(r"w{58}.{5}", made["metadata"]["name"])


def test_a_generated_name_that_is_taken_is_generated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    drawn = iter("aaaaa" + "aaaaa" + "aaaaa" + "bbbbb")
    monkeypatch.setattr("secrets.choice", lambda _: next(drawn))

    async def scenario() -> None:
        await world.create(widget(generate_name="w-"), widget(generate_name="w-"))
        assert await world.names() == ["w-aaaaa", "w-bbbbb"]

    world.run(scenario())


def test_after_eight_taken_names_the_client_is_told_to_try_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    monkeypatch.setattr("secrets.choice", lambda _: "b")

    async def scenario() -> None:
        await world.create(widget(generate_name="w-"))
        units = world.store.units
        with pytest.raises(AlreadyExists) as refusal:
            await world.create(widget(generate_name="w-"))
        assert str(refusal.value) == (
            'widgets.example.com "w-bbbbb" already exists, the server was not able to generate a '
            "unique name for the object"
        )
        assert refusal.value.status()["details"]["retryAfterSeconds"] == 1
        assert world.store.units == units

    world.run(scenario())


def test_a_bad_prefix_is_a_fault_of_its_own() -> None:
    world = World()
    with pytest.raises(Invalid) as refusal:
        world.run(world.create(widget(generate_name="AB-")))
    assert [each.field for each in refusal.value.causes] == [
        "metadata.generateName",
        "metadata.name",
    ]


def test_nothing_is_made_in_a_namespace_that_is_not_there() -> None:
    world = World()
    with pytest.raises(NotFound) as refusal:
        world.run(world.create(widget("a", "moon")))
    assert refusal.value.status()["message"] == 'namespaces "moon" not found'
    assert refusal.value.status()["details"] == {"name": "moon", "kind": "namespaces"}


@pytest.mark.parametrize(
    "parts",
    [
        {"metadata": {"name": "end", "deletionTimestamp": STAMP}},
        {"status": {"phase": "Terminating"}},
    ],
)
def test_nothing_is_made_in_a_namespace_that_is_being_deleted(parts: dict[str, Any]) -> None:
    world = World()
    world.namespace("end", **parts)
    with pytest.raises(Forbidden) as refusal:
        world.run(world.create(widget("a", "end")))
    status = refusal.value.status()
    assert status["message"] == (
        'widgets.example.com "a" is forbidden: unable to create new content in namespace end '
        "because it is being terminated"
    )
    assert status["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace end is being terminated",
            "field": "metadata.namespace",
        }
    ]


def test_a_rehearsed_create_answers_with_the_object_and_leaves_nothing() -> None:
    world = World()

    async def scenario() -> None:
        before = dict(world.store.documents), world.store.newest
        (made,) = await world.create(widget("a"), dry_run=True)
        assert made["metadata"]["name"] == "a"
        assert "resourceVersion" not in made["metadata"]
        assert (world.store.documents, world.store.newest) == before
        with pytest.raises(NotFound):
            await world.create(widget("a", "moon"), dry_run=True)
        await world.create(widget("a"))
        with pytest.raises(AlreadyExists):
            await world.create(widget("a"), dry_run=True)

    world.run(scenario())


class Refusing:
    """An admission that refuses what is blue, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool, bool]] = []

    async def admit(self, asked: Admitted) -> None:
        self.asked.append((asked.call.verb, asked.new is None, asked.old is None))
        if isinstance(asked.new, Widget) and asked.new.spec.color == "blue":
            raise forbid(WIDGETS.qualified, asked.new.metadata.name, "no blue")


def test_admission_sees_each_write_and_may_refuse_it() -> None:
    admission = Refusing()
    world = World(admission=admission)

    async def scenario() -> None:
        await world.create(widget("a"))
        with pytest.raises(Forbidden, match="is forbidden: no blue"):
            await world.create(widget("b", color="blue"))
        with pytest.raises(Forbidden, match="no blue"):
            await world.update("a", lambda values: values["spec"].update(color="blue"))
        await world.delete("a")
        with pytest.raises(NotFound):
            await world.delete("a")
        assert admission.asked == [
            ("create", False, True),
            ("create", False, True),
            ("patch", False, False),
            ("delete", True, False),
        ]
        assert await world.names() == []

    world.run(scenario())


def test_companions_are_made_with_the_object_or_not_at_all() -> None:
    def companions(tx: DocumentTransaction, made: Widget) -> None:
        if made.spec.size > 9:
            raise ValueError("too big for a companion")
        key = Key("notes", made.metadata.namespace, made.metadata.name)
        tx.put(key, "n", lambda _: msgspec.json.encode({"of": made.metadata.uid}))

    world = World(companions=companions)

    async def scenario() -> None:
        (made,) = await world.create(widget("a"))
        note = world.store.documents[Key("notes", "shop", "a")]
        assert read(note.body) == {"of": made["metadata"]["uid"]}
        with pytest.raises(ValueError, match="too big"):
            await world.create(widget("b", size=10))
        await world.create(widget("c"), dry_run=True)
        assert await world.names() == ["a"]
        assert Key("notes", "shop", "c") not in world.store.documents

    world.run(scenario())
