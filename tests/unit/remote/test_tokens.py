"""How a registry is told who asks, and to whom credentials and tokens are shown."""

import asyncio
import base64
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.certificates import Authority
from tests.fault_proxy import FaultProxy
from tests.faults import TOKEN_PATH, Answer, Ask, Choice, Tokens, asks
from tests.images import small_image
from tests.unit.remote.gateways import (
    keyring,
    location,
    refuses,
    serves,
    serving,
    with_gateway,
)
from tidegate.oci.digest import Digest
from tidegate.remote.addresses import AddressPolicy
from tidegate.remote.credentials import NO_KEYS, Keyring
from tidegate.remote.errors import AccessDenied, AddressRefused, ContentInvalid, RemoteError
from tidegate.remote.gateway import Gateway, RemoteManifest
from tidegate.remote.rules import RegistryRules

IMAGE = small_image("one")
BASIC = f"Basic {base64.b64encode(b'ann:secret').decode()}"


def pull(address: str, keys: Keyring = NO_KEYS, *, times: int = 1) -> RemoteManifest:
    async def scenario(gateway: Gateway) -> RemoteManifest:
        registries = gateway.registries(keys, insecure=True)
        for _ in range(times):
            found = await registries.manifest(location(address), "v1")
        return found

    return with_gateway(scenario)


def wants_basic(ask: Ask) -> Answer | None:
    if ask.headers.get("authorization") == BASIC:
        return None
    return refuses(401, "UNAUTHORIZED", "who are you", WWW_Authenticate='Basic realm="x"')


def challenging(challenge: str) -> Choice:
    return lambda ask: (
        None
        if ask.kind not in ("manifest", "blob", "tags")
        else refuses(401, "UNAUTHORIZED", "who are you", WWW_Authenticate=challenge)
    )


def authorizations(server: FaultProxy) -> set[str]:
    return {ask.headers.get("authorization", "") for ask in server.seen()}


def test_nobody_needs_a_token_where_none_is_asked_for() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        assert pull(server.address, keyring(server.address)).content == IMAGE.manifest.data
        assert authorizations(server) == {""}


def test_a_password_is_shown_to_who_asks_for_one() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.always(wants_basic)
        pull(server.address, keyring(server.address), times=3)
        assert [ask.headers.get("authorization") for ask in server.seen("manifest")] == [
            None,
            *[BASIC] * 3,
        ]


def test_a_wrong_password_is_shown_once() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.always(wants_basic)
        with pytest.raises(AccessDenied, match="who are you") as caught:
            pull(server.address, keyring(server.address, "ann", "wrong"))
        assert not caught.value.anonymous
        assert server.count("manifest") == 2
        with pytest.raises(AccessDenied) as caught:
            pull(server.address)
        assert caught.value.anonymous


def test_a_token_is_fetched_for_the_repository_and_used_as_long_as_it_lasts() -> None:
    with FaultProxy() as server:
        tokens = Tokens(credentials=("ann", "secret"))
        server.always(serves(IMAGE))
        server.always(tokens)
        pull(server.address, keyring(server.address), times=5)
        assert server.count("token") == 1
        assert tokens.scopes == ["repository:library/app:pull"]
        assert server.count("manifest") == 6


def test_the_next_repository_costs_a_token_and_no_refusal() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.always(Tokens())

        async def scenario(gateway: Gateway) -> None:
            for name in ("library/app", "library/other"):
                await gateway.registries(insecure=True).head(location(server.address, name), "v1")

        with_gateway(scenario)
        kinds = [ask.kind for ask in server.seen() if ask.kind != "version"]
        assert kinds == ["manifest", "token", "manifest", "token", "manifest"]


def test_a_token_that_expires_midway_is_replaced_once() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.always(Tokens(uses=2))
        pull(server.address, times=6)
        assert server.count("token") == 3


def test_a_token_is_not_used_beyond_its_life() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.always(Tokens(lifetime=0))  # what says no time lasts a minute
        pull(server.address, times=2)
        assert server.count("token") == 1


def test_many_who_need_the_same_token_fetch_it_once() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.always(Tokens())

        async def scenario(gateway: Gateway) -> None:
            registries = gateway.registries(insecure=True)
            here = location(server.address)
            await registries.head(here, IMAGE.digest)
            server.forget()
            other = location(server.address, "library/other")
            blob = IMAGE.blobs[0].digest
            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(registries.blob_size(other, Digest(blob)))

        with_gateway(scenario)
        assert server.count("token") == 1
        assert server.count("blob") == 20


def test_tokens_are_never_shared_between_credentials() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.always(Tokens(credentials=("ann", "secret")))

        async def scenario(gateway: Gateway) -> None:
            here = location(server.address)
            ann = gateway.registries(keyring(server.address), insecure=True)
            await ann.manifest(here, "v1")
            for keys in (NO_KEYS, keyring(server.address, "ann", "guess")):
                with pytest.raises(AccessDenied):
                    await gateway.registries(keys, insecure=True).manifest(here, "v1")

        with_gateway(scenario)


def test_a_registry_that_refuses_every_token_is_asked_twice() -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.always(Tokens(uses=0))
        with pytest.raises(AccessDenied):
            pull(server.address)
        assert server.count("manifest") == 2


