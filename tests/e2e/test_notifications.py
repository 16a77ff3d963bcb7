"""A receiver over HTTP is told of what happens to tags: in order, once at least, whatever fails.

By a real server of two processes, and a receiver that the test answers for.
"""

import base64
import hmac
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import httpx
import pytest

from tests.conformance import postgresql
from tests.e2e.conftest import Start
from tests.images import small_image
from tests.kube_client import (
    PROJECTS,
    RBAC,
    KubeClient,
    add_user,
    kube_client,
    project,
    role_binding,
)
from tests.registry_client import RegistryClient, client_of
from tests.server import Server, serving, wait_until

PRIVATE = {"allow_private_upstreams": "true"}
SUBSCRIPTIONS = "/apis/tidegate.io/v1/namespaces/{}/eventsubscriptions"
SECRETS = "/api/v1/namespaces/{}/secrets"
TAGS = "/apis/image.openshift.io/v1/namespaces/{}/imagestreamtags"


class Came(NamedTuple):
    """What was posted."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Receiver:
    """Takes what is posted; `statuses` are by path."""

    def __init__(self) -> None:
        self.came: list[Came] = []
        self.statuses: dict[str, int] = {}
        self.headers: dict[str, str] = {}
        self.hangs: dict[str, threading.Event] = {}
        self.floods: set[str] = set()
        """Paths at which an answer has no end."""
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if hang := receiver.hangs.get(self.path):
                    hang.wait(60)
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = receiver.statuses.get(self.path, 200)
                receiver.came.append(Came(self.path, headers, body))
                self.send_response(status)
                if self.path in receiver.floods:
                    self.flood()
                    return
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def flood(self) -> None:
                self.close_connection = True
                self.end_headers()
                with suppress(OSError):
                    while True:
                        self.wfile.write(b"x" * 4096)

            def log_message(self, *words: Any) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def told(self, path: str = "/") -> list[str]:
        """Ids of the events that were posted there, in order."""
        return [each.headers.get("webhook-id") or str(each.event["id"]) for each in self.at(path)]

    def at(self, path: str = "/") -> list[Came]:
        return [each for each in self.came if each.path == path]

    def wait(self, *ids: str, path: str = "/") -> None:
        """Wait for all of these, and see that each came for the first time in this order."""
        wait_until(lambda: set(ids) <= set(self.told(path)), what=f"{ids} to be told")
        assert [each for each in dict.fromkeys(self.told(path)) if each in ids] == list(ids)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    for hang in made.hangs.values():
        hang.set()
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the file."""
    data = tmp_path_factory.mktemp("server") / "data"
    with serving(Server(data, settings=PRIVATE)) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest.fixture
def kube(server: Server) -> Iterator[KubeClient]:
    with kube_client(server) as client:
        yield client


class Shop:
    """A project whose subscriptions and tags a test is about."""

    def __init__(self, api: RegistryClient, kube: KubeClient, name: str) -> None:
        self.api = api
        self.kube = kube
        self.name = name

    def begin(self) -> "Shop":
        self.kube.make(f"{PROJECTS}/projectrequests", project(self.name))
        return self

    def push(self, tag: str = "1", text: str = "one", stream: str = "web") -> None:
        self.api.push(f"{self.name}/{stream}", small_image(text), tag)

    def subscribe(self, url: str, name: str = "a", **spec: Any) -> dict[str, Any]:
        made = {"apiVersion": "tidegate.io/v1", "kind": "EventSubscription"}
        body = {**made, "metadata": {"name": name}, "spec": {"url": url, **spec}}
        return self.kube.make(SUBSCRIPTIONS.format(self.name), body)

    def path(self, name: str = "a") -> str:
        return f"{SUBSCRIPTIONS.format(self.name)}/{name}"

    def change(self, name: str = "a", **spec: Any) -> None:
        answer = self.kube.patch(self.path(name), {"spec": spec})
        assert answer.status_code == 200, answer.text

    def status(self, name: str = "a") -> dict[str, Any]:
        found: dict[str, Any] = self.kube.read(self.path(name)).get("status", {})
        return found

    def reason(self, name: str = "a") -> str:
        conditions = self.status(name).get("conditions", [])
        return str(conditions[0]["reason"]) if conditions else ""

    def becomes(self, reason: str, name: str = "a") -> None:
        wait_until(lambda: self.reason(name) == reason, what=f"{name} to be {reason}")

    def secret(self, name: str, **values: str) -> None:
        kind = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
        self.kube.make(SECRETS.format(self.name), {**kind, "stringData": values})

    def id(self, tag: str, number: int, stream: str = "web") -> str:
        return f"{self.name}/{stream}:{tag}/{number}"


