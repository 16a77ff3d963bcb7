import asyncio
import random
from typing import Any

import msgspec
import pytest

from tests.unit.apimachinery.documents_world import (
    World,
    asked,
    read,
    revision,
    shown,
    upcoming,
    widget,
)
from tidegate.apimachinery.errors import (
    AlreadyExists,
    NotFound,
    ResourceExpired,
    ServerTimeout,
    UpdateConflict,
)
from tidegate.apimachinery.selectors import Selection, parse_fields, parse_labels
from tidegate.apimachinery.storage import Watch, WatchOptions

FRESH = Selection(parse_labels("state=fresh"))
RED = Selection(fields=parse_fields("spec.color=red", ("spec.color",)))


def label(state: str) -> Any:
    return lambda values: values["metadata"].update(labels={"state": state})


def resize(size: int) -> Any:
    return lambda values: values["spec"].update(size=size)


def test_a_watch_from_a_revision_tells_every_later_change_once() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a"))
        await world.create(widget("b"))
        start = world.store.newest
        await world.update("a", resize(2))
        watch = await world.watch(start)
        await world.create(widget("c"))
        await world.delete("b")
        await world.create(widget("x", "yard"))
        assert await upcoming(watch) == [("MODIFIED", "a"), ("ADDED", "c"), ("DELETED", "b")]
        assert await watch.next(0.01) == ()
        watch.close()
        assert world.store.watchers == 0

    world.run(scenario())


@pytest.mark.parametrize("start", [None, 0])
def test_a_watch_from_nowhere_begins_with_what_there_is(start: int | None) -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("b"), widget("a"))
        watch = await world.watch(start)
        assert shown(await watch.next(1)) == [("ADDED", "a"), ("ADDED", "b")]
        await world.update("a", resize(2))
        assert await upcoming(watch) == [("MODIFIED", "a")]

    world.run(scenario())


@pytest.mark.parametrize("start", [None, 0, 101])
def test_a_streaming_list_ends_with_a_bookmark_that_says_so(start: int | None) -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a"))
        watch = await world.watch(start, initial=True)
        added, bookmark = await watch.next(1)
        assert (added.kind, bookmark.kind) == ("ADDED", "BOOKMARK")
        assert read(bookmark.body) == {
            "kind": "Widget",
            "apiVersion": "example.com/v1",
            "metadata": {
                "resourceVersion": str(world.store.newest),
                "annotations": {"k8s.io/initial-events-end": "true"},
            },
        }
        await world.create(widget("b"))
        assert await upcoming(watch) == [("ADDED", "b")]

    world.run(scenario())


def test_a_streaming_list_cannot_begin_with_what_is_not_reached_yet() -> None:
    world = World()
    with pytest.raises(ServerTimeout, match="Too large resource version: 999, current: 102"):
        world.run(world.watch(999, initial=True))


def test_a_watch_waits_for_what_comes() -> None:
    world = World()

    async def scenario() -> None:
        watch = await world.watch(world.store.newest)
        waiting = asyncio.create_task(watch.next(60))
        await asyncio.sleep(0.01)
        await world.create(widget("elsewhere", "yard"))
        await world.create(widget("a"))
        assert shown(await waiting) == [("ADDED", "a")]

    world.run(scenario())


def test_all_namespaces_are_watched_together() -> None:
    world = World()

    async def scenario() -> None:
        watch = await world.watch(world.store.newest, namespace="")
        await world.create(widget("a"), widget("b", "yard"))
        assert await upcoming(watch) == [("ADDED", "a"), ("ADDED", "b")]
        crates = await world.crates.watch(
            asked("watch", ""), WatchOptions(selection=Selection(), revision=world.store.newest)
        )
        await world.crates.create(asked("create", ""), widget("crate"))
        assert await upcoming(crates) == [("ADDED", "crate")]
        assert await upcoming(watch) == []

    world.run(scenario())


def test_objects_enter_and_leave_a_selection_of_labels() -> None:
    world = World()

    async def scenario() -> None:
        watch = await world.watch(world.store.newest, FRESH)
        await world.create(widget("a"))
        assert await upcoming(watch) == []
        await world.update("a", label("fresh"))
        await world.update("a", resize(2))
        await world.update("a", label("stale"))
        await world.update("a", resize(3))
        await world.delete("a")
        assert await upcoming(watch) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]

    world.run(scenario())


def test_objects_enter_and_leave_a_selection_of_fields() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a", color="red"), widget("b"))
        watch = await world.watch(0, RED)
        assert shown(await watch.next(1)) == [("ADDED", "a")]
        await world.update("a", lambda values: values["spec"].update(color="blue"))
        await world.update("b", lambda values: values["spec"].update(color="red"))
        await world.delete("b")
        assert await upcoming(watch) == [("DELETED", "a"), ("ADDED", "b"), ("DELETED", "b")]

    world.run(scenario())


