"""A Rollout goes by the state that a real Kubernetes API server has of its workloads.

Nothing runs them: the test writes the status that a cluster's controllers would. Traffic is split
by objects of kinds that the test defines (`traffic_kinds`), and that nothing acts on either.
"""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import traffic_kinds
from tests.e2e.rollouts import RULES, Rollouts
from tests.e2e.traffic_kinds import HTTP_ROUTES, ROUTES, http_route, route, weights_of
from tests.images import small_image
from tests.kube_apiserver import Cluster
from tests.kube_client import PROJECTS, kube_client
from tests.registry_client import client_of
from tests.server import Server, serving, wait_until

DOCS = Path(__file__).parent.parent.parent / "docs" / "triggers.md"
ONE, TWO, THREE = small_image("one"), small_image("two"), small_image("three")


def documented_rules() -> list[dict[str, Any]]:
    """What docs/triggers.md says that tidegate has to be allowed."""
    text = DOCS.read_text("utf-8").split("<!-- cluster role -->")[1].split("```")[1]
    rules: list[dict[str, Any]] = yaml.safe_load(text.removeprefix("yaml"))["rules"]
    return rules


@pytest.fixture(scope="module")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may what the docs say in the cluster, which has what splits traffic."""
    with cluster.client() as admin:
        traffic_kinds.define(admin)
    cluster.bind("tidegate", *documented_rules())
    settings = {"cluster": str(cluster.kubeconfig("tidegate"))}
    directory = tmp_path_factory.mktemp("server") / "data"
    with serving(Server(directory, settings=settings)) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest.fixture
def shop(cluster: Cluster, server: Server) -> Iterator[Rollouts]:
    """A project of the test's own, whose workloads are in the cluster."""
    with client_of(server) as api, kube_client(server) as kube, cluster.client() as workloads:
        yield opened(Rollouts(api, kube, workloads, cluster.namespace()).begin())


def opened(shop: Rollouts) -> Rollouts:
    """With canary and main, which run the first image."""
    shop.push(ONE)
    for name in ("canary", "main"):
        shop.deploy(name)
        shop.wait(name, ONE)
    return shop


def roll(shop: Rollouts, **spec: Any) -> None:
    """Make the Rollout, and wait until it knows the image there is."""
    made = {
        "apiVersion": "tidegate.io/v1",
        "kind": "Rollout",
        "metadata": {"name": "web"},
        "spec": {"tag": "web:1", **spec},
    }
    shop.rules.make(RULES.format(shop.namespace, "rollouts"), made)
    reach(shop, "Complete", "")


def report(shop: Rollouts, name: str, available: int, **condition: str) -> None:
    """Say what a controller says of a Deployment of one replica, at its newest generation."""
    status: dict[str, Any] = {
        "observedGeneration": shop.read(name)["metadata"]["generation"],
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": available,
        "availableReplicas": available,
        "conditions": [{"type": "Progressing", "status": "True", **condition}],
    }
    answer = shop.workloads.patch(f"{shop.path(name)}/status", {"status": status})
    assert answer.status_code == 200, answer.text


def status_of(shop: Rollouts) -> dict[str, Any]:
    found = shop.rules.read(RULES.format(shop.namespace, "rollouts/web"))
    status: dict[str, Any] = found.get("status", {})
    return status


def reach(shop: Rollouts, phase: str, says: str) -> dict[str, Any]:
    """Wait until the rollout, or a gate of its step, is so."""

    def there() -> bool:
        status = status_of(shop)
        words = [
            status.get("message", ""),
            *(g.get("message", "") for g in status.get("gates", [])),
        ]
        return status.get("phase") == phase and any(says in each for each in words)

    wait_until(there, what=f"{phase}: {says}")
    return status_of(shop)