@pytest.fixture
def shop(api: RegistryClient, kube: KubeClient, request: pytest.FixtureRequest) -> Shop:
    """A project of the test's own."""
    return Shop(api, kube, f"p{abs(hash(request.node.name)):x}").begin()


def test_what_happens_to_tags_is_told_in_order(shop: Shop, receiver: Receiver) -> None:
    shop.push("0")
    shop.subscribe(receiver.url())
    shop.push("1", "one")
    shop.push("1", "two")
    tag = {
        "metadata": {"name": "web:stable"},
        "tag": {"from": {"kind": "ImageStreamTag", "name": "web:1"}, "name": "stable"},
    }
    shop.kube.make(TAGS.format(shop.name), tag)
    answer = shop.kube.post(f"{TAGS.format(shop.name)}/web:1/rollback", {})
    assert answer.status_code == 201, answer.text
    answer = shop.kube.delete(f"{TAGS.format(shop.name)}/web:1")
    assert answer.status_code == 200, answer.text
    receiver.wait(*(shop.id("1", each) for each in (1, 2, 3, 4)))
    by_id = {each.event["id"]: each for each in receiver.came}
    assert shop.id("0", 1) not in by_id
    told = [each.event["type"].rpartition(".")[2] for each in receiver.came]
    of_one = [
        each for each, came in zip(told, receiver.came, strict=True) if ":1/" in came.event["id"]
    ]
    assert of_one == ["pushed", "pushed", "rolledback", "deleted"]
    pushed = by_id[shop.id("1", 2)]
    assert pushed.headers["content-type"] == "application/cloudevents+json"
    assert pushed.event["data"]["digest"] == small_image("two").digest
    assert pushed.event["data"]["previousDigest"] == small_image("one").digest
    assert pushed.event["data"]["user"] == "admin"
    wait_until(lambda: shop.status().get("pending", 0) == 0, what="nothing to wait")
    assert shop.reason() == "Delivering"


def test_a_receiver_that_was_down_is_told_of_everything_when_it_is_back(
    shop: Shop, receiver: Receiver
) -> None:
    shop.subscribe(receiver.url())
    receiver.statuses["/"] = 503
    shop.push("1")
    shop.becomes("Failing")
    assert shop.status()["lastError"] == "the receiver answered 503"
    shop.push("2")
    receiver.statuses["/"] = 200
    receiver.wait(shop.id("1", 1), shop.id("2", 1))
    shop.becomes("Delivering")
    assert "lastError" not in shop.status()


def test_what_is_refused_becomes_a_dead_letter_and_can_be_replayed(
    shop: Shop, receiver: Receiver
) -> None:
    shop.push("0")
    shop.subscribe(receiver.url(), maxAttempts=1)
    receiver.statuses["/"] = 400
    shop.push("1")
    wait_until(lambda: shop.status().get("deadLetters") == 1, what="a dead letter")
    receiver.statuses["/"] = 200
    shop.push("2")
    receiver.wait(shop.id("2", 1))
    (letter,) = shop.kube.read(f"{shop.path()}/deadletters")["items"]
    assert (letter["attempts"], letter["error"]) == (1, "the receiver answered 400")
    assert json.loads(letter["message"])["id"] == shop.id("1", 1)
    sent = len(receiver.came)
    replay = {"apiVersion": "tidegate.io/v1", "kind": "Replay", "letters": [letter["number"]]}
    answer = shop.kube.post(f"{shop.path()}/replay", replay)
    assert (answer.status_code, answer.json()["count"]) == (201, 1), answer.text
    wait_until(lambda: len(receiver.came) > sent, what="the letter to be sent again")
    assert receiver.came[-1].body == letter["message"].encode()
    wait_until(lambda: not shop.status().get("deadLetters"), what="no dead letter to be left")
    assert "items" not in shop.kube.read(f"{shop.path()}/deadletters")


