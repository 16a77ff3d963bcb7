"""Names that lead where they should not, and certificates that nobody vouches for."""

import asyncio
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.fault_proxy import FaultProxy
from tests.faults import Answer
from tests.unit.remote.gateways import HERE, Names, serving
from tidegate.remote.addresses import AddressPolicy
from tidegate.remote.deadlines import Deadlines
from tidegate.remote.errors import (
    AddressRefused,
    CertificateRefused,
    InsecureOnly,
    RemoteError,
    Unavailable,
)
from tidegate.remote.http.calls import Call, Calls
from tidegate.remote.http.network import Network
from tidegate.remote.http.trust import Trust

LARGE = bytes(range(256)) * 8192
"""Two megabytes: more than one read and many TLS records."""


def get(
    url: str,
    *,
    addresses: AddressPolicy = HERE,
    names: Names | None = None,
    trust: Trust = Trust(),  # noqa: B008  it is a value
    deadlines: Deadlines = Deadlines(),  # noqa: B008
) -> bytes:
    async def run() -> bytes:
        calls = Calls(Network(addresses, names), deadlines)
        try:
            async with calls.open(Call("GET", url), trust) as answer:
                return await answer.content(len(LARGE))
        finally:
            await calls.close()

    return asyncio.run(run())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


def test_a_name_that_leads_to_this_machine_is_refused_before_anything_is_sent() -> None:
    names = Names(public_example=[["127.0.0.1"]])
    with FaultProxy() as server:
        with pytest.raises(AddressRefused, match=r"public\.example \(127\.0\.0\.1\)"):
            get(f"http://public.example:{server.port}/", addresses=AddressPolicy(), names=names)
        assert server.count() == 0


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::]",
        "169.254.169.254",
        "10.0.0.1",
    ],
)
def test_no_way_of_writing_a_private_address_gets_through(host: str) -> None:
    with FaultProxy() as server:
        with pytest.raises((AddressRefused, Unavailable)):  # some resolvers refuse odd forms
            get(f"http://{host}:{server.port}/", addresses=AddressPolicy())
        assert server.count() == 0


@pytest.mark.parametrize(
    "answer", [["1.1.1.1", "127.0.0.1"], ["127.0.0.1", "1.1.1.1"], ["1.1.1.1", "::1"]]
)
def test_a_name_that_leads_to_public_and_private_addresses_is_refused(answer: list[str]) -> None:
    with FaultProxy() as server:
        url = f"http://mixed.example:{server.port}/"
        with pytest.raises(AddressRefused):
            get(url, addresses=AddressPolicy(), names=Names(mixed_example=[answer]))
        assert server.count() == 0


def test_the_address_that_was_judged_is_connected_to_and_no_later_one() -> None:
    names = Names(changing_example=[["127.0.0.1"], ["127.0.0.2"]])
    policy = AddressPolicy(networks=["127.0.0.1/32"])
    with FaultProxy() as server:
        server.always(Answer(200, body=b"hello"))
        url = f"http://changing.example:{server.port}/"
        assert get(url, addresses=policy, names=names) == b"hello"
        assert names.asked == ["changing.example"]  # once for the connection
        with pytest.raises(AddressRefused):
            get(url, addresses=policy, names=names)
        [ask] = server.seen()
        assert ask.headers["host"] == f"changing.example:{server.port}"


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    names = Names(two_example=[["127.0.0.9", "127.0.0.1"]])
    with FaultProxy() as server:
        server.always(Answer(200, body=b"hello"))
        assert get(f"http://two.example:{server.port}/", names=names) == b"hello"


def test_nobody_who_listens_is_unavailable() -> None:
    with FaultProxy() as server:
        server.unplug()
        with pytest.raises(Unavailable, match=str(server.port)):
            get(server.url)


def test_a_name_without_address_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="does not resolve"):
        get("http://nowhere.invalid/")
    with pytest.raises(Unavailable, match="no address"):
        get("http://nowhere.example/", names=Names(nowhere_example=[[]]))


def test_a_resolver_that_hangs_is_given_its_time() -> None:
    async def hangs(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return [host, str(port)]

    async def run() -> None:
        calls = Calls(Network(HERE, hangs), Deadlines(connect=0.1))
        with pytest.raises(Unavailable, match="no connection within"):
            async with calls.open(Call("GET", "http://slow.example/"), Trust()):
                pass

    asyncio.run(run())


def test_a_certificate_is_believed_where_its_authority_was_configured(
    authority: Authority,
) -> None:
    with FaultProxy(certificate=authority.issue("server").context()) as server:
        server.always(Answer(200, body=LARGE))
        assert get(server.url, trust=Trust(authority.pem)) == LARGE
        with pytest.raises(CertificateRefused, match="not believed"):
            get(server.url)
        assert get(server.url, trust=Trust(verify=False)) == LARGE


def test_a_certificate_of_another_host_is_not_believed(authority: Authority) -> None:
    issued = authority.issue("other", ("other.example",))
    with FaultProxy(certificate=issued.context()) as server:
        with pytest.raises(CertificateRefused, match="not believed"):
            get(server.url, trust=Trust(authority.pem))
        assert server.count() == 0


def test_a_server_without_tls_is_told_apart_from_one_that_is_not_believed() -> None:
    with FaultProxy() as server:
        with pytest.raises(InsecureOnly, match="speaks no TLS") as caught:
            get(f"https://{server.address}/")
        assert not isinstance(caught.value, CertificateRefused)


def test_a_server_that_hangs_in_the_handshake_is_given_its_time() -> None:
    async def silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        async with serving(silent) as url:
            calls = Calls(Network(HERE), Deadlines(connect=0.2))
            with pytest.raises(Unavailable, match="handshake"):
                async with calls.open(Call("GET", url.replace("http:", "https:")), Trust()):
                    pass
            await calls.close()

    asyncio.run(run())


def test_a_configured_authority_that_is_no_certificate_is_an_error_that_says_so() -> None:
    with pytest.raises(RemoteError, match="unreadable"):
        get("https://127.0.0.1:1/", trust=Trust("-----BEGIN CERTIFICATE-----\nx\n"))