def test_a_step_is_over_when_its_deployments_are_rolled_out_and_a_stuck_one_takes_the_tag_back(
    shop: Rollouts,
) -> None:
    roll(
        shop,
        steps=[{"name": "canary", "workloads": ["canary"]}, {"name": "rest"}],
        gates=[{"name": "out", "rolloutStatus": {}, "interval": "1s", "failures": 1}],
    )

    report(shop, "canary", 1)  # of the image before, which says nothing of the next one
    shop.push(TWO)
    shop.wait("canary", TWO)
    reach(shop, "Progressing", "Deployment canary: its controller has not seen the change")
    report(shop, "canary", 0)
    reach(shop, "Progressing", "Deployment canary: 0 of 1 replicas are available")
    assert shop.runs("main", ONE)
    report(shop, "canary", 1)
    shop.wait("main", TWO)
    report(shop, "main", 1)
    assert reach(shop, "Complete", "")["stable"] == TWO.digest

    shop.push(THREE)
    shop.wait("canary", THREE)
    report(shop, "canary", 0, status="False", reason="ProgressDeadlineExceeded")
    status = reach(shop, "RolledBack", "gate out: Deployment canary: exceeded its progress")
    assert status["failed"] == [THREE.digest]
    shop.wait("canary", TWO)
    assert shop.runs("main", TWO)


CANARY, REST = {"name": "canary", "workloads": ["canary"]}, {"name": "rest"}
OWN, TEN = {"web": 100, "web-canary": 0}, {"web": 90, "web-canary": 10}
TENTH = {"name": "tenth", "weights": TEN}


class Road:
    """The object of a project that splits its traffic, in the cluster."""

    def __init__(self, shop: Rollouts, path: str, made: dict[str, Any]) -> None:
        self.shop = shop
        self._path = path.format(shop.namespace)
        shop.workloads.make(self._path, made)

    def read(self) -> dict[str, Any]:
        return self.shop.workloads.read(f"{self._path}/web")

    def wait(self, weights: dict[str, int]) -> None:
        wait_until(lambda: weights_of(self.read()) == weights, what=f"the weights {weights}")

    def edit(self, body: dict[str, Any]) -> None:
        answer = self.shop.workloads.patch(f"{self._path}/web", body)
        assert answer.status_code == 200, answer.text


def audited(server: Server, shop: Rollouts) -> list[str]:
    """What the audit log says of the rollout, oldest first."""
    lines = (server.data / "audit.log").read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [
        each["detail"]
        for each in found
        if each["action"] == "rollout" and each["repository"] == f"{shop.namespace}/web"
    ]


def test_traffic_goes_to_the_canary_and_off_a_bad_one_before_the_tag_goes_back(
    server: Server, shop: Rollouts
) -> None:
    road = Road(shop, HTTP_ROUTES, http_route(web=100, web_canary=0))
    before = road.read()["spec"]
    roll(shop, steps=[CANARY, TENTH, REST], traffic={"httpRoute": "web"})
    shop.push(TWO)
    shop.wait("canary", TWO)
    reach(shop, "Progressing", "step tenth: Deployment canary: nothing reports on it")
    assert weights_of(road.read()) == OWN
    report(shop, "canary", 1)
    shop.wait("main", TWO)
    assert weights_of(road.read()) == TEN  # as long as what it goes back to is not rolled out
    report(shop, "main", 1)
    assert reach(shop, "Complete", "")["stable"] == TWO.digest
    assert road.read()["spec"] == before

    shop.push(THREE)
    shop.wait("canary", THREE)
    report(shop, "canary", 1)
    road.wait(TEN)
    shop.wait("main", THREE)
    report(shop, "main", 0, status="False", reason="ProgressDeadlineExceeded")
    reach(shop, "RolledBack", "exceeded its progress deadline")
    for name in ("canary", "main"):
        shop.wait(name, TWO)
    assert road.read()["spec"] == before
    wait_until(lambda: "RolledBack" in audited(server, shop)[-1], what="the last audit line")
    said = audited(server, shop)
    tag = next(n for n, line in enumerate(said) if f"goes back from {THREE.digest}" in line)
    weights = [n for n, line in enumerate(said) if line.startswith("HTTPRoute web gets back")]
    assert len(weights) == 2
    assert weights[1] < tag


