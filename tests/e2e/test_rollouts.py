"""A Rollout takes images to workloads in steps, and the tag back when its gates are bad.

By a real server of two processes, with workloads that it keeps, and a gate that the test answers.
"""

import http.server
import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance import postgresql
from tests.e2e.conftest import Start
from tests.e2e.rollouts import RULES, Rollouts
from tests.images import Pushable, small_image
from tests.kube_client import KubeClient, kube_client
from tests.registry_client import RegistryClient, client_of
from tests.server import Server, serving, wait_until

ONE, TWO, THREE = small_image("one"), small_image("two"), small_image("three")
PRIVATE = {"allow_private_upstreams": "true"}


class Gate:
    """A URL that answers as the test says."""

    def __init__(self) -> None:
        self.status = 200
        self.asked = 0
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                gate.asked += 1
                self.send_response(gate.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *words: Any) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/healthy"


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
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


@pytest.fixture
def shop(api: RegistryClient, kube: KubeClient, request: pytest.FixtureRequest) -> "Shop":
    """A project of the test's own, in which canary and main run the first image."""
    name = f"p{abs(hash(request.node.name)):x}"
    return Shop(api, kube, kube, name).opened()


class Shop(Rollouts):
    """A project with workloads and a Rollout of their tag."""

    def opened(self) -> "Shop":
        self.begin()
        self.push(ONE)
        for name in ("canary", "main"):
            self.deploy(name)
            self.wait(name, ONE)
        return self

    def roll(self, gate: Gate, name: str = "web", **spec: Any) -> None:
        """Make the Rollout, and wait until it knows the image there is."""
        looks = {"interval": "1s", "successes": 2, "failures": 2}
        wanted = {
            "tag": "web:1",
            "steps": [{"name": "canary", "workloads": ["canary"]}, {"name": "rest"}],
            "gates": [{"name": "up", "httpGet": {"url": gate.url}, **looks}],
            **spec,
        }
        made = {"apiVersion": "tidegate.io/v1", "kind": "Rollout", "metadata": {"name": name}}
        self.rules.make(RULES.format(self.namespace, "rollouts"), {**made, "spec": wanted})
        self.reach("Complete", "Held", name=name)

    def rollout(self, name: str = "web") -> dict[str, Any]:
        found: dict[str, Any] = self.rules.read(RULES.format(self.namespace, f"rollouts/{name}"))
        return found

    def status(self, name: str = "web") -> dict[str, Any]:
        found: dict[str, Any] = self.rollout(name).get("status", {})
        return found

    def reach(self, *phases: str, name: str = "web") -> dict[str, Any]:
        """Wait for one of these phases; the status."""
        wait_until(
            lambda: self.status(name).get("phase") in phases, what=f"the rollout to be {phases}"
        )
        return self.status(name)

    def done(self, image: Pushable) -> None:
        """Wait until everything runs the image."""
        wait_until(
            lambda: self.status().get("stable") == image.digest, what=f"{image.digest} everywhere"
        )
        assert self.runs("canary", image)
        assert self.runs("main", image)

    def went_on(self, *, good: bool) -> None:
        """See that the second image is everywhere, or taken back, and that nothing came twice."""
        if good:
            self.done(TWO)
        else:
            self.reach("RolledBack")
            self.wait("canary", ONE)
        back = [] if good else ["rollback"]
        assert [how for how, _ in self.history()] == [*back, "push", "push"]
        outcomes = [each["outcome"] for each in self.status()["history"]]
        assert outcomes == ["Complete" if good else "RolledBack"]

    def change_spec(self, name: str = "web", **spec: Any) -> None:
        path = RULES.format(self.namespace, f"rollouts/{name}")
        answer = self.rules.patch(path, {"spec": spec})
        assert answer.status_code == 200, answer.text

    def history(self) -> list[tuple[str, str]]:
        """How the tag came to its images, the newest first."""
        path = f"/apis/image.openshift.io/v1/namespaces/{self.namespace}"
        items = self.rules.read(f"{path}/imagestreamtags/web:1/history")["items"]
        return [(each["how"], each["image"]) for each in items]


def audited(server: Server, project: str) -> list[dict[str, Any]]:
    """What the audit log says of rollouts in a project."""
    lines = (server.data / "audit.log").read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [
        each
        for each in found
        if each["action"] == "rollout" and each["repository"].startswith(f"{project}/")
    ]


def test_a_good_image_reaches_all_workloads_step_by_step(shop: Shop, gate: Gate) -> None:
    shop.roll(gate)
    shop.push(TWO)
    shop.wait("canary", TWO)
    waits = shop.runs("main", ONE)
    if gate.asked < 2:  # until both looks were had, hence also when that was read
        assert waits
    shop.done(TWO)
    assert gate.asked >= 4
    assert shop.change("main") is None
    shop.push(THREE)
    shop.done(THREE)


