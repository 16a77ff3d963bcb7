"""How fresh a mirrored tag is, by the clock of the test; the other registry is a server in here."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fault_proxy import FaultProxy
from tests.faults import Answer, Ask, Hang, asks
from tests.images import Content, index, small_image
from tidegate.apimachinery.store import Key
from tidegate.auth.projects.proxy import Proxy
from tidegate.images.proxies import Proxied
from tidegate.metastore.documents import Documents
from tidegate.metastore.manifests import StoredManifest
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag
from tidegate.registry.errors import ManifestUnknown, PullThroughFailed, TooManyRequests
from tidegate.registry.pull_through.hearing import ENOUGH, RECENT, SILENT, Hearing, Waits
from tidegate.registry.pull_through.manifests import RemoteManifests
from tidegate.registry.pull_through.mirroring import Look, Mirroring, NoMirror
from tidegate.registry.pull_through.proxies import FAILED, ProxiedManifests, Pulled
from tidegate.registry.request import Request
from tidegate.remote.addresses import AddressPolicy
from tidegate.remote.budgets import NoBudgets
from tidegate.remote.gateway import Gateway
from tidegate.remote.location import Location
from tidegate.remote.rules import RegistryRules

HOUR = 3600.0
WAITS = Waits(longest=20.0, slack=20.0)
"""In a world that takes its time: what is not waited for there is so by a decision."""
FRESHNESS = 60.0
REPOSITORY = RepositoryName("hub/library.nginx")
LATEST = Tag("latest")
OLD, NEW = index(small_image("old")).manifest, index(small_image("new")).manifest


@dataclass
class World:
    """A project `hub` that mirrors `far`, whose `now` is what it gives; and a clock."""

    pulls: ProxiedManifests
    mirroring: Mirroring
    gateway: Gateway
    far: FaultProxy
    time: list[float]
    now: list[Content]

    def proxied(self, **more: Any) -> Proxied:
        location = Location(self.far.address, "library/nginx")
        return Proxied(REPOSITORY, location, Proxy(self.far.address, **more))

    async def pull(self, reference: Tag | Digest = LATEST, **more: Any) -> Pulled:
        request = Request(
            {"method": "GET", "headers": [], "path": "/", "query_string": b""}, _never
        )
        return await self.pulls.pull(request, "ann", self.proxied(**more), reference)

    async def fresh(self) -> Pulled:
        """The tag once it is stale no more."""
        async with asyncio.timeout(20):
            while is_stale(pulled := await self.pull()):  # noqa: ASYNC110  as clients would
                await asyncio.sleep(0.01)
        return pulled

    def later(self, seconds: float) -> None:
        self.time[0] += seconds

    def asked(self) -> tuple[int, int]:
        """HEADs and GETs of manifests since the last time."""
        counts = self.far.count("manifest", "HEAD"), self.far.count("manifest", "GET")
        self.far.forget()
        return counts


async def _never() -> dict[str, Any]:
    raise AssertionError("nobody reads the body of a GET")


@asynccontextmanager
async def world(file: Path, waits: Waits = WAITS) -> AsyncIterator[World]:
    database = await open_database(f"sqlite:///{file}")
    store = Documents(database)
    body = b'{"metadata":{"name":"hub"}}'
    await store.write(lambda tx: tx.put(Key("namespaces", "", "hub"), "u", lambda _: body))
    time, now = [1_000_000.0], [OLD]

    def clock() -> float:
        return time[0]

    with FaultProxy() as far:
        far.always(lambda ask: _given(ask, now))
        rules = RegistryRules(insecure=(far.address,))
        addresses = AddressPolicy(allow_private=True)
        gateway = Gateway(lambda: rules, addresses, NoBudgets(), clock=clock)
        elsewhere = RemoteManifests(database, store, gateway, tuple)
        hearing = Hearing(clock, waits)
        mirroring = Mirroring(database, hearing, clock)
        pulls = ProxiedManifests(database, mirroring, elsewhere, tuple, FRESHNESS, hearing, clock)
        try:
            yield World(pulls, mirroring, gateway, far, time, now)
        finally:
            await mirroring.close()
            await gateway.close()
            await database.close()


def _given(ask: Ask, now: list[Content]) -> Answer | None:
    content = next((each for each in (OLD, NEW) if each.digest == ask.reference), now[0])
    headers = {"Docker-Content-Digest": content.digest, "Content-Type": content.media_type,
               "Docker-Distribution-Api-Version": "registry/2.0"}  # fmt: skip
    if ask.kind != "manifest":
        return Answer(404, headers)
    return Answer(200, {**headers, "Content-Length": str(len(content.data))}, content.data)


@pytest.fixture
def play(migrated: Path, tmp_path: Path) -> Callable[..., None]:
    """Plays a scenario in a world of its own."""

    def run(scenario: Callable[[World], Coroutine[Any, Any, None]], **options: Any) -> None:
        async def inner() -> None:
            async with world(Path(shutil.copy(migrated, tmp_path)), **options) as found:
                await scenario(found)

        asyncio.run(inner())

    return run


def age_of(pulled: Pulled) -> int:
    return int(dict(pulled.headers)[b"age"])


def is_stale(pulled: Pulled) -> bool:
    return any(name == b"warning" for name, _ in pulled.headers)


def has_failed(pulled: Pulled) -> bool:
    return FAILED in pulled.headers


def test_within_its_freshness_a_tag_asks_nobody(play: Callable[..., None]) -> None:
    async def scenario(here: World) -> None:
        first = await here.pull()
        assert first.manifest.content == OLD.data
        assert here.asked() == (1, 1)
        here.now[0] = NEW
        here.later(FRESHNESS - 1)
        second = await here.pull()
        assert (second.manifest.digest, age_of(second)) == (OLD.digest, FRESHNESS - 1)
        assert here.asked() == (0, 0)
        here.later(1)
        third = await here.pull()
        assert (third.manifest.digest, age_of(third)) == (NEW.digest, 0)
        assert here.asked() == (1, 1)
        here.later(FRESHNESS)
        assert (await here.pull()).manifest.digest == NEW.digest
        assert here.asked() == (1, 0)

    play(scenario)


def test_a_project_has_a_freshness_of_its_own(play: Callable[..., None]) -> None:
    async def scenario(here: World) -> None:
        await here.pull(freshness=2 * HOUR)
        here.later(HOUR)
        here.far.forget()
        assert age_of(await here.pull(freshness=2 * HOUR)) == HOUR
        assert here.asked() == (0, 0)
        assert age_of(await here.pull(freshness=0.0)) == 0
        assert here.asked() == (1, 0)

    play(scenario)


def test_an_hour_without_the_other_registry_is_an_hour_of_pulls_with_their_age(
    play: Callable[..., None],
) -> None:
    async def scenario(here: World) -> None:
        await here.pull()
        here.far.unplug()
        for second in range(0, int(HOUR), 10):
            pulled = await here.pull()
            assert pulled.manifest.content == OLD.data
            assert age_of(pulled) == second
            assert is_stale(pulled) is (second >= FRESHNESS)
            assert (await here.pull(Digest(OLD.digest))).headers == []
            here.later(10)
        here.far.plug_in()
        here.now[0] = NEW
        here.later(SILENT)
        assert is_stale(await here.pull())  # still, but the registry is asked beside
        assert (await here.fresh()).manifest.digest == NEW.digest

    play(scenario)


def test_who_waits_for_a_silent_registry_waits_once(play: Callable[..., None]) -> None:
    async def scenario(here: World) -> None:
        await here.pull()
        here.later(FRESHNESS)
        here.far.forget()
        here.far.always(Hang())
        first = await here.pull()  # gives up after the patience of this world
        assert is_stale(first)
        for _ in range(5):
            assert is_stale(await asyncio.wait_for(here.pull(), 5))
        assert here.far.count("manifest") == 1
        here.now[0] = NEW
        here.far.honest()
        here.far.always(lambda ask: _given(ask, here.now))
        await here.fresh()  # the answer that came late counts

    play(scenario, waits=Waits(0.05, 0.05))


def test_another_tag_of_a_silent_registry_is_not_waited_for(play: Callable[..., None]) -> None:
    async def scenario(here: World) -> None:
        tags = [Tag("one"), Tag("two")]
        for tag in tags:
            await here.pull(tag)
        here.later(FRESHNESS)
        rule = here.far.when(asks("manifest"), Answer(503))
        assert is_stale(await here.pull(tags[0]))
        here.far.drop(rule)
        here.far.always(Hang())
        assert is_stale(await asyncio.wait_for(here.pull(tags[1]), 5))  # this world waits 20 s

    play(scenario)


def test_a_tag_that_is_due_for_long_is_worth_waiting_for_and_one_of_minutes_is_not(
    play: Callable[..., None],
) -> None:
    async def scenario(here: World) -> None:
        for tag in (LATEST, Tag("long-ago")):
            for _ in range(ENOUGH // 2):
                await here.pull(tag, freshness=0.0)
        here.far.always(Hang())
        here.later(FRESHNESS)
        served = await asyncio.wait_for(here.pull(), 10)  # this world waits 20 s for what counts
        assert (is_stale(served), has_failed(served)) == (True, False)
        here.later(RECENT + 1)  # by then nothing is known of that silence any more
        waiting = asyncio.ensure_future(here.pull(Tag("long-ago")))
        await asyncio.to_thread(here.far.wait_hanging, 2)
        here.far.unplug()
        assert has_failed(await waiting)  # it waited for what would become of the question

    play(scenario, waits=Waits(longest=20.0, slack=0.05))


def test_a_tag_that_may_not_be_served_stale_is_waited_for_however_quick_its_registry_was(
    play: Callable[..., None],
) -> None:
    async def scenario(here: World) -> None:
        for _ in range(ENOUGH):
            await here.pull(freshness=0.0)
        here.later(FRESHNESS)
        here.far.always(Hang())
        waiting = asyncio.ensure_future(here.pull(stale_limit=FRESHNESS / 2))
        await asyncio.to_thread(here.far.wait_hanging)
        assert is_stale(await asyncio.wait_for(here.pull(), 10))  # who bears it does not wait
        assert not waiting.done()
        here.far.unplug()
        with pytest.raises(PullThroughFailed):
            await waiting

    play(scenario, waits=Waits(longest=20.0, slack=0.05))


def test_a_tag_that_may_not_be_served_stale_is_asked_about_though_it_failed_long_ago(
    play: Callable[..., None],
) -> None:
    async def scenario(here: World) -> None:
        await here.pull()
        here.later(FRESHNESS)
        rule = here.far.when(asks("manifest"), Answer(503))
        assert has_failed(await here.pull())
        here.far.drop(rule)
        here.later(HOUR)
        here.now[0] = NEW
        pulled = await here.pull(stale_limit=FRESHNESS)
        assert (pulled.manifest.digest, is_stale(pulled)) == (NEW.digest, False)

    play(scenario)


def test_once_the_registry_has_said_what_the_tag_is_the_rest_is_waited_for() -> None:
    async def scenario() -> None:
        stored = StoredManifest(Digest(OLD.digest), OLD.media_type, OLD.data)
        look = Look(asyncio.Event(), asyncio.get_running_loop().create_future())
        assert not await look.wait(0.0, 20.0)
        look.told.set()
        waiting = asyncio.ensure_future(look.wait(0.0, 20.0))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        look.found.set_result(stored)
        assert await waiting

    asyncio.run(scenario())


def test_a_look_that_nobody_waits_for_any_more_ends_with_the_process(
    play: Callable[..., None],
) -> None:
    async def scenario(here: World) -> None:
        await here.pull()
        here.later(FRESHNESS)
        here.far.always(Hang())
        here.far.forget()
        for _ in range(3):
            assert is_stale(await here.pull())
        here.far.wait_for(1, "manifest")
        assert here.far.count("manifest") == 1
        await here.mirroring.close()
        await here.gateway.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    play(scenario, waits=Waits(0.05, 0.05))


def test_a_tag_of_any_age_is_served_unless_the_project_says_how_old_it_may_be(
    play: Callable[..., None],
) -> None:
    async def scenario(here: World) -> None:
        await here.pull()
        here.far.always(Answer(503))
        here.later(1000 * HOUR)
        assert age_of(await here.pull()) == 1000 * HOUR
        with pytest.raises(PullThroughFailed):
            await here.pull(stale_limit=24 * HOUR)
        assert (await here.pull(stale_limit=2000 * HOUR)).manifest.digest == OLD.digest

    play(scenario)


def test_a_tag_that_is_gone_there_is_gone_here_and_its_digest_is_not(
    play: Callable[..., None],
) -> None:
    async def scenario(here: World) -> None:
        await here.pull()
        here.later(FRESHNESS)
        rule = here.far.when(asks("manifest"), _nothing())
        with pytest.raises(ManifestUnknown, match="library/nginx:latest"):
            await here.pull()
        assert (await here.pull(Digest(OLD.digest))).manifest.content == OLD.data
        here.far.drop(rule)
        assert (await here.pull()).manifest.digest == OLD.digest

    play(scenario)


def test_what_was_tagged_here_by_hand_is_not_what_the_mirror_serves(
    play: Callable[..., None],
) -> None:
    """Only what the other registry said counts, whatever tags of the stream were moved to."""

    async def scenario(here: World) -> None:
        await here.pull()
        here.now[0] = NEW
        other = await here.pull(Tag("other"))
        assert other.manifest.digest == NEW.digest
        assert (await here.pull()).manifest.digest == OLD.digest

    play(scenario)


def test_without_anything_to_serve_the_failure_is_told(play: Callable[..., None]) -> None:
    async def scenario(here: World) -> None:
        here.far.always(Answer(503))
        with pytest.raises(PullThroughFailed, match="cannot be reached"):
            await here.pull()
        here.far.always(Answer(429, {"Retry-After": "17"}))
        with pytest.raises(TooManyRequests) as limited:
            await here.pull()
        assert dict(limited.value.headers)[b"retry-after"] == b"17"

    play(scenario)


def test_a_stream_that_mirrors_something_else_is_not_read_by_another_name(
    play: Callable[..., None],
) -> None:
    async def scenario(here: World) -> None:
        await here.pull()
        request = Request(
            {"method": "GET", "headers": [], "path": "/", "query_string": b""}, _never
        )
        location = Location(here.far.address, "library.nginx")
        other = Proxied(REPOSITORY, location, Proxy(here.far.address))
        with pytest.raises(NoMirror, match=r"which mirrors .*/library/nginx"):
            await here.pulls.pull(request, "ann", other, LATEST)
        with pytest.raises(NoMirror):
            await here.pulls.pull(request, "ann", other, Digest(NEW.digest))

    play(scenario)


def _nothing() -> Answer:
    return Answer(404, {"Docker-Distribution-Api-Version": "registry/2.0"})


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "metadata.db"
    migrate(f"sqlite:///{path}")
    return path
