"""What the gateway does around a request: mirrors, flights, budgets, loops, redirects."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.fault_proxy import FaultProxy
from tests.faults import Answer, Ask, Cut, Fault, Hang, Tokens, asks, redirect
from tests.images import small_image
from tests.unit.remote.gateways import (
    HERE,
    IMPATIENT,
    Names,
    keyring,
    location,
    refuses,
    serves,
    with_gateway,
)
from tidegate.oci.digest import Digest
from tidegate.remote.addresses import AddressPolicy
from tidegate.remote.budgets import NO_WAIT, Wait
from tidegate.remote.deadlines import Deadlines
from tidegate.remote.errors import (
    AddressRefused,
    Busy,
    CertificateRefused,
    ContentMissing,
    DetourUnavailable,
    LeftAlone,
    LoopDetected,
    RateLimited,
    RegistryBlocked,
    RemoteError,
    SourcesFailed,
    Unavailable,
)
from tidegate.remote.gateway import Found, Gateway, RemoteManifest, Urgency
from tidegate.remote.http.calls import CONNECTIONS
from tidegate.remote.location import Location
from tidegate.remote.rules import MirrorRule, RegistryRules

IMAGE = small_image("one")
BLOB = Digest(IMAGE.blobs[1].digest)


PROBED = [("wait", "", Urgency.NOW, False), ("answered",)]
"""Whether an insecure registry speaks TLS is asked first."""


class Kept:
    """Budgets that write down what they are told, and answer `wait` as they are told."""

    def __init__(self, wait: Wait = NO_WAIT) -> None:
        self.answer = wait
        self.told: list[tuple[object, ...]] = []
        self.failing: set[str] = set()

    async def wait(self, host: str, account: str, urgency: int, *, counted: bool) -> Wait:
        self.told.append(("wait", account, urgency, counted))
        return self.answer

    async def learn(
        self, host: str, account: str, allowance: int, period: float, remaining: float
    ) -> None:
        self.told.append(("learn", account, allowance, period, remaining))

    async def refused(self, host: str, account: str, retry_after: float) -> None:
        self.told.append(("refused", account, retry_after))

    async def failed(self, host: str, error: str) -> None:
        self.told.append(("failed",))
        self.failing.add(host)

    async def answered(self, host: str) -> None:
        self.told.append(("answered",))

    def of(self, *kinds: str) -> list[tuple[object, ...]]:
        return [each for each in self.told if each[0] in kinds]


def manifest(address: str, *, rules: RegistryRules) -> RemoteManifest:
    async def scenario(gateway: Gateway) -> RemoteManifest:
        return await gateway.registries(insecure=True).manifest(location(address), "v1")

    return with_gateway(scenario, rules=rules)


def head(address: str, *, rules: RegistryRules | None = None, budgets: Kept | None = None) -> Found:
    async def scenario(gateway: Gateway) -> Found:
        return await gateway.registries(insecure=True).head(location(address), "v1")

    return with_gateway(scenario, rules=rules, budgets=budgets, deadlines=IMPATIENT)


def mirrored(source: str, *mirrors: str, contact: bool = True) -> RegistryRules:
    rule = MirrorRule(source, tuple(f"{each}/mirrored" for each in mirrors), contact)
    return RegistryRules(
        insecure=("127.0.0.1:*", *mirrors), digest_mirrors=(rule,), tag_mirrors=(rule,)
    )


# mirrors


def test_mirrors_come_first_and_the_registry_last() -> None:
    with FaultProxy() as one, FaultProxy() as two, FaultProxy() as source:
        for server in (two, source):
            server.always(serves(IMAGE))
        rules = mirrored(f"{source.address}/library", one.address, two.address)
        found = head(source.address, rules=rules)
        assert found.location == location(source.address)
        assert found.mirror == Location(two.address, "mirrored/app")
        assert [each.count("manifest") for each in (one, two, source)] == [1, 1, 0]
        two.always(Answer(404))
        found = head(source.address, rules=rules)
        assert (found.location, found.mirror) == (location(source.address), None)


def test_blobs_and_parts_of_them_come_from_mirrors_too() -> None:
    with FaultProxy() as mirror, FaultProxy() as source:
        mirror.always(serves(IMAGE))

        async def scenario(gateway: Gateway) -> None:
            registries = gateway.registries(insecure=True)
            assert await registries.blob_size(location(source.address), BLOB) > 0
            async with registries.blob(location(source.address), BLOB) as blob:
                assert b"".join([each async for each in blob.chunks]) == IMAGE.blobs[1].data

        with_gateway(scenario, rules=mirrored(source.address, mirror.address))
        assert source.count() == 0


def test_errors_of_all_sources_are_told_and_one_keeps_its_kind() -> None:
    with FaultProxy() as mirror, FaultProxy() as source:
        mirror.always(refuses(404, "NAME_UNKNOWN", "not mirrored"))
        source.always(refuses(429, "TOOMANYREQUESTS", "slow down", Retry_After="9"))
        with pytest.raises(SourcesFailed, match=r"not mirrored.*; .*slow down") as caught:
            manifest(source.address, rules=mirrored(source.address, mirror.address))
        missing, limited = caught.value.errors
        assert isinstance(missing, ContentMissing)
        assert isinstance(limited, RateLimited)
        source.always(refuses(404, "NAME_UNKNOWN", "unknown"))
        with pytest.raises(ContentMissing):
            head(source.address)


def test_a_registry_that_must_not_be_contacted_is_not() -> None:
    with FaultProxy() as mirror, FaultProxy() as source:
        source.always(serves(IMAGE))
        with pytest.raises(RemoteError):
            head(source.address, rules=mirrored(source.address, mirror.address, contact=False))
        assert source.count() == 0


def test_a_blocked_registry_is_neither_read_nor_written() -> None:
    with FaultProxy() as server:

        async def scenario(gateway: Gateway) -> None:
            registries, here = gateway.registries(insecure=True), location(server.address)
            with pytest.raises(RegistryBlocked):
                await registries.head(here, "v1")
            with pytest.raises(RegistryBlocked):
                await registries.push_manifest(here, "v1", "x/y", b"{}")
            with pytest.raises(RegistryBlocked):
                await registries.has_blob(here, BLOB)

        with_gateway(scenario, rules=RegistryRules(blocked=(server.address,)))
        assert server.count() == 0


def test_the_wish_for_less_security_is_not_for_mirrors() -> None:
    with FaultProxy() as mirror, FaultProxy() as source:
        mirror.always(serves(IMAGE))
        source.always(serves(IMAGE))
        rule = MirrorRule(source.address, (f"{mirror.address}/x",))
        found = head(source.address, rules=RegistryRules(tag_mirrors=(rule,)))
        assert found.mirror is None
        assert mirror.count() == 0


# single flight


@pytest.mark.parametrize("kind", ["head", "manifest"])
def test_what_many_want_at_once_is_asked_once(kind: str) -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves(IMAGE))
        server.when(asks("manifest"), Hang())

        async def scenario(gateway: Gateway) -> None:
            async def one() -> object:
                registries = gateway.registries(insecure=True)
                return await getattr(registries, kind)(location(server.address), "v1")

            waiting = [asyncio.create_task(one()) for _ in range(50)]
            await asyncio.to_thread(server.wait_hanging)
            server.honest()
            assert len({repr(each) for each in await asyncio.gather(*waiting)}) == 1

        with_gateway(scenario)
        assert server.count("manifest") == 1


def test_nobody_gets_what_was_asked_with_the_credentials_of_another() -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves(IMAGE))
        server.when(asks("manifest"), Hang())

        async def scenario(gateway: Gateway) -> None:
            here = location(server.address)
            keys = [keyring(server.address, name) for name in ("ann", "bob", "bob")]
            waiting = [
                asyncio.create_task(gateway.registries(each, insecure=True).head(here, "v1"))
                for each in keys
            ]
            await asyncio.to_thread(server.wait_hanging, 2)
            server.honest()
            await asyncio.gather(*waiting)

        with_gateway(scenario)
        assert server.count("manifest") == 2


def test_a_failure_is_learned_though_nobody_waited_for_it() -> None:
    budgets = Kept()
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.when(asks("manifest"), Hang())

        async def scenario(gateway: Gateway) -> None:
            asking = gateway.registries(insecure=True).head(location(server.address), "v1")
            task = asyncio.create_task(asking)
            await asyncio.to_thread(server.wait_hanging)
            task.cancel()
            await asyncio.wait([task])
            await asyncio.to_thread(server.wait_hanging, 2)  # it was asked again
            assert budgets.of("failed")

        with_gateway(scenario, budgets=budgets, deadlines=IMPATIENT)


# budgets and the breaker


def test_what_a_registry_says_of_its_limits_is_learned() -> None:
    budgets = Kept()
    limits = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "76;w=21600"}
    with FaultProxy() as server:
        answer = serves(IMAGE)(Ask("HEAD", "", {}, "http", "manifest", "library/app", "v1"))
        assert isinstance(answer, Answer)
        server.always(Answer(200, {**answer.headers, **limits}, answer.body))
        head(server.address, budgets=budgets)
    assert budgets.of("wait", "learn", "answered") == [
        *PROBED,
        ("wait", "", Urgency.NOW, True),
        ("answered",),
        ("learn", "", 100, 21600.0, 76),
    ]


def test_a_refusal_for_too_many_requests_is_learned() -> None:
    budgets = Kept()
    with FaultProxy() as server:
        server.always(refuses(429, "TOOMANYREQUESTS", "slow down", Retry_After="9"))
        with pytest.raises(RateLimited):
            head(server.address, budgets=budgets)
    assert budgets.of("refused") == [("refused", "", 9.0)]
    assert not budgets.of("failed")


@pytest.mark.parametrize("fault", [Cut(), Answer(503), Answer(502), Hang()])
def test_failures_are_learned_once_for_each_attempt(fault: Fault) -> None:
    budgets = Kept()
    with FaultProxy() as server:
        server.when(asks("manifest"), fault)
        with pytest.raises(Unavailable):
            head(server.address, budgets=budgets)
        # what was cut on the connection that was kept is asked again without a word
        assert server.count("manifest") == (4 if fault == Cut() else 3)
    assert len(budgets.of("failed")) == 3
    assert budgets.of("answered") == PROBED[1:]


@pytest.mark.parametrize("status", [200, 401, 403, 404, 418, 500])
def test_whatever_a_registry_answers_it_works(status: int) -> None:
    budgets = Kept()
    with FaultProxy() as server:
        server.always(serves(IMAGE) if status == 200 else Answer(status))
        if status == 200:
            head(server.address, budgets=budgets)
        else:
            with pytest.raises(RemoteError):
                head(server.address, budgets=budgets)
    assert budgets.of("answered")
    assert not budgets.of("failed")


def test_a_request_waits_for_the_budget_and_the_breaker() -> None:
    with FaultProxy() as server:
        with pytest.raises(RateLimited, match="used up for 30 s") as caught:
            head(server.address, budgets=Kept((30.0, "")))
        assert caught.value.retry_after == 30.0
        with pytest.raises(LeftAlone, match="no answer yesterday"):
            head(server.address, budgets=Kept((30.0, "no answer yesterday")))
        assert server.count("manifest") == 0


def test_blobs_count_against_no_budget() -> None:
    budgets = Kept()
    with FaultProxy() as server:
        server.always(serves(IMAGE))

        async def scenario(gateway: Gateway) -> None:
            registries = gateway.registries(
                keyring(server.address), insecure=True, urgency=Urgency.BACKGROUND
            )
            await registries.blob_size(location(server.address), BLOB)

        with_gateway(scenario, budgets=budgets)
    asked = ("wait", "ann", Urgency.BACKGROUND, False)
    assert budgets.of("wait") == [*PROBED[:1], asked]


def test_failures_of_a_server_that_the_registry_leads_to_are_not_its_own() -> None:
    budgets = Kept()
    with FaultProxy() as server, FaultProxy() as cdn:
        server.always(redirect(f"{cdn.url}/blob"))
        cdn.unplug()

        async def scenario(gateway: Gateway) -> None:
            with pytest.raises(DetourUnavailable):
                await gateway.registries(insecure=True).blob_size(location(server.address), BLOB)

        with_gateway(scenario, budgets=budgets, deadlines=IMPATIENT)
    assert not budgets.of("failed")
    assert budgets.of("answered")


def test_an_insecure_registry_that_is_gone_is_left_alone_like_any_other() -> None:
    budgets = Kept()
    with FaultProxy() as server:
        server.unplug()
        with pytest.raises(Unavailable):
            head(server.address, budgets=budgets)
        assert budgets.of("failed")
        budgets.answer = (30.0, "gone")
        with pytest.raises(LeftAlone):
            head(server.address, budgets=budgets)


@pytest.mark.parametrize("fault", [Cut(), Answer(503), Hang()])
def test_a_token_server_that_fails_is_left_alone_and_its_registry_is_not(fault: Fault) -> None:
    budgets = Kept()
    with FaultProxy() as server, FaultProxy() as realm:
        server.always(Tokens(realm=f"{realm.url}/token"))
        realm.always(fault)
        with pytest.raises(Unavailable):
            head(server.address, budgets=budgets)
        assert len(budgets.of("failed")) == realm.count()
        assert budgets.failing == {f"{server.address} (tokens)"}


def test_what_comes_back_within_a_moment_is_waited_for() -> None:
    class Soon(Kept):
        async def wait(self, host: str, account: str, urgency: int, *, counted: bool) -> Wait:
            await super().wait(host, account, urgency, counted=counted)
            return (0.001, "") if len(self.of("wait")) < 5 else NO_WAIT

    budgets = Soon()
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        assert head(server.address, budgets=budgets).digest == IMAGE.digest
    assert len(budgets.of("wait")) == 6


def test_large_things_keep_no_connection_from_small_ones() -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves(IMAGE))
        server.when(asks("blob"), Hang(after=0))

        async def scenario(gateway: Gateway) -> None:
            registries, here = gateway.registries(insecure=True), location(server.address)

            async def read() -> None:
                async with registries.blob(here, BLOB) as blob:
                    async for _ in blob.chunks:
                        pass

            reading = [asyncio.create_task(read()) for _ in range(CONNECTIONS)]
            await asyncio.to_thread(server.wait_hanging, CONNECTIONS)
            assert (await registries.head(here, "v1")).digest == IMAGE.digest
            for task in reading:
                task.cancel()
            await asyncio.wait(reading)
            async with registries.blob(here, BLOB) as blob:  # their connections are free again
                assert blob.size == len(IMAGE.blobs[1].data)

        with_gateway(scenario)


def test_who_gets_no_connection_says_nothing_against_the_registry() -> None:
    budgets = Kept()
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves(IMAGE))
        server.when(asks("blob"), Hang(after=0))

        async def scenario(gateway: Gateway) -> None:
            registries, here = gateway.registries(insecure=True), location(server.address)

            async def read() -> None:
                async with registries.blob(here, BLOB) as blob:
                    async for _ in blob.chunks:
                        pass

            reading = [asyncio.create_task(read()) for _ in range(CONNECTIONS)]
            await asyncio.to_thread(server.wait_hanging, CONNECTIONS)
            with pytest.raises(Busy):
                await read()
            for task in reading:
                task.cancel()
            await asyncio.wait(reading)

        hurried = Deadlines(connect=1.0, small=(10.0, 10.0, 10.0), pause=0.01)
        with_gateway(scenario, budgets=budgets, deadlines=hurried)
    assert not budgets.of("failed")


def test_requests_that_were_given_up_at_any_moment_take_no_place_for_good() -> None:
    with FaultProxy() as registry, FaultProxy(registry.url) as server:
        registry.always(serves(IMAGE))

        async def scenario(gateway: Gateway) -> None:
            registries, here = gateway.registries(insecure=True), location(server.address)

            async def read() -> None:
                async with registries.blob(here, BLOB) as blob:
                    async for _ in blob.chunks:
                        pass

            await read()
            for moments in range(100):
                reading = asyncio.create_task(read())
                for _ in range(moments):
                    await asyncio.sleep(0)
                reading.cancel()
                await asyncio.wait([reading])
            server.when(asks("blob"), Hang(after=0))
            waiting = [asyncio.create_task(read()) for _ in range(CONNECTIONS)]
            await asyncio.to_thread(server.wait_hanging, CONNECTIONS)
            server.honest()
            await asyncio.gather(*waiting)

        with_gateway(scenario)


# redirects


def test_no_proof_of_who_asks_follows_a_redirect_to_another_server() -> None:
    with FaultProxy() as server, FaultProxy() as other:
        other.always(Answer(200, {}, IMAGE.blobs[1].data))
        server.always(Tokens(credentials=("ann", "secret")))
        server.when(
            lambda ask: ask.kind == "blob" and "authorization" in ask.headers,
            redirect(f"{other.url}/signed?X-Signature=1"),
        )

        async def scenario(gateway: Gateway) -> None:
            registries = gateway.registries(
                keyring(server.address), insecure=True, via=["https://first.example/v2/x"]
            )
            async with registries.blob(location(server.address), BLOB, offset=0) as blob:
                assert b"".join([each async for each in blob.chunks]) == IMAGE.blobs[1].data

        with_gateway(scenario)
        [ask] = other.seen()
        assert ask.target == "/signed?X-Signature=1"
        assert set(ask.headers) <= {"host", "user-agent", "accept-encoding", "accept", "range"}


def test_credentials_that_were_left_behind_do_not_come_back() -> None:
    with FaultProxy() as server, FaultProxy() as other:
        server.always(Tokens())
        server.when(
            lambda ask: ask.kind == "blob" and "authorization" in ask.headers,
            redirect(f"{other.url}/there"),
        )
        other.always(redirect(f"{server.url}/back"))
        server.when(lambda ask: ask.path == "/back", Answer(200, {}, IMAGE.blobs[1].data))

        async def scenario(gateway: Gateway) -> None:
            registries = gateway.registries(insecure=True)
            await registries.blob_size(location(server.address), BLOB)

        with_gateway(scenario)
        [back] = [ask for ask in server.seen() if ask.path == "/back"]
        assert "authorization" not in back.headers


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://10.0.0.1/",
        "http://inner.example/",
    ],
)
def test_a_redirect_to_an_inner_address_is_not_followed(target: str) -> None:
    names = Names(outer_example=[["127.0.0.1"]], inner_example=[["192.168.0.1"]])
    policy = AddressPolicy(networks=["127.0.0.1/32"])
    with FaultProxy() as server:
        server.when(asks("manifest"), redirect(target))

        async def scenario(gateway: Gateway) -> None:
            here = location(f"outer.example:{server.port}")
            with pytest.raises(AddressRefused, match="no public address"):
                await gateway.registries(insecure=True).head(here, "v1")

        with_gateway(scenario, names=names, addresses=policy)


def test_redirects_have_an_end() -> None:
    with FaultProxy() as server:
        server.when(asks("manifest"), redirect("/v2/library/app/manifests/v1"))
        with pytest.raises(RemoteError, match="more than 5 redirects"):
            head(server.address)
        assert server.count("manifest") == 6


def test_a_registry_with_tls_leads_nobody_out_of_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with (
        FaultProxy(certificate=authority.issue("registry").context()) as server,
        FaultProxy() as plain,
    ):
        plain.always(serves(IMAGE))
        server.when(asks("manifest"), redirect(f"{plain.url}{{target}}"))

        async def scenario(gateway: Gateway) -> Found:
            return await gateway.registries().head(location(server.address), "v1")

        rules = RegistryRules(authorities={server.address: authority.pem})
        with pytest.raises(RemoteError, match="without"):
            with_gateway(scenario, rules=rules)
        assert plain.count() == 0


# trust


def test_an_authority_is_believed_at_its_server_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.issue("registry").context()
    with FaultProxy(certificate=context) as one, FaultProxy(certificate=context) as other:
        for server in (one, other):
            server.always(serves(IMAGE))

        async def scenario(gateway: Gateway) -> None:
            await gateway.registries().head(location(one.address), "v1")
            with pytest.raises(CertificateRefused):
                await gateway.registries().head(location(other.address), "v1")
            # a connection that nobody checked is for nobody who asked for a check
            await gateway.registries(insecure=True).head(location(other.address), "v1")
            with pytest.raises(CertificateRefused):
                await gateway.registries().head(location(other.address), "v1")

        with_gateway(scenario, rules=RegistryRules(authorities={one.address: authority.pem}))


# loops


def test_a_request_says_through_whom_it_came() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))

        async def scenario(gateway: Gateway) -> None:
            registries = gateway.registries(insecure=True, via=["https://first.example/v2/x"])
            await registries.head(location(server.address), "v1")

        with_gateway(scenario)
        [ask] = server.seen("manifest")
        here = f"{server.url}/v2/library/app/manifests/v1"
        assert ask.headers["x-registry-request-url"] == f"https://first.example/v2/x, {here}"


@pytest.mark.parametrize(
    "via",
    [
        lambda here: [here],
        lambda here: ["https://first.example/v2/x", here, "https://third.example/v2/y"],
        lambda here: [f"https://{number}.example/" for number in range(16)],
    ],
)
def test_a_loop_of_registries_is_refused(via: Callable[[str], list[str]]) -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))

        async def scenario(gateway: Gateway) -> None:
            came = via(f"{server.url}/v2/library/app/manifests/v1")
            with pytest.raises(LoopDetected):
                await gateway.registries(insecure=True, via=came).manifest(
                    location(server.address), "v1"
                )

        with_gateway(scenario)
        assert server.count("manifest") == 0


def test_docker_hub_is_asked_where_it_answers() -> None:
    names = Names(**{"registry-1_docker_io": [["127.0.0.1"]]})

    async def scenario(gateway: Gateway) -> None:
        with pytest.raises(Unavailable, match=r"registry-1\.docker\.io:443"):
            await gateway.registries().head(Location("docker.io", "library/nginx"), "latest")

    with_gateway(scenario, names=names, addresses=HERE, deadlines=IMPATIENT)
    assert set(names.asked) == {"registry-1.docker.io"}