def test_who_edits_a_route_has_it_and_who_deletes_the_rollout_gets_its_weights_back(
    shop: Rollouts,
) -> None:
    road = Road(shop, ROUTES, route(web=100, web_canary=0))
    roll(shop, steps=[CANARY, {**TENTH, "pause": "1h"}, REST], traffic={"route": "web"})
    shop.push(TWO)
    shop.wait("canary", TWO)
    report(shop, "canary", 1)
    road.wait(TEN)
    road.edit({"spec": {"to": {"weight": 70}}})
    edited = {**TEN, "web": 70}
    reach(shop, "Held", "somebody set web 70, web-canary 10 in Route web")
    assert weights_of(road.read()) == edited

    path = RULES.format(shop.namespace, "rollouts/web")
    answer = shop.rules.patch(path, {"spec": {"retry": TWO.digest}})
    assert answer.status_code == 200, answer.text
    road.wait(TEN)
    reach(shop, "Progressing", "pauses until")
    assert shop.rules.read(path)["metadata"]["finalizers"] == ["tidegate.io/rollout-traffic"]
    assert shop.rules.delete(path).status_code == 200
    wait_until(lambda: shop.rules.get(path).status_code == 404, what="the rollout to go")
    assert weights_of(road.read()) == edited
    shop.wait("main", TWO)


def test_a_project_that_ends_gives_the_weights_back_first(shop: Rollouts) -> None:
    road = Road(shop, HTTP_ROUTES, http_route(web=100, web_canary=0))
    roll(shop, steps=[{**TENTH, "pause": "1h"}, REST], traffic={"httpRoute": "web"})
    shop.push(TWO)
    road.wait(TEN)
    path = f"{PROJECTS}/projects/{shop.namespace}"
    assert shop.rules.delete(path).status_code == 200
    wait_until(lambda: shop.rules.get(path).status_code == 404, what="the project to go")
    assert weights_of(road.read()) == OWN


def test_workers_killed_before_the_weights_are_written_leave_it_to_others(
    cluster: Cluster, tmp_path: Path
) -> None:
    """The status has what is to be written and what was there; the object may not be patched."""
    with cluster.client() as admin:
        traffic_kinds.define(admin)
    *others, routes = documented_rules()
    assert routes["resources"] == ["routes"]
    cluster.bind("weigher", *others, {**routes, "verbs": ["get"]})
    settings = {"cluster": str(cluster.certified("weigher"))}
    with serving(Server(tmp_path / "data", settings=settings)) as server:
        with client_of(server) as api, kube_client(server) as kube, cluster.client() as admin:
            shop = opened(Rollouts(api, kube, admin, cluster.namespace()).begin())
            road = Road(shop, ROUTES, route(web=100, web_canary=0))
            roll(shop, steps=[CANARY, TENTH, REST], traffic={"route": "web"})
            shop.push(TWO)
            shop.wait("canary", TWO)
            report(shop, "canary", 1)
            status = reach(shop, "Progressing", "cannot patch resource")
            assert status["traffic"]["original"] == [{"weights": OWN}]
            assert weights_of(road.read()) == OWN
            for each in server.worker_ids():
                os.kill(each, signal.SIGKILL)
        cluster.bind("weigher", routes)
        with client_of(server) as api, kube_client(server) as kube, cluster.client() as admin:
            shop = road.shop = Rollouts(api, kube, admin, shop.namespace)
            road.wait(TEN)
            shop.wait("main", TWO)
            report(shop, "main", 1)
            assert reach(shop, "Complete", "")["stable"] == TWO.digest
            assert weights_of(road.read()) == OWN