def test_messages_are_signed_and_wait_for_their_secret(shop: Shop, receiver: Receiver) -> None:
    key = b"0123456789abcdef0123456789abcdef"
    shop.subscribe(receiver.url(), secret="hook")
    shop.push("1")
    shop.becomes("SecretMissing")
    assert receiver.came == []
    secret = "whsec_" + base64.b64encode(key).decode()
    shop.secret("hook", secret=secret, authorization="Bearer of-the-test")
    shop.change(suspend=False, maxAttempts=3)
    receiver.wait(shop.id("1", 1))
    came = next(each for each in receiver.came if each.event["id"] == shop.id("1", 1))
    signed = f"{came.headers['webhook-id']}.{came.headers['webhook-timestamp']}.".encode()
    digest = hmac.digest(key, signed + came.body, "sha256")
    expected = f"v1,{base64.b64encode(digest).decode()}"
    assert hmac.compare_digest(came.headers["webhook-signature"], expected)
    assert came.headers["authorization"] == "Bearer of-the-test"
    assert "of-the-test" not in shop.kube.get(shop.path()).text


def test_a_suspended_subscription_is_told_later(shop: Shop, receiver: Receiver) -> None:
    shop.subscribe(receiver.url(), suspend=True)
    shop.becomes("Suspended")
    shop.push("1")
    shop.push("2")
    wait_until(lambda: shop.status().get("pending", 0) >= 2, what="events to wait")
    assert receiver.came == []
    shop.change(suspend=False)
    receiver.wait(shop.id("1", 1), shop.id("2", 1))


def test_a_receiver_that_is_gone_is_asked_again_only_with_what_comes_later(
    shop: Shop, receiver: Receiver
) -> None:
    shop.push("0")
    shop.subscribe(receiver.url())
    receiver.statuses["/"] = 410
    shop.push("1")
    shop.becomes("Gone")
    receiver.statuses["/"] = 200
    shop.push("2")
    receiver.wait(shop.id("1", 1), shop.id("2", 1))


def test_a_slow_receiver_holds_up_nobody_else(shop: Shop, receiver: Receiver) -> None:
    receiver.hangs["/slow"] = threading.Event()
    shop.subscribe(receiver.url("/slow"), "slow")
    shop.subscribe(receiver.url("/quick"), "quick")
    shop.push("1")
    receiver.wait(shop.id("1", 1), path="/quick")
    assert receiver.told("/slow") == []
    receiver.hangs["/slow"].set()
    receiver.wait(shop.id("1", 1), path="/slow")


def test_an_answer_without_end_is_a_failure_and_holds_up_nobody_else(
    shop: Shop, receiver: Receiver
) -> None:
    receiver.floods.add("/endless")
    shop.push("0")
    shop.subscribe(receiver.url("/endless"), "endless", maxAttempts=1)
    shop.subscribe(receiver.url("/quick"), "quick")
    shop.push("1")
    receiver.wait(shop.id("1", 1), path="/quick")
    wait_until(lambda: shop.status("endless").get("deadLetters") == 1, what="a dead letter")
    (letter,) = shop.kube.read(f"{shop.path('endless')}/deadletters")["items"]
    assert "65536" in letter["error"]
    receiver.floods.clear()


def test_a_subscription_is_told_what_it_selects(shop: Shop, receiver: Receiver) -> None:
    shop.subscribe(receiver.url("/v"), "v", tags=["v*"], streams=["web"], events=["push"])
    shop.subscribe(receiver.url("/docker"), "docker", format="Docker")
    shop.push("v1")
    shop.push("1")
    shop.push("v1", stream="api")
    shop.push("v2")
    receiver.wait(shop.id("v1", 1), shop.id("v2", 1), path="/v")
    assert set(receiver.told("/v")) == {shop.id("v1", 1), shop.id("v2", 1)}
    wait_until(lambda: len(receiver.at("/docker")) == 4, what="the envelopes")
    came = receiver.at("/docker")[0]
    assert came.headers["content-type"] == "application/vnd.docker.distribution.events.v1+json"
    (event,) = came.event["events"]
    manifest = small_image("one").manifest
    assert event["action"] == "push"
    assert event["target"]["digest"] == small_image("one").digest
    assert event["target"]["mediaType"] == manifest.media_type
    assert event["target"]["size"] == len(manifest.data)


def test_a_redirect_is_no_delivery(shop: Shop, receiver: Receiver) -> None:
    receiver.statuses["/"] = 307
    receiver.headers["location"] = receiver.url("/elsewhere")
    shop.push("0")
    shop.subscribe(receiver.url(), maxAttempts=1)
    shop.push("1")
    wait_until(lambda: shop.status().get("deadLetters") == 1, what="a dead letter")
    assert receiver.at("/elsewhere") == []


