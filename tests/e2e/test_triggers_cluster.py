"""A push rolls out to a real Kubernetes API server, with the rights that docs/triggers.md names."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.rollouts import RULES, Rollouts, approval, policy
from tests.images import Pushable, small_image
from tests.kube_apiserver import Cluster
from tests.kube_client import kube_client
from tests.registry_client import client_of
from tests.server import Server, serving, wait_until
from tests.tools import run
from tidegate.remote.cluster.access import in_cluster
from tidegate.remote.cluster.client import ClusterClient
from tidegate.remote.cluster.client import Path as ApiPath
from tidegate.remote.cluster.errors import ClusterRefused, ClusterUnavailable
from tidegate.remote.cluster.kubeconfig import read_kubeconfig
from tidegate.remote.cluster.watching import Follower

DOCS = Path(__file__).parent.parent.parent / "docs" / "triggers.md"
ONE, TWO, THREE = small_image("one"), small_image("two"), small_image("three")
DEPLOYMENTS = ApiPath.of("apps", "v1", "deployments")
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
OPENSHIFT = {"apps.openshift.io": "DeploymentConfig", "build.openshift.io": "BuildConfig"}


def documented_rules() -> list[dict[str, Any]]:
    """What docs/triggers.md says that tidegate has to be allowed."""
    text = DOCS.read_text("utf-8").split("<!-- cluster role -->")[1].split("```")[1]
    rules: list[dict[str, Any]] = yaml.safe_load(text.removeprefix("yaml"))["rules"]
    return rules


def definition(group: str, kind: str) -> dict[str, Any]:
    """A kind of OpenShift's, as far as a cluster without OpenShift can have it."""
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": anything},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }


@pytest.fixture(scope="module")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that acts on the cluster, which has OpenShift's kinds."""
    with cluster.client() as admin:
        for group, kind in OPENSHIFT.items():
            admin.post(CRDS, definition(group, kind))
            path = f"/apis/{group}/v1/{kind.lower()}s"
            wait_until(lambda path=path: admin.get(path).status_code == 200, what=kind)  # type: ignore[misc]
    cluster.bind("tidegate", *documented_rules())
    settings = {"cluster": str(cluster.kubeconfig("tidegate"))}
    directory = tmp_path_factory.mktemp("server") / "data"
    with serving(Server(directory, settings=settings)) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest.fixture
def shop(server: Server, cluster: Cluster) -> Iterator[Rollouts]:
    """A namespace of the test's own, and the project of the same name."""
    with client_of(server) as api, kube_client(server) as kube, cluster.client() as workloads:
        yield Rollouts(api, kube, workloads, cluster.namespace()).begin()


def test_a_push_is_patched_into_a_deployment_of_the_cluster(shop: Rollouts) -> None:
    shop.push(ONE)
    shop.deploy("web", labels={"kept": "yes"})
    shop.wait("web", ONE)
    shop.push(TWO)
    shop.wait("web", TWO)
    stored = shop.read("web")
    assert stored["metadata"]["labels"] == {"kept": "yes"}
    assert stored["metadata"]["generation"] == 3
    managers = {each["manager"] for each in stored["metadata"]["managedFields"]}
    assert "tidegate-triggers" in managers
    wait_until(lambda: shop.events("web") == ["ImageChanged"] * 2, what="two events")
    shop.workloads.patch(
        shop.path("web"),
        [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "by/hand:1"}],
        "application/json-patch+json",
    )
    shop.wait("web", TWO)


