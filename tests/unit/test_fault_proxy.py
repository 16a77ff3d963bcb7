"""The proxy of the tests does what it is told, or tests of failures would prove nothing."""

import json
import threading
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import httpx
import pytest

from tests.certificates import Authority
from tests.fault_proxy import FaultProxy
from tests.faults import (
    Answer,
    Ask,
    Budget,
    Corrupt,
    Cut,
    Drip,
    Fault,
    Hang,
    Pass,
    Tokens,
    asks,
    classify,
    endless_tags,
    redirect,
    too_many,
    wrong_digest,
    wrong_length,
)

BLOB = "/v2/shop/web/blobs/sha256:" + "a" * 64
MANIFEST = "/v2/shop/web/manifests/v1"
CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def registry() -> Iterator[FaultProxy]:
    """What stands behind the proxy and knows one blob and one manifest."""
    with FaultProxy() as server:
        server.when(asks("blob"), Answer(200, {"Docker-Content-Digest": "honest"}, CONTENT))
        server.when(asks("manifest"), Answer(200, {}, b"{}"))
        yield server


@pytest.fixture
def proxy(registry: FaultProxy) -> Iterator[FaultProxy]:
    with FaultProxy(registry.url) as running:
        yield running


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, trust_env=False, timeout=30) as http:
        yield http


def test_without_rules_everything_passes_and_is_counted(
    proxy: FaultProxy, registry: FaultProxy, client: httpx.Client
) -> None:
    answer = client.get(BLOB)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert client.head(MANIFEST).headers["content-length"] == "2"
    assert client.get(MANIFEST).content == b"{}"
    assert client.get("/v2/").status_code == 404
    assert proxy.count() == registry.count() == 4
    assert (proxy.count("manifest"), proxy.count("manifest", "GET")) == (2, 1)
    assert (proxy.sent("blob"), proxy.sent("manifest"), proxy.sent()) == (2**20, 2, 2**20 + 2)
    proxy.forget()
    assert (proxy.count(), proxy.sent()) == (0, 0)


def test_bodies_of_both_framings_go_through(
    proxy: FaultProxy, registry: FaultProxy, client: httpx.Client
) -> None:
    registry.when(asks("upload"), lambda ask: Answer(202, {}, repeat(CONTENT, 3)))
    for body in (CONTENT, repeat(b"x" * 1000, 7)):
        answer = client.patch("/v2/shop/web/blobs/uploads/7", content=body)
        assert (answer.status_code, answer.content) == (202, CONTENT * 3)
    framing = [ask.headers.get("transfer-encoding") for ask in registry.seen("upload")]
    assert framing == [None, "chunked"]


@pytest.mark.parametrize("after", [0, 1, 1000, 300_000])
def test_a_cut_body_is_as_long_as_was_said(
    proxy: FaultProxy, client: httpx.Client, after: int
) -> None:
    proxy.when(asks("blob", "GET"), Cut(after), times=1)
    pieces: list[bytes] = []
    with client.stream("GET", BLOB) as answer, pytest.raises(httpx.RemoteProtocolError):
        pieces.extend(answer.iter_raw())
    assert (b"".join(pieces), proxy.sent("blob")) == (CONTENT[:after], after)
    assert client.get(BLOB).content == CONTENT


def test_a_cut_before_the_head_is_no_answer(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.when(asks("manifest"), Cut())
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(MANIFEST)
    assert client.get(BLOB).status_code == 200


@pytest.mark.parametrize("at", [0, 262_144, 2**20 - 1])
def test_a_corrupt_body_differs_in_one_byte(
    proxy: FaultProxy, client: httpx.Client, at: int
) -> None:
    proxy.when(asks("blob"), Corrupt(at))
    content = client.get(BLOB).content
    assert [place for place in range(2**20) if content[place] != CONTENT[place]] == [at]


@pytest.mark.parametrize("after", [None, 0, 1000])
def test_what_hangs_goes_on_when_it_is_released(
    proxy: FaultProxy, client: httpx.Client, after: int | None
) -> None:
    proxy.when(asks("blob"), Hang(after))
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(client.get(BLOB)))
    thread.start()
    proxy.wait_hanging()
    assert (answers, proxy.sent("blob")) == ([], after or 0)
    proxy.honest()
    thread.join()
    assert answers[0].content == CONTENT