def test_projects_end_with_their_subscriptions(shop: Shop, receiver: Receiver) -> None:
    shop.subscribe(receiver.url())
    shop.push("1")
    receiver.wait(shop.id("1", 1))
    shop.kube.delete(f"{PROJECTS}/projects/{shop.name}")
    wait_until(
        lambda: shop.kube.get(f"{PROJECTS}/projects/{shop.name}").status_code == 404,
        what="the project to be gone",
    )
    shop.begin()
    told = len(receiver.came)
    shop.subscribe(receiver.url("/new"), "new")
    shop.push("1")
    receiver.wait(shop.id("1", 1), path="/new")
    assert len(receiver.at("/")) <= told


def test_who_may_what(server: Server, shop: Shop, receiver: Receiver) -> None:
    for name, role in (("nell", "admin"), ("vic", "view"), ("ed", "edit")):
        add_user(server, f"{name}-n")
        path = f"{RBAC}/namespaces/{shop.name}/rolebindings"
        shop.kube.make(path, role_binding(f"{role}s", role, f"{name}-n"))
    add_user(server, "other-n")
    body = {"metadata": {"name": "b"}, "spec": {"url": receiver.url()}}
    path = SUBSCRIPTIONS.format(shop.name)
    shop.subscribe(receiver.url())
    with kube_client(server, "other-n") as other:
        assert other.get(path).status_code == 403
        assert other.http.get("/events", params={"project": shop.name}).status_code == 403
    with kube_client(server, "vic-n") as viewer:
        assert viewer.get(path).status_code == 200
        assert viewer.post(path, body).status_code == 403
    with kube_client(server, "nell-n") as admin:
        assert admin.post(path, body).status_code == 201
        assert admin.get(f"{path}/b/deadletters").status_code == 200
        assert admin.get("/apis/tidegate.io/v1/clustereventsubscriptions").status_code == 403


def test_nobody_has_a_secret_sent_that_she_may_not_read(
    server: Server, shop: Shop, receiver: Receiver
) -> None:
    add_user(server, "sub-n")
    rules = [{"apiGroups": ["tidegate.io"], "resources": ["eventsubscriptions"], "verbs": ["*"]}]
    role = {"metadata": {"name": "subscriber"}, "rules": rules}
    shop.kube.make(f"{RBAC}/namespaces/{shop.name}/roles", role)
    binding = role_binding("subscribers", "subscriber", "sub-n", kind="Role")
    shop.kube.make(f"{RBAC}/namespaces/{shop.name}/rolebindings", binding)
    shop.secret("hook", authorization="Bearer of-the-test")
    path = SUBSCRIPTIONS.format(shop.name)
    with kube_client(server, "sub-n") as user:
        body = {"metadata": {"name": "a"}, "spec": {"url": receiver.url(), "secret": "hook"}}
        answer = user.post(path, body)
        assert answer.status_code == 403, answer.text
        assert "may not read" in answer.json()["message"]
        body["spec"] = {"url": receiver.url()}
        assert user.post(path, body).status_code == 201
        assert user.patch(f"{path}/a", {"spec": {"secret": "hook"}}).status_code == 403
        shop.change(secret="hook")
        assert user.patch(f"{path}/a", {"spec": {"suspend": True}}).status_code == 200
        elsewhere = {"spec": {"url": receiver.url("/hers")}}
        assert user.patch(f"{path}/a", elsewhere).status_code == 403


def test_a_private_address_is_not_called_unless_it_may_be(start: Start, receiver: Receiver) -> None:
    server = start()
    with client_of(server) as api, kube_client(server) as kube:
        shop = Shop(api, kube, "shop").begin()
        shop.push("0")
        shop.subscribe(receiver.url(), maxAttempts=1)
        shop.push("1")
        wait_until(lambda: shop.status().get("deadLetters") == 1, what="a dead letter")
        assert receiver.came == []


def test_nothing_is_lost_when_the_server_is_killed(start: Start, receiver: Receiver) -> None:
    server = start(settings=PRIVATE)
    receiver.statuses["/"] = 503
    with client_of(server) as api, kube_client(server) as kube:
        shop = Shop(api, kube, "shop").begin()
        shop.subscribe(receiver.url())
        for number in range(5):
            shop.push(f"t{number}")
    server.kill()
    receiver.statuses["/"] = 200
    server.start()
    receiver.wait(*(f"shop/web:t{number}/1" for number in range(5)))


