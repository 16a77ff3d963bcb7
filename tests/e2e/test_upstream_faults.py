"""A real registry that fails in every way, and what all processes learn of it together.

Two gateways on one database are two processes; time is the tests'.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.fault_proxy import FaultProxy
from tests.faults import (
    Answer,
    Budget,
    Corrupt,
    Cut,
    Drip,
    Fault,
    Hang,
    asks,
    too_many,
    wrong_digest,
    wrong_length,
)
from tests.images import Content, image, layer
from tests.unit.remote.gateways import HERE
from tests.upstream import Upstream, docker_registry
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.metastore.upstream_budget import FAILURES, FIRST_PAUSE
from tidegate.metastore.upstreams import FRESH, Upstreams
from tidegate.oci.digest import Digest
from tidegate.remote.deadlines import Deadlines
from tidegate.remote.errors import (
    ContentInvalid,
    LeftAlone,
    RateLimited,
    RemoteError,
    Unavailable,
)
from tidegate.remote.gateway import Gateway, Registries, Urgency
from tidegate.remote.location import Location
from tidegate.remote.rules import RegistryRules

USUAL = Deadlines(pause=0.01)
SHORT = Deadlines(answer=2.5, stall=2.5, pause=0.01)
"""Where a registry hangs once, and has to answer in this time when it is asked again."""
HASTY = Deadlines(connect=5.0, answer=0.3, stall=0.3, small=(1.0, 1.0, 1.0), pause=0.01)
"""Where it hangs in any case, and being slow is no other error."""
PICTURE = image(layer({"large": bytes(range(256)) * 4096}))
BLOB = PICTURE.blobs[1]


class Clock:
    """The time, in epoch seconds."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as upstream:
        with upstream.client() as client:
            client.push("library/app", PICTURE, "v1")
        yield upstream


@pytest.fixture
def proxy(registry: Upstream) -> Iterator[FaultProxy]:
    with FaultProxy(registry.url) as started:
        yield started


@pytest.fixture
def database(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'metadata.db'}"
    migrate(url)
    return url


Scenario = Callable[[Gateway, Gateway, Clock], Awaitable[None]]


def two_processes(url: str, scenario: Scenario, deadlines: Deadlines = USUAL) -> None:
    """Run it with the gateways of two processes."""

    async def run() -> None:
        clock = Clock()
        databases = [await open_database(url), await open_database(url)]
        one, other = (
            Gateway(
                RegistryRules,
                HERE,
                Upstreams(database, clock, lambda: 0.5),
                clock=clock,
                deadlines=deadlines,
            )
            for database in databases
        )
        try:
            await scenario(one, other, clock)
        finally:
            for gateway in (one, other):
                await gateway.close()
            for database in databases:
                await database.close()

    asyncio.run(run())


def here(proxy: FaultProxy) -> Location:
    return Location(proxy.address, "library/app")


async def pulled(registries: Registries, location: Location, blob: Content = BLOB) -> bytes:
    """The bytes of a blob, none of them twice."""
    async with registries.blob(location, Digest(blob.digest)) as found:
        return b"".join([each async for each in found.chunks])


@pytest.mark.parametrize(
    ("kind", "fault", "error"),
    [
        ("manifest", Hang(), Unavailable),
        ("manifest", Hang(after=0), Unavailable),
        ("manifest", Hang(after=50), Unavailable),
        ("manifest", Cut(), Unavailable),
        ("manifest", Cut(after=50), Unavailable),
        ("manifest", Drip(piece=1, pause=0.2), Unavailable),
        ("manifest", Corrupt(at=20), ContentInvalid),
        ("manifest", wrong_digest(f"sha256:{'0' * 64}"), ContentInvalid),
        ("manifest", wrong_length(10), ContentInvalid),
        ("manifest", wrong_length(50_000_000), ContentInvalid),
        ("blob", Hang(), Unavailable),
        ("blob", Hang(after=0), Unavailable),
        ("blob", Cut(), Unavailable),
        ("blob", Cut(after=0), Unavailable),
        ("blob", Corrupt(at=20), ContentInvalid),
        ("blob", wrong_length(10), ContentInvalid),
    ],
)
def test_a_registry_that_fails_for_good_is_an_error_and_no_wrong_byte(
    proxy: FaultProxy, database: str, kind: str, fault: Fault, error: type[RemoteError]
) -> None:
    proxy.when(asks(kind, "GET"), fault)

    async def scenario(gateway: Gateway, _: Gateway, __: Clock) -> None:
        registries = gateway.registries(insecure=True)
        work = (
            pulled(registries, here(proxy))
            if kind == "blob"
            else registries.manifest(here(proxy), "v1")
        )
        with pytest.raises(error):
            await work

    two_processes(database, scenario, HASTY if error is Unavailable else USUAL)