def test_policies_and_approvals_are_those_of_the_project_of_the_same_name(shop: Rollouts) -> None:
    rules = RULES.format(shop.namespace, "triggerpolicies")
    shop.rules.make(rules, policy("ask", requiresApproval=True, matchLabels={"tier": "front"}))
    shop.push(ONE)
    shop.deploy("web", labels={"tier": "front"})
    shop.deploy("worker")
    shop.wait("worker", ONE)
    shop.held("web", "WaitsForApproval")
    wait_until(lambda: shop.events("web") == ["ImageChangeWaits"], what="an event")
    shop.rules.make(RULES.format(shop.namespace, "imageapprovals"), approval("a", ONE.digest))
    shop.wait("web", ONE)
    shop.rules.patch(f"{rules}/ask", {"spec": {"mode": "Report"}})
    shop.push(TWO)
    shop.rules.make(RULES.format(shop.namespace, "imageapprovals"), approval("b", TWO.digest))
    shop.held("web", "ReportOnly")
    assert shop.runs("web", ONE)
    change = shop.change("web")
    assert change is not None
    shop.workloads.patch(
        shop.path("web"), json.loads(change["patch"]), "application/strategic-merge-patch+json"
    )
    shop.wait("web", TWO)
    wait_until(lambda: shop.change("web") is None, what="nothing to wait")


def test_a_deployment_config_notes_what_it_was_triggered_with(shop: Rollouts) -> None:
    path = f"/apis/apps.openshift.io/v1/namespaces/{shop.namespace}/deploymentconfigs"
    params = {
        "automatic": True,
        "containerNames": ["web"],
        "from": {"kind": "ImageStreamTag", "name": "web:1"},
    }
    body = {
        "apiVersion": "apps.openshift.io/v1",
        "kind": "DeploymentConfig",
        "metadata": {"name": "web"},
        "spec": {
            "triggers": [{"type": "ImageChange", "imageChangeParams": params}],
            "template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}},
        },
    }
    shop.workloads.make(path, body)
    shop.push(ONE)

    def spec() -> Any:
        return shop.workloads.read(f"{path}/web")["spec"]

    wait_until(lambda: ONE.digest in json.dumps(spec()), what="the image")
    image = spec()["template"]["spec"]["containers"][0]["image"]
    assert spec()["triggers"][0]["imageChangeParams"]["lastTriggeredImage"] == image


def test_who_changes_a_workload_all_the_time_neither_loses_nor_stops_an_image(
    shop: Rollouts, cluster: Cluster
) -> None:
    shop.push(ONE)
    shop.deploy("web")
    shop.wait("web", ONE)
    ended = threading.Event()
    written = 0

    def report() -> None:
        """As the cluster's controllers report a rollout."""
        nonlocal written
        with cluster.client() as client:
            while not ended.is_set():
                status = {"status": {"observedGeneration": written, "replicas": written % 7}}
                answer = client.patch(f"{shop.path('web')}/status", status)
                assert answer.status_code == 200, answer.text
                written += 1

    reporter = threading.Thread(target=report)
    reporter.start()
    try:
        for image in (TWO, THREE, ONE, TWO, THREE):
            shop.push(image)
            shop.wait("web", image)
    finally:
        ended.set()
        reporter.join()
    stored = shop.read("web")
    assert stored["status"]["observedGeneration"] == written - 1
    assert stored["metadata"]["generation"] == 7  # made, and six images


def test_many_workloads_on_one_tag_get_it_once_each(shop: Rollouts) -> None:
    for each in range(150):
        shop.deploy(f"w{each}")
    path = f"/apis/apps/v1/namespaces/{shop.namespace}/deployments"

    def generations(image: Pushable) -> set[int]:
        """Of all workloads, once they have the image."""
        listed = shop.workloads.read(path)["items"]
        if all(image.digest in json.dumps(each["spec"]) for each in listed):
            return {each["metadata"]["generation"] for each in listed}
        return set()

    for generation, image in ((2, ONE), (3, TWO)):
        shop.push(image)
        wait_until(partial(generations, image), what="all of them")
        assert generations(image) == {generation}


def test_an_api_server_that_is_away_hears_of_the_push_when_it_is_back(
    shop: Rollouts, cluster: Cluster, server: Server
) -> None:
    shop.push(ONE)
    shop.deploy("web")
    shop.wait("web", ONE)
    cluster.stop()
    try:
        shop.push(TWO)
    finally:
        cluster.start()
    shop.wait("web", TWO)
    shop.deploy("later")  # and the watch goes on
    shop.wait("later", TWO)
    assert server.ready()


# The client of a cluster, on the same API server.


def use(make: Callable[[], ClusterClient], story: Callable[[ClusterClient], Any]) -> Any:
    async def inside() -> Any:
        client = make()
        try:
            return await story(client)
        finally:
            await client.close()

    return asyncio.run(inside())