def test_a_slow_drip_is_whole_at_last(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.when(asks("manifest"), Drip(1, 0.0))
    assert client.get(MANIFEST).content == b"{}"


@pytest.mark.parametrize(
    ("to", "location"),
    [
        ("http://169.254.169.254/latest/meta-data", "http://169.254.169.254/latest/meta-data"),
        ("https://cdn.example{target}", f"https://cdn.example{BLOB}"),
        ("/elsewhere", "/elsewhere"),
    ],
)
def test_a_redirect_goes_where_the_test_says(
    proxy: FaultProxy, client: httpx.Client, to: str, location: str
) -> None:
    proxy.when(asks("blob"), redirect(to))
    answer = client.get(BLOB)
    assert (answer.status_code, answer.headers["location"]) == (307, location)


def test_too_many_requests_say_when_to_come_again(
    proxy: FaultProxy, client: httpx.Client, registry: FaultProxy
) -> None:
    date = "Fri, 31 Dec 2027 23:59:59 GMT"
    proxy.when(asks("blob"), too_many(date))
    proxy.when(asks("blob", last=1), too_many(7))
    answers = [client.get(BLOB) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [429, 429]
    assert [answer.headers["retry-after"] for answer in answers] == ["7", date]
    assert registry.count() == 0


def test_headers_can_lie(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.when(asks("blob"), wrong_digest("sha256:0"))
    answer = client.get(BLOB)
    assert (answer.headers["docker-content-digest"], answer.content) == ("sha256:0", CONTENT)
    proxy.when(asks("blob"), Pass({"Docker-Content-Digest": None}))
    assert "docker-content-digest" not in client.get(BLOB).headers
    proxy.when(asks("blob"), wrong_length(2**20 + 1))
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(BLOB)
    proxy.when(asks("manifest"), Pass({"content-length": None}))
    answer = client.get(MANIFEST)
    assert (answer.content, answer.headers["transfer-encoding"]) == (b"{}", "chunked")


def test_a_budget_counts_down_and_then_refuses(proxy: FaultProxy, client: httpx.Client) -> None:
    budget = Budget(2, period=60, retry_after=9)
    proxy.always(budget)
    assert client.head(MANIFEST).headers["ratelimit-remaining"] == "2;w=60"
    answers = [client.get(MANIFEST) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["ratelimit-remaining"][0] for answer in answers] == ["1", "0", "0"]
    assert answers[2].headers["retry-after"] == "9"
    assert client.get(BLOB).status_code == 200
    budget.renew()
    assert client.get(MANIFEST).status_code == 200


def test_tokens_expire_after_so_many_uses(proxy: FaultProxy, client: httpx.Client) -> None:
    tokens = Tokens(uses=2, credentials=("ann", "secret"))
    proxy.always(tokens)
    challenge = client.get(BLOB).headers["www-authenticate"]
    assert challenge == (
        f'Bearer realm="{proxy.url}/fault-token",service="faulty",scope="repository:shop/web:pull"'
    )
    where, query = "/fault-token", {"scope": "repository:shop/web:pull"}
    assert client.get(where, params=query).status_code == 401
    token = client.get(where, params=query, auth=("ann", "secret")).json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    answers = [client.get(BLOB, headers=bearer) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 401]
    assert 'error="invalid_token"' in answers[2].headers["www-authenticate"]
    assert tokens.scopes == ["repository:shop/web:pull"]
    assert proxy.count("token") == 2


def test_pages_of_tags_never_end(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.always(endless_tags)
    target, tags = "/v2/shop/web/tags/list", []
    for _ in range(5):
        answer = client.get(target)
        tags += answer.json()["tags"]
        target = str(answer.links["next"]["url"])
    assert tags == [f"t{number}" for number in range(1, 501)]


def test_a_body_without_an_end_flows_until_the_client_leaves(
    proxy: FaultProxy, client: httpx.Client
) -> None:
    proxy.when(asks("manifest"), Answer(200, {}, repeat(CONTENT)))
    with client.stream("GET", MANIFEST) as answer:
        pieces = answer.iter_raw(2**20)
        assert all(next(pieces) == CONTENT for _ in range(3))


def test_an_unplugged_registry_is_not_there(proxy: FaultProxy, client: httpx.Client) -> None:
    assert client.get(MANIFEST).status_code == 200
    proxy.unplug()
    with pytest.raises(httpx.ConnectError):
        client.get(MANIFEST)
    proxy.plug_in()
    assert client.get(MANIFEST).status_code == 200


def test_a_rule_can_choose_and_a_dropped_one_is_gone(
    proxy: FaultProxy, client: httpx.Client
) -> None:
    def choose(ask: Ask) -> Fault | None:
        return Answer(418) if ask.headers.get("x-fault") else None

    rule = proxy.always(choose)
    assert client.get(BLOB).status_code == 200
    assert client.get(BLOB, headers={"X-Fault": "1"}).status_code == 418
    proxy.drop(rule)
    assert client.get(BLOB, headers={"X-Fault": "1"}).status_code == 200


def test_the_proxy_speaks_tls_and_sends_credentials_of_its_own(
    registry: FaultProxy, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    shown = authority.issue("localhost").context()
    with (
        FaultProxy(registry.url, credentials=("robot", "pw"), certificate=shown) as proxy,
        httpx.Client(base_url=proxy.url, verify=authority.context(), trust_env=False) as client,
    ):
        assert client.get(BLOB, auth=("ann", "secret")).content == CONTENT
        told = registry.seen("blob")[0].headers
        assert told["authorization"] == httpx.BasicAuth("robot", "pw")._auth_header
        assert told["x-forwarded-proto"] == "https"
        assert proxy.seen("blob")[0].url == f"https://{proxy.address}{BLOB}"


def test_requests_are_told_apart() -> None:
    digest = "sha256:" + "b" * 64
    assert classify("/v2/") == ("version", "", "")
    assert classify(f"/v2/a/b/c/manifests/{digest}") == ("manifest", "a/b/c", digest)
    assert classify(f"/v2/blobs/blobs/blobs/{digest}") == ("blob", "blobs/blobs", digest)
    assert classify("/v2/a/blobs/uploads/") == ("upload", "a", "")
    assert classify("/v2/a/blobs/uploads/7?x=/") == ("upload", "a", "7")
    assert classify("/v2/a/tags/list?n=1") == ("tags", "a", "list")
    assert classify(f"/v2/a/b/referrers/{digest}") == ("referrers", "a/b", digest)
    assert classify("/openshift/token?scope=x") == ("token", "", "")
    assert classify("/v2/_catalog") == ("other", "", "")
    assert json.loads(too_many().body)["errors"][0]["code"] == "TOOMANYREQUESTS"  # type: ignore[arg-type]