def test_what_left_a_selection_is_shown_as_it_was_at_the_revision_of_the_change() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a", labels={"state": "fresh"}, finalizers=["example.com/x"]))
        watch = await world.watch(world.store.newest, FRESH)
        await world.update("a", label("stale"))
        (event,) = await watch.next(1)
        values = read(event.body)
        assert (event.kind, values["metadata"]["labels"]) == ("DELETED", {"state": "fresh"})
        assert revision(values) == world.store.newest

    world.run(scenario())


def test_what_is_deleted_is_shown_as_it_last_was_at_the_revision_of_the_deletion() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a", size=4))
        watch = await world.watch(world.store.newest)
        await world.delete("a")
        (event,) = await watch.next(1)
        values = read(event.body)
        assert (event.kind, values["spec"]["size"]) == ("DELETED", 4)
        assert revision(values) == world.store.newest

    world.run(scenario())


def test_one_event_goes_to_every_watcher() -> None:
    world = World()

    async def scenario() -> None:
        await world.create(widget("a", labels={"state": "fresh"}))
        watches = [await world.watch(world.store.newest) for _ in range(50)]
        watches += [await world.watch(world.store.newest, FRESH) for _ in range(50)]
        await world.update("a", resize(2))
        await world.delete("a")
        told = [await each.next(1) for each in watches]
        assert {shown(events)[0] for events in told} == {("MODIFIED", "a")}
        assert len({id(events[0]) for events in told}) == 1
        assert len({id(events[1]) for events in told}) == 1

    world.run(scenario())


def test_a_bookmark_says_how_far_the_watch_is() -> None:
    world = World()

    async def scenario() -> None:
        watch = await world.watch(world.store.newest)
        await world.create(widget("a"))
        before = read(watch.bookmark().body)
        assert revision(before) < world.store.newest
        await watch.next(1)
        await world.crates.create(asked("create", ""), widget("crate"))
        assert await watch.next(0.01) == ()
        bookmark = watch.bookmark()
        assert bookmark.kind == "BOOKMARK"
        assert read(bookmark.body) == {
            "kind": "Widget",
            "apiVersion": "example.com/v1",
            "metadata": {"resourceVersion": str(world.store.newest)},
        }

    world.run(scenario())


@pytest.mark.parametrize("start", [100, 100_000])
def test_a_watch_from_a_revision_that_is_not_known_has_expired(start: int) -> None:
    world = World()
    world.store.forget(101)
    with pytest.raises(ResourceExpired) as refusal:
        world.run(world.watch(start))
    assert str(refusal.value) == f"too old resource version: {start} (102)"
    assert refusal.value.code == 410


def test_a_watch_that_is_too_slow_ends() -> None:
    world = World()

    async def scenario() -> None:
        watch = await world.watch(world.store.newest)
        await world.create(widget("a"))
        await world.create(widget("b"))
        world.store.forget(world.store.newest)
        with pytest.raises(ResourceExpired, match="too old resource version: 102"):
            await watch.next(1)

    world.run(scenario())


async def replayed(watch: Watch, state: dict[str, Any]) -> None:
    """Apply what a watch tells to a state, as an informer does."""
    while events := await watch.next(0.01):
        for event in events:
            values = read(event.body)
            name = values["metadata"]["name"]
            match event.kind:
                case "ADDED":
                    assert name not in state
                    state[name] = values
                case "MODIFIED":
                    assert revision(values) > revision(state[name])
                    state[name] = values
                case "DELETED":
                    assert revision(values) > revision(state.pop(name))


async def random_write(world: World, draw: random.Random) -> None:
    name = f"w{draw.randrange(8)}"
    state = draw.choice(("fresh", "stale"))
    color = draw.choice(("red", "blue"))
    try:
        match draw.randrange(4):
            case 0:
                await world.create(widget(name, color=color, labels={"state": state}))
            case 1:
                await world.delete(name)
            case 2:
                await world.update(name, label(state))
            case _:
                await world.update(name, lambda values: values["spec"].update(color=color))
    except (AlreadyExists, NotFound, UpdateConflict):
        pass


@pytest.mark.parametrize("seed", range(10))
def test_a_list_and_the_events_after_it_give_the_final_list(seed: int) -> None:
    world = World()
    draw = random.Random(seed)

    async def client(selection: Selection) -> None:
        await asyncio.sleep(0)
        page = await world.list(selection)
        state = {read(each)["metadata"]["name"]: read(each) for each in page.bodies}
        watch = await world.watch(page.revision, selection)
        await written.wait()
        await replayed(watch, state)
        final = await world.list(selection)
        assert [state[name] for name in sorted(state)] == [
            msgspec.json.decode(each) for each in final.bodies
        ]

    async def writer() -> None:
        for _ in range(30):
            await random_write(world, draw)

    async def scenario() -> None:
        clients = [asyncio.create_task(client(each)) for each in (Selection(), FRESH, RED)]
        await asyncio.gather(*(writer() for _ in range(4)))
        late = asyncio.create_task(client(FRESH))
        written.set()
        await asyncio.gather(*clients, late)

    written = asyncio.Event()
    world.run(scenario())
