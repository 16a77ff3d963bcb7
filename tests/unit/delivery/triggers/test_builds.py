"""Builds that new images begin, in a cluster that may or may not note which image that was."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from tests.unit.delivery.triggers.things import image, source
from tests.unit.delivery.triggers.world import World, acting, until, world
from tidegate.delivery.triggers.planning import Edit
from tidegate.delivery.triggers.reading import BUILD_CONFIGS
from tidegate.delivery.triggers.targets import Note, Seen, Synced, TargetRefused
from tidegate.delivery.triggers.workload import BuildTrigger, Workload, WorkloadKey

KEY = WorkloadKey(BUILD_CONFIGS.resource, "shop", "app")


def config(last: str = "") -> Workload:
    """A BuildConfig that follows shop/web:1, and whose status says what it was built of last."""
    reference = {"kind": "ImageStreamTag", "name": "web:1"}
    return Workload(
        key=KEY,
        api_version=BUILD_CONFIGS.api_version,
        kind=BUILD_CONFIGS.kind,
        uid="uid-app",
        version="7",
        builds=(BuildTrigger(source(), reference, last),),
    )


class Cluster:
    """`Targets` with one BuildConfig."""

    def __init__(self, *, notes: bool) -> None:
        self.built: list[str] = []
        self.notes = notes
        self.refuses = 0
        self.last = ""
        self.seen: Seen | None = None
        self.resources = (BUILD_CONFIGS.resource,)

    async def follow(self, seen: Seen, synced: Synced) -> None:
        self.seen = seen
        seen(KEY, config(self.last))
        synced(BUILD_CONFIGS.resource, {KEY})
        await asyncio.Event().wait()

    async def write(self, workload: Workload, edits: Sequence[Edit]) -> Workload | None:
        raise AssertionError("a BuildConfig is not written")

    async def read(self, key: WorkloadKey) -> bytes | None:
        raise AssertionError("nor read")

    async def build(self, workload: Workload, builds: Sequence[BuildTrigger]) -> None:
        if self.refuses:
            self.refuses -= 1
            raise TargetRefused("no quota")
        (build,) = builds
        self.built.append(build.last)
        if self.notes and self.seen is not None:
            self.last = build.last
            self.seen(KEY, config(build.last))

    async def note(self, workload: Workload, note: Note) -> None:
        """Events are not looked at here."""


def built(cluster: Cluster, *letters: str) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return cluster.built == [image(each) for each in letters]

    return condition


def told(directory: Path, cluster: Cluster, takeover: Sequence[str]) -> None:
    async def story(made: World) -> None:
        await made.push("shop/web", "1", "a")
        triggers = made.triggers(targets=cluster)
        async with acting(triggers):
            await until(built(cluster, "a"))
            assert cluster.seen is not None
            cluster.seen(KEY, config(cluster.last))  # its status is written for other reasons
            triggers.look_at_all("shop")
            await made.push("shop/web", "1", "b")
            await until(built(cluster, "a", "b"))
        await made.push("shop/web", "1", "c")
        async with acting(made.triggers(targets=cluster)):
            await until(built(cluster, "a", "b", *takeover))

    async def run() -> None:
        async with world(directory) as made:
            await story(made)

    asyncio.run(run())


def test_each_image_is_built_of_once(tmp_path: Path) -> None:
    told(tmp_path, Cluster(notes=True), ["c"])


def test_a_process_asks_once_though_the_cluster_does_not_note_it(tmp_path: Path) -> None:
    cluster = Cluster(notes=False)
    cluster.last = image("z")
    told(tmp_path, cluster, ["c"])


def test_a_build_that_is_refused_is_asked_for_again(tmp_path: Path) -> None:
    async def run() -> None:
        cluster = Cluster(notes=True)
        cluster.refuses = 1
        async with world(tmp_path) as made:
            await made.push("shop/web", "1", "a")
            triggers = made.triggers(targets=cluster)
            async with acting(triggers):

                async def refused() -> bool:
                    return [each.status for each in made.audit.events] == [403]

                await until(refused)
                made.now += 1.0
                triggers.look_at_all("shop")
                await until(built(cluster, "a"))

    asyncio.run(run())