@pytest.mark.parametrize(
    ("answer", "error", "wrong"),
    [
        (Answer(401, {}, b'{"details":"incorrect username or password"}'), AccessDenied, True),
        (refuses(401, "UNAUTHORIZED", "no such user"), AccessDenied, False),
        (Answer(400, {}, b'{"error":"invalid_grant"}'), AccessDenied, False),
        (Answer(403), AccessDenied, False),
        (Answer(200, {}, b"not json"), ContentInvalid, False),
        (Answer(200, {}, b"[]"), ContentInvalid, False),
        (Answer(200, {}, b"{}"), ContentInvalid, False),
        (Answer(200, {}, b'{"token": 5}'), ContentInvalid, False),
        (Answer(200, {}, b'{"token": "a\\r\\nX-Evil: 1"}'), ContentInvalid, False),
        (Answer(200, {}, json.dumps({"token": "a" * 50_000}).encode()), ContentInvalid, False),
        (Answer(200, {}, b'{"token": "' + b"a" * 100_000 + b'"}'), ContentInvalid, False),
        (Answer(302, {"Location": "ftp://x/"}), RemoteError, False),
    ],
)
def test_what_a_token_server_may_say_instead(
    answer: Answer, error: type[RemoteError], wrong: bool
) -> None:
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.always(Tokens())
        server.when(asks("token"), answer)
        with pytest.raises(error) as caught:
            pull(server.address, keyring(server.address))
        assert getattr(caught.value, "wrong_credentials", False) == wrong
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Negotiate",
        'Bearer realm="ftp://auth.example/token"',
        'Bearer realm="https://ann:pw@auth.example/token"',
        'Bearer realm="no address"',
        'Bearer realm=""',
        "Bearer",
    ],
)
def test_a_challenge_that_cannot_be_answered_is_no_way_in(challenge: str) -> None:
    with FaultProxy() as server:
        server.always(challenging(challenge))
        with pytest.raises(RemoteError):
            pull(server.address, keyring(server.address))
        assert BASIC not in authorizations(server)


def test_a_realm_is_called_under_the_same_rules_of_addresses() -> None:
    with FaultProxy() as server, FaultProxy(host="127.0.0.2") as inner:
        server.always(challenging(f'Bearer realm="{inner.url}/token"'))

        async def scenario(gateway: Gateway) -> None:
            await gateway.registries(insecure=True).manifest(location(server.address), "v1")

        with pytest.raises(AddressRefused):
            with_gateway(scenario, addresses=AddressPolicy(networks=["127.0.0.1/32"]))
        assert inner.count() == 0


def test_a_realm_may_be_another_server_and_keeps_its_own_query() -> None:
    with FaultProxy() as server, FaultProxy() as realm:
        tokens = Tokens(credentials=("ann", "secret"))
        realm.always(tokens)
        server.always(serves(IMAGE))
        server.always(
            lambda ask: (
                None
                if ask.headers.get("authorization", "").startswith("Bearer ")
                else tokens(Ask("GET", "/v2/", ask.headers, "http", "version"))
            )
        )
        tokens.realm = f"{realm.url}{TOKEN_PATH}?account=x"
        pull(server.address, keyring(server.address))
        [ask] = realm.seen()
        query = parse_qs(urlsplit(ask.target).query)
        assert query == {
            "account": ["x"],
            "service": ["faulty"],
            "scope": ["repository:library/app:pull"],
        }
        assert BASIC not in authorizations(server)


def test_credentials_leave_tls_for_no_realm(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with (
        FaultProxy(certificate=authority.issue("registry").context()) as server,
        FaultProxy() as realm,
    ):
        tokens = Tokens(realm=f"{realm.url}{TOKEN_PATH}")
        server.always(serves(IMAGE))
        server.always(tokens)
        realm.always(tokens)
        rules = RegistryRules(authorities={"127.0.0.1": authority.pem})

        async def scenario(gateway: Gateway) -> None:
            here = location(server.address)
            with pytest.raises(RemoteError, match="without TLS"):
                await gateway.registries(keyring(server.address)).manifest(here, "v1")
            assert realm.count() == 0
            await gateway.registries().manifest(here, "v1")  # nobody's token is no secret

        with_gateway(scenario, rules=rules)


def test_an_identity_token_is_exchanged_by_a_form() -> None:
    bodies = list[bytes]()

    async def token_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"POST ")
        assert b"authorization" not in head.lower()
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        bodies.append(await reader.readexactly(length))
        body = b'{"access_token": "fresh"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()

    def bearer(ask: Ask) -> Answer | None:
        if ask.headers.get("authorization") == "Bearer fresh":
            return None
        challenge = f'Bearer realm="{realm[0]}",service="s",scope="repository:library/app:pull"'
        return refuses(401, "UNAUTHORIZED", "token?", WWW_Authenticate=challenge)

    realm = [""]
    with FaultProxy() as server:
        server.always(serves(IMAGE))
        server.always(bearer)
        entry = {"auths": {server.address: {"identitytoken": "long-lived"}}}

        async def scenario(gateway: Gateway) -> None:
            async with serving(token_server) as url:
                realm[0] = f"{url}/oauth2/token"
                keys = Keyring.of([json.dumps(entry).encode()])
                await gateway.registries(keys, insecure=True).head(location(server.address), "v1")

        with_gateway(scenario)
    [body] = bodies
    assert parse_qs(body.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["long-lived"],
        "client_id": ["tidegate"],
        "scope": ["repository:library/app:pull"],
        "service": ["s"],
    }