@pytest.mark.parametrize("kind", ["manifest", "blob"])
@pytest.mark.parametrize("fault", [Hang(), Hang(after=50), Cut(), Cut(after=50), Answer(503)])
def test_a_registry_that_fails_for_a_moment_is_no_error(
    proxy: FaultProxy, database: str, kind: str, fault: Fault
) -> None:
    proxy.when(asks(kind, "GET"), fault, times=1)

    async def scenario(gateway: Gateway, _: Gateway, __: Clock) -> None:
        registries = gateway.registries(insecure=True)
        found = await registries.manifest(here(proxy), "v1")
        assert found.content == PICTURE.manifest.data
        assert await pulled(registries, here(proxy)) == BLOB.data

    two_processes(database, scenario, SHORT if isinstance(fault, Hang) else USUAL)


def test_a_registry_that_is_gone_is_left_alone_by_all_and_found_again(
    proxy: FaultProxy, database: str
) -> None:
    async def scenario(one: Gateway, other: Gateway, clock: Clock) -> None:
        location = here(proxy)
        asked = [each.registries(insecure=True) for each in (one, other)]
        for registries in asked:
            await registries.head(location, "v1")  # that it has no TLS is known now
        await asyncio.to_thread(proxy.unplug)
        for _ in range(FAILURES):
            with pytest.raises(Unavailable):
                await asked[0].head(location, "v1")
        clock.now += FRESH
        await asyncio.to_thread(proxy.plug_in)
        before = proxy.count()
        for registries in asked:
            for _ in range(5):
                with pytest.raises(LeftAlone, match="failed again and again"):
                    await registries.head(location, "v1")
            with pytest.raises(LeftAlone):
                await pulled(registries, location)
        assert proxy.count() == before
        clock.now += FIRST_PAUSE
        for registries in reversed(asked):
            await registries.head(location, "v1")
            clock.now += FRESH
        assert await pulled(asked[0], location) == BLOB.data
        assert proxy.count() > before

    two_processes(database, scenario)


def test_one_request_at_a_time_tries_a_registry_that_was_left_alone(
    proxy: FaultProxy, database: str
) -> None:
    async def scenario(one: Gateway, other: Gateway, clock: Clock) -> None:
        location = here(proxy)
        asked = [each.registries(insecure=True) for each in (one, other)]
        for registries in asked:
            await registries.head(location, "v1")
        proxy.when(asks("manifest"), Answer(503))
        for _ in range(2):
            with pytest.raises(Unavailable):
                await asked[0].head(location, "v1")
        clock.now += FIRST_PAUSE + 10.0
        proxy.forget()
        for registries in asked * 5:
            with pytest.raises(Unavailable):
                await registries.head(location, "v1")
        assert proxy.count("manifest") == 1

    two_processes(database, scenario)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_registry_that_asks_to_wait_is_left_in_peace_by_all(
    proxy: FaultProxy, database: str, form: str
) -> None:
    async def scenario(one: Gateway, other: Gateway, clock: Clock) -> None:
        date = format_datetime(datetime.fromtimestamp(clock.now + 90, UTC), usegmt=True)
        rule = proxy.when(asks("manifest"), too_many(90 if form == "seconds" else date))
        asked = [each.registries(insecure=True) for each in (one, other)]
        with pytest.raises(RateLimited) as caught:
            await asked[0].head(here(proxy), "v1")
        assert caught.value.retry_after == 90.0
        proxy.drop(rule)
        clock.now += 80.0
        for registries in asked:
            with pytest.raises(RateLimited, match="used up") as caught:
                await registries.head(here(proxy), "v1")
            assert caught.value.retry_after == pytest.approx(10.0)
            with pytest.raises(RateLimited):
                await pulled(registries, here(proxy))
        assert (proxy.count("manifest"), proxy.count("blob")) == (1, 0)
        clock.now += 10.0
        for registries in asked:
            await registries.head(here(proxy), "v1")

    two_processes(database, scenario)


def test_what_is_allowed_in_six_hours_is_shared_and_never_exceeded(
    proxy: FaultProxy, database: str
) -> None:
    budget = Budget(allowance=20, period=21600, retry_after=600)
    proxy.when(asks("manifest", "GET"), budget)

    async def scenario(one: Gateway, other: Gateway, clock: Clock) -> None:
        looks = [
            each.registries(insecure=True, urgency=Urgency.BACKGROUND) for each in (one, other)
        ]
        refusals = set[bool]()
        end = clock.now + 21600
        while clock.now < end:
            for registries in looks:
                try:
                    await registries.manifest(here(proxy), "v1")
                except RateLimited as error:
                    refusals.add("used up" in str(error))
            clock.now += 60.0
        assert refusals == {True}  # by our own count: the registry never had to refuse
        assert 12 <= budget.used <= 17  # a fifth is left, or nearly
        client = one.registries(insecure=True)
        for _ in range(20 - budget.used):
            await client.manifest(here(proxy), "v1")  # for clients who wait
        assert budget.used == 20

    two_processes(database, scenario)
