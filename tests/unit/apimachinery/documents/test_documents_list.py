import base64
import json
from typing import Any

import pytest

from tests.unit.apimachinery.documents_world import (
    WIDGETS,
    World,
    asked,
    names,
    widget,
)
from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.errors import BadRequest, ResourceExpired, ServerTimeout
from tidegate.apimachinery.selectors import EVERYTHING, Selection, parse_fields, parse_labels
from tidegate.apimachinery.storage import ListOptions

FIELDS = ("metadata.name", "metadata.namespace", "spec.color")


def labelled(text: str) -> Selection:
    return Selection(labels=parse_labels(text))


def fielded(text: str) -> Selection:
    return Selection(fields=parse_fields(text, FIELDS))


async def some(world: World, count: int = 10) -> None:
    for index in range(count):
        await world.create(
            widget(
                f"w{index:03}",
                color="red" if index % 2 else "green",
                labels={"third": str(index % 3)},
            )
        )


def test_a_list_has_what_is_in_a_namespace_in_the_order_of_names() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("b"), widget("a"), widget("c", "yard"))
        assert names(await world.list()) == ["a", "b"]
        assert names(await world.list(namespace="")) == ["a", "b", "c"]
        page = await world.list(namespace="moon")
        assert (page.bodies, page.revision, page.token) == ([], world.store.newest, "")

    world.run(scenario())


def test_labels_and_fields_select() -> None:
    world = World()

    async def scenario() -> None:
        await some(world, 6)
        assert names(await world.list(labelled("third in (0,1)"))) == [
            "w000",
            "w001",
            "w003",
            "w004",
        ]
        assert names(await world.list(fielded("spec.color=red"))) == ["w001", "w003", "w005"]
        assert names(await world.list(fielded("metadata.name!=w001,spec.color=red"))) == [
            "w003",
            "w005",
        ]
        twice = fielded("spec.color!=red,spec.color!=blue,metadata.namespace=shop")
        assert names(await world.list(twice)) == ["w000", "w002", "w004"]
        both = Selection(parse_labels("third=0"), parse_fields("spec.color==red", FIELDS))
        assert names(await world.list(both)) == ["w003"]

    world.run(scenario())


def test_one_name_is_found_without_reading_the_others() -> None:
    world = World()

    async def scenario() -> None:
        await some(world)
        page = await world.list(fielded("metadata.name=w003"))
        assert (names(page), page.revision) == (["w003"], world.store.newest)
        assert world.store.lists == 0
        assert names(await world.list(fielded("metadata.name=w003,spec.color=green"))) == []
        page = await world.list(fielded("metadata.name=none"))
        assert (page.bodies, page.revision) == ([], world.store.newest)
        selection = fielded("metadata.name=w003,metadata.namespace=shop")
        assert names(await world.list(selection, namespace="")) == ["w003"]
        assert world.store.lists == 0
        assert names(await world.list(fielded("metadata.name=w003"), namespace="")) == ["w003"]

    world.run(scenario())


def test_a_namespace_may_be_selected_as_a_field() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a"), widget("b", "yard"))
        yard = fielded("metadata.namespace=yard")
        assert names(await world.list(yard, namespace="")) == ["b"]
        assert names(await world.list(yard)) == []
        assert names(await world.list(fielded("metadata.namespace!=yard"), namespace="")) == ["a"]

    world.run(scenario())


def test_pages_together_are_the_state_at_the_first_page_whatever_is_written_between() -> None:
    world = World()

    async def scenario() -> None:
        await some(world)
        page = await world.list(limit=4)
        seen, first = names(page), page.revision
        assert page.remaining == 6
        await world.delete("w005")
        await world.create(widget("w0055"), widget("w999"))
        await world.update("w006", lambda values: values["spec"].update(size=77))
        while page.token:
            page = await world.list(limit=4, token=page.token)
            assert page.revision == first
            assert b'"size":77' not in b"".join(page.bodies)
            seen += names(page)
        assert seen == [f"w{index:03}" for index in range(10)]
        assert page.remaining is None

    world.run(scenario())


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9])
def test_pages_of_a_selector_are_full_though_most_do_not_match(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.apimachinery.documents.listing._READ_AT_ONCE", 2)
    world = World()

    async def scenario() -> None:
        await some(world)
        wanted = ["w000", "w003", "w006", "w009"]
        page = await world.list(labelled("third=0"), limit=limit)
        seen = names(page)
        assert len(seen) == min(limit, 4)
        while page.token:
            assert page.remaining is None
            page = await world.list(labelled("third=0"), limit=limit, token=page.token)
            seen += names(page)
        assert seen == wanted

    world.run(scenario())


def test_a_list_goes_over_all_namespaces_in_pages() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a"), widget("b"), widget("a", "yard"))
        page = await world.list(namespace="", limit=2)
        rest = await world.list(namespace="", limit=2, token=page.token)
        assert (names(page), names(rest)) == (["a", "b"], ["a"])

    world.run(scenario())


def test_a_token_is_safe_in_a_url() -> None:
    world = World()

    async def scenario() -> None:
        await some(world, 3)
        token = (await world.list(limit=1)).token
        assert token.replace("-", "").replace("_", "").isalnum()

    world.run(scenario())


def encoded(*values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        "nonsense!",
        "é",
        "A" * 5000,
        encoded(),
        encoded("tidegate/v1", "widgets.example.com", "shop", "a"),
        encoded("tidegate/v1", "widgets.example.com", "shop", "a", "1"),
        encoded("tidegate/v9", "widgets.example.com", "shop", "a", 101),
        encoded("tidegate/v1", "widgets.example.com", "shop", "a", 0),
        encoded("tidegate/v1", "widgets.example.com", "shop", "a", -1),
        encoded("tidegate/v1", "widgets.example.com", "shop", "a", 10**9),
        encoded("tidegate/v1", "widgets.example.com", "shop", "a", 10**30),
        encoded("tidegate/v1", "widgets.example.com", "yard", "a", 101),
        encoded("tidegate/v1", "secrets", "shop", "a", 101),
        encoded("tidegate/v1", "widgets.example.com", "shop", "a\0", 101),
    ],
)
def test_a_token_that_was_not_given_for_this_list_is_refused(token: str) -> None:
    world = World()
    with pytest.raises(BadRequest, match="invalid continue token: continue key is not valid"):
        world.run(world.list(limit=1, token=token))