def test_every_project_is_told_of_to_one_of_the_cluster_on_postgresql(
    start: Start, receiver: Receiver
) -> None:
    with postgresql.server() as own, own.database() as url:
        server = start(settings={**PRIVATE, "database": url})
        with client_of(server) as api, kube_client(server) as kube:
            spec = {"url": receiver.url(), "projects": ["shop", "d*"]}
            body = {"metadata": {"name": "all"}, "spec": spec}
            kube.make("/apis/tidegate.io/v1/clustereventsubscriptions", body)
            for name in ("shop", "dev", "other"):
                Shop(api, kube, name).begin().push("1")
            receiver.wait("shop/web:1/1", "dev/web:1/1")
            assert not any(each.startswith("other/") for each in receiver.told())


# server-sent events


class Stream:
    """The events of /events, as they come."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.iter_lines()

    def next(self) -> tuple[str, int, dict[str, Any]]:
        """Kind, id and content of the next event; comments are passed."""
        kind, number, content = "", 0, None
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "id":
                number = int(value)
            elif name == "data":
                content = json.loads(value)
            elif not line and content is not None:
                return kind, number, content
        raise EOFError


def listening(server: Server, token: str | None, **headers: str) -> httpx.Client:
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(
        base_url=server.url, headers={**sent, **headers}, trust_env=False, timeout=60
    )


def test_a_console_sees_tags_move_and_goes_on_where_it_was(server: Server, shop: Shop) -> None:
    where = {"project": shop.name}
    with listening(server, shop.kube.token) as client:
        with client.stream("GET", "/events", params=where) as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            events = Stream(answer)
            shop.push("1")
            kind, _, content = events.next()
            while kind == "stream":
                kind, _, content = events.next()
            assert (kind, content["tag"], content["how"]) == ("tag", "1", "push")
            shop.push("2")
            kind, seen, content = events.next()
            assert (kind, content["tag"], content["user"]) == ("tag", "2", "admin")
            assert content["digest"] == small_image("one").digest
        shop.push("3")
        shop.kube.delete(f"{TAGS.format(shop.name)}/web:1")
        again = {"Last-Event-ID": str(seen)}
        with client.stream("GET", "/events", params=where, headers=again) as answer:
            events = Stream(answer)
            (_, _, three), (_, _, one) = events.next(), events.next()
            assert three["tag"] == "3"
            assert one == {"project": shop.name, "stream": "web", "tag": "1", "deleted": True}
        for place in ("99999999999", "x"):
            headers = {"Last-Event-ID": place}
            with client.stream("GET", "/events", params=where, headers=headers) as answer:
                assert Stream(answer).next()[0] == "reset"


def test_events_are_for_who_may_watch(server: Server, shop: Shop) -> None:
    with listening(server, None) as nobody:
        assert nobody.get("/events").status_code == 403
    with listening(server, "sha256~forged") as forged:
        assert forged.get("/events").status_code == 401
    with listening(server, shop.kube.token) as client:
        assert client.post("/events").status_code == 405
        assert client.head("/events").status_code == 200


def test_events_end_with_the_right_to_them(server: Server, shop: Shop) -> None:
    add_user(server, "leaver-n")
    path = f"{RBAC}/namespaces/{shop.name}/rolebindings"
    shop.kube.make(path, role_binding("leavers", "view", "leaver-n"))
    where = {"project": shop.name}
    with (
        kube_client(server, "leaver-n") as user,
        listening(server, user.token) as client,
        client.stream("GET", "/events", params=where) as answer,
    ):
        events = Stream(answer)
        shop.push("1")
        assert events.next()[0] in ("stream", "tag")
        assert shop.kube.delete(f"{path}/leavers").status_code == 200
        wait_until(
            lambda: client.head("/events", params=where).status_code == 403,
            what="the right to be gone",
        )
        shop.push("2")
        while (event := events.next())[0] != "end":
            assert event[2].get("tag") != "2"


def test_events_end_when_the_server_stops(start: Start) -> None:
    server = start()
    with (
        kube_client(server) as kube,
        listening(server, kube.token) as client,
        client.stream("GET", "/events") as answer,
    ):
        assert answer.status_code == 200
        assert server.stop() == 0
        with pytest.raises(EOFError):
            Stream(answer).next()
