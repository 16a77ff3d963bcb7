"""A Rollout goes by the state that a real Kubernetes API server has of its workloads.

Nothing runs them: the test writes the status that a cluster's controllers would.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.rollouts import RULES, Rollouts
from tests.images import small_image
from tests.kube_apiserver import Cluster
from tests.kube_client import kube_client
from tests.registry_client import client_of
from tests.server import Server, serving, wait_until

DOCS = Path(__file__).parent.parent.parent / "docs" / "triggers.md"
ONE, TWO, THREE = small_image("one"), small_image("two"), small_image("three")


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rollouts]:
    """A project whose workloads are in the cluster, on a server that may what the docs say."""
    text = DOCS.read_text("utf-8").split("<!-- cluster role -->")[1].split("```")[1]
    cluster.bind("tidegate", *yaml.safe_load(text.removeprefix("yaml"))["rules"])
    settings = {"cluster": str(cluster.kubeconfig("tidegate"))}
    directory = tmp_path_factory.mktemp("server") / "data"
    with (
        serving(Server(directory, settings=settings)) as server,
        client_of(server) as api,
        kube_client(server) as kube,
        cluster.client() as workloads,
    ):
        yield Rollouts(api, kube, workloads, cluster.namespace()).begin()
    assert "Traceback" not in server.log, server.log


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
    shop.push(ONE)
    for name in ("canary", "main"):
        shop.deploy(name)
        shop.wait(name, ONE)
    made = {
        "apiVersion": "tidegate.io/v1",
        "kind": "Rollout",
        "metadata": {"name": "web"},
        "spec": {
            "tag": "web:1",
            "steps": [{"name": "canary", "workloads": ["canary"]}, {"name": "rest"}],
            "gates": [{"name": "out", "rolloutStatus": {}, "interval": "1s", "failures": 1}],
        },
    }
    shop.rules.make(RULES.format(shop.namespace, "rollouts"), made)
    reach(shop, "Complete", "")

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
