"""How long it takes from a push to the changed workload, here and in a cluster.

    python -m tests.bench.triggers [--pushes N] [--workloads N] [--parts stored,cluster]

Each push moves a tag that one workload follows, among `--workloads` that follow others; the time is
from the answer to the push to the event of a watch that shows the image. Then one push moves the
tag that all the others follow. The API server has no controllers, so that nothing rolls out. By
hand, before a claim.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx

from tests.bench.process import processor_seconds
from tests.e2e.rollouts import APPS, Rollouts, deployment, entry
from tests.images import small_image
from tests.kube_apiserver import kube_cluster
from tests.kube_client import KubeClient, kube_client
from tests.registry_client import client_of
from tests.server import Server, serving

HEADER = "| work | p50 | p99 | longest | server CPU |\n|---|---:|---:|---:|---:|"


class Watcher:
    """Notes when each workload of a namespace was first seen with each digest."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.seen: dict[tuple[str, str], float] = {}
        self._arrived = threading.Condition()
        self._client, self._path = client, APPS.format(namespace, "deployments")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        params = {"watch": "true", "timeoutSeconds": "3600"}
        http = self._client.http
        with (
            suppress(httpx.HTTPError),  # the end of the server
            http.stream("GET", self._path, params=params, timeout=None) as answer,
        ):
            for line in answer.iter_lines():
                now = time.perf_counter()
                event = json.loads(line)["object"]
                image = event["spec"]["template"]["spec"]["containers"][0]["image"]
                with self._arrived:
                    key = event["metadata"]["name"], image.partition("@")[2]
                    self.seen.setdefault(key, now)
                    self._arrived.notify_all()

    def wait(self, names: list[str], digest: str) -> float:
        """When the last of these workloads had the image."""
        with self._arrived:
            done = self._arrived.wait_for(
                lambda: all((each, digest) in self.seen for each in names), timeout=300
            )
            assert done, "the image did not come"
            return max(self.seen[each, digest] for each in names)


def measure(
    shop: Rollouts, watching: KubeClient, server: Server, options: argparse.Namespace
) -> Iterator[str]:
    """The rows of one place."""
    where = "stored here" if shop.workloads is shop.rules else "in a cluster"
    assert server.process is not None
    others = [f"w{each}" for each in range(options.workloads)]
    path = APPS.format(shop.namespace, "deployments")
    shop.workloads.make(path, deployment("web"))
    for name in others:
        shop.workloads.make(path, deployment(name, entry("web:all")))
    watcher = Watcher(watching, shop.namespace)
    shop.push(small_image("warm"))
    watcher.wait(["web"], small_image("warm").digest)
    taken, used = [], processor_seconds(server.process.pid)
    for number in range(options.pushes):
        image = small_image(f"push-{where}-{number}")
        shop.push(image)
        pushed = time.perf_counter()
        taken.append(1000 * max(watcher.wait(["web"], image.digest) - pushed, 0.0))
    used = processor_seconds(server.process.pid) - used
    taken.sort()
    p50, p99 = (taken[int(len(taken) * part)] for part in (0.5, 0.99))
    yield (
        f"| push -> changed Deployment {where}, {options.pushes} pushes | {p50:.0f} ms "
        f"| {p99:.0f} ms | {taken[-1]:.0f} ms | {1000 * used / options.pushes:.0f} ms a push |"
    )
    for number in range(2):  # the second changes what the first has set
        image = small_image(f"all-{where}-{number}")
        used = processor_seconds(server.process.pid)
        shop.push(image, "all")
        pushed = time.perf_counter()
        last = watcher.wait(others, image.digest) - pushed
    used = processor_seconds(server.process.pid) - used
    first = min(watcher.seen[each, image.digest] for each in others) - pushed
    yield (
        f"| push -> {len(others)} changed Deployments {where} | first {1000 * first:.0f} ms "
        f"| | all {last:.1f} s | {1000 * used / max(len(others), 1):.1f} ms each |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.triggers")
    parser.add_argument("--pushes", type=int, default=200)
    parser.add_argument("--workloads", type=int, default=1000)
    parser.add_argument("--parts", default="stored,cluster")
    options = parser.parse_args()
    print(HEADER, flush=True)
    for part in options.parts.split(","):
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
            settings, workloads, watching = {}, None, None
            if part == "cluster":
                cluster = stack.enter_context(kube_cluster(directory / "cluster"))
                settings["cluster"] = str(cluster.kubeconfig())
                workloads, watching = cluster.client(), cluster.client()
            server = stack.enter_context(serving(Server(directory / "data", settings=settings)))
            registry = stack.enter_context(client_of(server))
            rules = stack.enter_context(kube_client(server))
            name = cluster.namespace() if part == "cluster" else "shop"
            shop = Rollouts(registry, rules, workloads or rules, name).begin()
            for row in measure(shop, watching or kube_client(server), server, options):
                print(row, flush=True)
            if "Traceback" in server.log:
                sys.exit(server.log)


if __name__ == "__main__":
    main()