def test_a_token_goes_with_no_resource_version() -> None:
    world = World()

    async def scenario() -> None:
        await some(world, 3)
        token = (await world.list(limit=1)).token
        with pytest.raises(BadRequest, match="specifying resource version is not allowed when"):
            await world.list(limit=1, token=token, revision=101)
        await world.list(limit=1, token=token, revision=0)

    world.run(scenario())


def test_a_token_of_history_that_is_gone_has_expired() -> None:
    world = World()

    async def scenario() -> None:
        await some(world, 3)
        token = (await world.list(limit=1)).token
        await some_change(world)
        world.store.forget(world.store.newest)
        with pytest.raises(ResourceExpired) as refusal:
            await world.list(limit=1, token=token)
        assert str(refusal.value).startswith("The provided continue parameter is too old ")
        assert refusal.value.code == 410

    world.run(scenario())


async def some_change(world: World) -> None:
    await world.update("w000", lambda values: values["spec"].update(size=5))


def test_a_list_not_older_than_a_revision_is_the_newest() -> None:
    world = World()

    async def scenario() -> None:
        await some(world, 2)
        first = world.store.newest
        await world.create(widget("z"))
        for wanted in (None, 0, first, world.store.newest):
            page = await world.list(revision=wanted)
            assert names(page) == ["w000", "w001", "z"]

    world.run(scenario())


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("selection", [EVERYTHING, fielded("metadata.name=w000")])
def test_a_revision_that_is_not_reached_yet_cannot_be_listed(
    exact: bool, selection: Selection
) -> None:
    world = World()

    async def scenario() -> None:
        await some(world, 1)
        newest = world.store.newest
        with pytest.raises(ServerTimeout) as refusal:
            await world.list(selection, revision=newest + 7, exact=exact)
        status = refusal.value.status()
        assert status["message"] == (
            f"Timeout: Too large resource version: {newest + 7}, current: {newest}"
        )
        assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
        assert (status["code"], status["reason"]) == (504, "Timeout")

    world.run(scenario())


def test_a_list_at_just_one_revision_shows_what_was_then() -> None:
    world = World()

    async def scenario() -> None:
        await some(world, 2)
        then = world.store.newest
        await world.delete("w000")
        await world.create(widget("z"))
        page = await world.list(revision=then, exact=True)
        assert (names(page), page.revision) == (["w000", "w001"], then)
        named = await world.list(fielded("metadata.name=w000"), revision=then, exact=True)
        assert names(named) == ["w000"]
        world.store.forget(world.store.newest)
        with pytest.raises(ResourceExpired) as refusal:
            await world.list(revision=then, exact=True)
        assert str(refusal.value) == "The resourceVersion for the provided list is too old."

    world.run(scenario())


class Uncounted:
    """A store that has nothing beside the port."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if name == "count":
            raise AttributeError(name)
        return getattr(self._store, name)


def test_how_many_remain_is_left_out_by_a_store_that_does_not_count() -> None:
    world = World()

    async def scenario() -> None:
        await some(world, 3)
        widgets: DocumentStorage[Any] = DocumentStorage(WIDGETS, Uncounted(world.store))
        page = await widgets.list(asked("list"), ListOptions(selection=EVERYTHING, limit=1))
        assert (page.token != "", page.remaining) == (True, None)

    world.run(scenario())


def test_a_resource_of_the_cluster_is_listed_without_a_namespace() -> None:
    world = World()

    async def scenario() -> None:
        await world.crates.create(asked("create", ""), widget("a"))
        await world.crates.create(asked("create", ""), widget("b"))
        options = ListOptions(selection=EVERYTHING, limit=1)
        page = await world.crates.list(asked("list", ""), options)
        assert (names(page), page.remaining) == (["a"], 1)
        options = ListOptions(selection=EVERYTHING, limit=1, token=page.token)
        assert names(await world.crates.list(asked("list", ""), options)) == ["b"]
        options = ListOptions(selection=fielded("metadata.name=b"))
        assert names(await world.crates.list(asked("list", ""), options)) == ["b"]

    world.run(scenario())
