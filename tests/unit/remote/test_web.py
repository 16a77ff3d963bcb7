"""Plain calls, for webhooks and gates."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.fault_proxy import FaultProxy
from tests.faults import Answer, Hang, redirect
from tests.unit.remote.gateways import HERE, with_gateway
from tidegate.remote.addresses import AddressPolicy
from tidegate.remote.errors import (
    AddressRefused,
    CertificateRefused,
    ContentInvalid,
    RemoteError,
    Unavailable,
)
from tidegate.remote.gateway import Gateway
from tidegate.remote.rules import RegistryRules
from tidegate.remote.web import WebAnswer


def post(
    url: str,
    *,
    addresses: AddressPolicy = HERE,
    rules: RegistryRules | None = None,
    limit: int = 100,
    patience: float = 10.0,
) -> WebAnswer:
    async def scenario(gateway: Gateway) -> WebAnswer:
        headers = {"Content-Type": "application/json", "X-Signature": "s"}
        web = gateway.web()
        return await web.request("POST", url, headers, b"{}", limit=limit, patience=patience)

    return with_gateway(scenario, addresses=addresses, rules=rules)


def test_a_call_is_made_as_it_was_wanted() -> None:
    with FaultProxy() as server:
        server.always(Answer(202, {"X-Answer": "1"}, b"thanks"))
        answer = post(f"{server.url}/hook?secret=1")
        assert (answer.status, answer.body, answer.headers["x-answer"]) == (202, b"thanks", "1")
        [ask] = server.seen()
        assert (ask.method, ask.target) == ("POST", "/hook?secret=1")
        assert (ask.headers["x-signature"], ask.headers["content-length"]) == ("s", "2")


def test_a_redirect_is_an_answer() -> None:
    with FaultProxy() as server, FaultProxy() as other:
        server.always(redirect(other.url))
        assert post(server.url).status == 307
        assert other.count() == 0


def test_errors_name_no_secret_of_the_address() -> None:
    with FaultProxy() as server:
        server.always(Hang())
        with pytest.raises(Unavailable, match="no answer within") as caught:
            post(f"{server.url}/hook?secret=1", patience=0.2)
        assert "secret" not in str(caught.value)
        server.honest()
        server.always(Answer(200, {}, b"x" * 101))
        with pytest.raises(ContentInvalid) as invalid:
            post(f"{server.url}/hook?secret=1")
        assert "secret" not in str(invalid.value)


def dripping() -> Iterator[bytes]:
    while True:
        yield b"x"
        time.sleep(0.02)


def test_an_answer_that_drips_has_no_more_time_than_one_that_never_comes() -> None:
    with FaultProxy() as server:
        server.always(Answer(200, {}, dripping()))
        with pytest.raises(Unavailable, match="no answer within"):
            post(server.url, limit=100_000, patience=0.3)


def test_the_same_addresses_are_refused_as_for_registries() -> None:
    with FaultProxy() as server:
        with pytest.raises(AddressRefused):
            post(server.url, addresses=AddressPolicy())
        assert server.count() == 0


def test_certificates_are_checked_against_the_configured_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with FaultProxy(certificate=authority.issue("hook").context()) as server:
        server.always(Answer(204))
        with pytest.raises(CertificateRefused):
            post(server.url)
        rules = RegistryRules(authorities={"127.0.0.1": authority.pem})
        assert post(server.url, rules=rules).status == 204


@pytest.mark.parametrize("url", ["", "ftp://h/", "https://a:b@h/", "h:80", "https://h/\nx"])
def test_what_is_no_address_is_not_called(url: str) -> None:
    with pytest.raises(RemoteError):
        post(url)