class Told:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def begin(self) -> None:
        self.words.append("begin")

    def present(self, body: bytes) -> None:
        self.words.append(str(json.loads(body)["metadata"]["name"]))

    def complete(self) -> None:
        self.words.append("complete")

    def gone(self, body: bytes) -> None:
        self.words.append(f"-{json.loads(body)['metadata']['name']}")


async def until_said(told: Told, word: str) -> None:
    async with asyncio.timeout(30):
        while word not in told.words:  # noqa: ASYNC110  a listener is told, and knows no event
            await asyncio.sleep(0.01)


def test_a_watch_from_a_forgotten_version_lists_anew(cluster: Cluster) -> None:
    namespace = cluster.namespace()
    path = ApiPath.of("", "v1", "configmaps", namespace)

    async def story(client: ClusterClient) -> list[str]:
        told = Told()
        follower = Follower(client, path, told)
        follower._version = "1"  # which the API server knows no more: 410
        await client.post(path, {"metadata": {"name": "one"}})
        task = asyncio.ensure_future(follower.run())
        await until_said(told, "complete")
        await client.post(path, {"metadata": {"name": "two"}})
        await until_said(told, "two")
        task.cancel()
        return told.words

    access = read_kubeconfig(cluster.kubeconfig())
    words = use(lambda: ClusterClient(access), story)
    assert [each for each in words if "kube-root" not in each] == [
        "begin",
        "one",
        "complete",
        "two",
    ]


def test_a_token_in_a_file_is_renewed_while_it_is_used(cluster: Cluster, tmp_path: Path) -> None:
    namespace = cluster.namespace()
    account = f"system:serviceaccount:{namespace}:robot"
    (tmp_path / "ca.crt").write_text(cluster.authority.certificate.read_text())
    (tmp_path / "token").write_text("not-a-token\n")
    good = cluster.service_account_token(namespace, "robot")
    cluster.bind(account, *documented_rules())

    async def story(client: ClusterClient) -> None:
        with pytest.raises(ClusterUnavailable, match="401"):
            await client.get(DEPLOYMENTS)
        (tmp_path / "token").write_text(good)
        await client.get(DEPLOYMENTS)
        (tmp_path / "token").unlink()  # as while the kubelet puts another in its place
        await client.get(DEPLOYMENTS)
        with pytest.raises(ClusterRefused, match="403"):
            await client.get(ApiPath.of("", "v1", "secrets"))

    use(lambda: ClusterClient(in_cluster(cluster.url, tmp_path)), story)


def test_a_client_certificate_is_shown_and_the_servers_is_checked(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.bind("ann", *documented_rules())
    access = read_kubeconfig(cluster.certified("ann"))
    use(lambda: ClusterClient(access), lambda client: client.get(DEPLOYMENTS))

    config = json.loads(cluster.kubeconfig().read_text())
    entry_of = config["clusters"][0]["cluster"]
    del entry_of["certificate-authority-data"]
    path = tmp_path / "config"

    def reached() -> bool:
        path.write_text(json.dumps(config))
        access = read_kubeconfig(path)
        with suppress(ClusterUnavailable):
            use(lambda: ClusterClient(access), lambda client: client.get(DEPLOYMENTS))
            return True
        return False

    assert not reached()  # nobody whom the system believes has signed it
    entry_of["insecure-skip-tls-verify"] = True
    assert reached()
    del entry_of["insecure-skip-tls-verify"]
    entry_of["certificate-authority"] = str(cluster.authority.certificate)
    assert reached()
    entry_of["tls-server-name"] = "another.example"
    assert not reached()
    entry_of["tls-server-name"] = "localhost"
    assert reached()


def test_a_server_whose_kubeconfig_leads_nowhere_says_so_and_does_not_start(
    tmp_path: Path,
) -> None:
    server = Server(tmp_path / "data", settings={"cluster": str(tmp_path / "none")})
    outcome = run(*server.command(), environment=server.environment())
    assert outcome.code == 2
    assert "none: No such file or directory" in outcome.stderr