def test_a_bad_image_takes_the_tag_back_and_is_not_tried_again(
    server: Server, shop: Shop, gate: Gate
) -> None:
    shop.roll(gate)
    gate.status = 500
    shop.push(TWO)
    status = shop.reach("RolledBack")
    assert "gate up: answered 500" in status["message"]
    assert status["failed"] == [TWO.digest]
    shop.wait("canary", ONE)
    assert shop.runs("main", ONE)
    assert shop.history()[:2] == [("rollback", ONE.digest), ("push", TWO.digest)]
    wait_until(
        lambda: any("goes back" in each["detail"] for each in audited(server, shop.namespace)),
        what="the audit line",
    )
    asked = gate.asked
    shop.push(TWO)
    assert "failed before" in shop.reach("Held")["message"]
    shop.held("canary", "FailedItsGate")
    told = shop.rules.get("/extensions/v2/metrics").text
    assert 'tidegate_rollouts{phase="Held"} 0' not in told
    assert 'tidegate_rollouts{phase="Held"} ' in told
    assert shop.runs("canary", ONE)
    assert gate.asked == asked
    gate.status = 200
    shop.change_spec(retry=TWO.digest)
    shop.done(TWO)


def test_weights_are_refused_where_nothing_has_them(shop: Shop) -> None:
    weights = {"name": "tenth", "weights": {"web": 9, "web-canary": 1}}
    made = {
        "apiVersion": "tidegate.io/v1",
        "kind": "Rollout",
        "metadata": {"name": "web"},
        "spec": {"tag": "web:1", "steps": [weights], "traffic": {"httpRoute": "web"}},
    }
    answer = shop.rules.post(RULES.format(shop.namespace, "rollouts"), made)
    assert answer.status_code == 422
    assert "in a cluster: this server has none" in answer.json()["message"]


def test_a_newer_image_takes_the_place_of_the_one_under_way(shop: Shop, gate: Gate) -> None:
    shop.roll(gate, steps=[{"name": "c", "workloads": ["canary"], "pause": "1h"}, {"name": "r"}])
    shop.push(TWO)
    shop.wait("canary", TWO)
    wait_until(lambda: shop.change("main") is not None, what="the other to wait")
    shop.push(THREE)
    shop.wait("canary", THREE)
    assert shop.runs("main", ONE)
    status = shop.status()
    assert (status["stable"], status["target"]) == (ONE.digest, THREE.digest)
    assert [each["outcome"] for each in status["history"]] == ["Superseded"]
    shop.change_spec(steps=[{"name": "all"}])
    shop.done(THREE)


def test_a_server_killed_in_the_middle_goes_on_where_each_rollout_was(
    start: Start, gate: Gate
) -> None:
    server = start(settings=PRIVATE)
    canary, rest = {"name": "canary", "workloads": ["canary"]}, {"name": "rest"}
    with client_of(server) as api, kube_client(server) as kube:

        def opened(name: str, **spec: Any) -> Shop:
            shop = Shop(api, kube, kube, name).opened()
            shop.roll(gate, **spec)
            return shop

        first = opened("first", gates=[], steps=[{**canary, "pause": "3s"}, rest])
        last = opened("last", gates=[], steps=[canary, {**rest, "pause": "3s"}])
        bad, begun = opened("bad"), opened("begun", gates=[])
        gate.status = 500
        for shop in (last, first, bad):
            shop.push(TWO)
        last.wait("main", TWO)
        first.wait("canary", TWO)
        wait_until(lambda: gate.asked, what="the gate to be asked")
        begun.push(TWO)
    server.kill()
    server.start()
    with client_of(server) as api, kube_client(server) as kube:
        for name in ("first", "last", "bad", "begun"):
            Shop(api, kube, kube, name).went_on(good=name != "bad")


def test_a_killed_worker_hands_over_to_the_other(start: Start, gate: Gate) -> None:
    server = start(settings=PRIVATE)
    with client_of(server) as api, kube_client(server) as kube:
        shop = Shop(api, kube, kube, "shop").opened()
        shop.roll(
            gate, steps=[{"name": "c", "workloads": ["canary"], "pause": "2s"}, {"name": "rest"}]
        )
        shop.push(TWO)
        shop.wait("canary", TWO)
        os.kill(server.worker_ids()[0], signal.SIGKILL)
    with client_of(server) as api, kube_client(server) as kube:
        Shop(api, kube, kube, "shop").done(TWO)


def test_rollouts_on_postgresql_where_private_gates_may_not_be_asked(
    start: Start, gate: Gate
) -> None:
    with postgresql.server() as own, own.database() as url:
        server = start(settings={"database": url})
        with client_of(server) as api, kube_client(server) as kube:
            shop = Shop(api, kube, kube, "shop").opened()
            shop.roll(gate, gates=[])
            shop.push(TWO)
            shop.done(TWO)
            up = {"name": "up", "httpGet": {"url": gate.url}, "interval": "1s", "failures": 1}
            shop.change_spec(gates=[up])
            shop.push(THREE)
            assert "none that this server may call" in shop.reach("RolledBack")["message"]
            assert gate.asked == 0
            shop.wait("canary", TWO)
