"""A push rolls out to workloads that a server keeps, whichever of its processes acts, and once."""

import hmac
import json
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.conformance import postgresql
from tests.e2e.conftest import Start
from tests.e2e.rollouts import APPS, RULES, Rollouts, approval, deployment, entry, policy
from tests.images import Pushable, small_image
from tests.kube_client import (
    RBAC,
    KubeClient,
    add_user,
    kube_client,
    role_binding,
)
from tests.registry_client import RegistryClient, client_of
from tests.server import Server, serving, wait_until
from tests.tools import Program, require

ONE, TWO, THREE = small_image("one"), small_image("two"), small_image("three")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the file; kubectl sends its token over TLS alone."""
    with serving(Server(tmp_path_factory.mktemp("server") / "data", tls=True)) as running:
        yield running
    assert "Traceback" not in running.log, running.log


@pytest.fixture
def kube(server: Server) -> Iterator[KubeClient]:
    with kube_client(server) as client:
        yield client


@pytest.fixture
def shop(api: RegistryClient, kube: KubeClient, request: pytest.FixtureRequest) -> Rollouts:
    """A project of the test's own."""
    name = f"p{abs(hash(request.node.name)):x}"
    return Rollouts(api, kube, kube, name).begin()


def audited(server: Server, project: str) -> list[dict[str, Any]]:
    """What the audit log says of triggers in a project."""
    lines = (server.data / "audit.log").read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [
        each
        for each in found
        if each["action"] == "trigger" and f" {project}/" in each.get("reference", "")
    ]


def test_a_push_rolls_out_and_is_audited_from_digest_to_digest(
    server: Server, shop: Rollouts
) -> None:
    shop.push(ONE)
    shop.deploy("web")
    shop.wait("web", ONE)
    shop.push(TWO)
    shop.wait("web", TWO)
    wait_until(lambda: len(audited(server, shop.namespace)) == 2, what="two audit lines")
    last = audited(server, shop.namespace)[-1]
    assert (last["user"], last["digest"]) == ("system:tidegate:triggers", TWO.digest)
    assert last["reference"] == f"1 deployments.apps {shop.namespace}/web"
    assert f"@{ONE.digest} to " in last["detail"]
    wait_until(lambda: shop.events("web") == ["ImageChanged"] * 2, what="two events")


def test_every_annotated_kind_follows(shop: Rollouts, kube: KubeClient) -> None:
    shop.push(ONE)
    job = entry()
    job["fieldPath"] = "spec.jobTemplate.spec.template.spec.containers[0].image"
    made = {
        ("apps", "StatefulSet"): deployment("web"),
        ("apps", "DaemonSet"): deployment("web"),
        ("batch", "CronJob"): deployment("web", job),
    }
    template = made["batch", "CronJob"]["spec"].pop("template")
    made["batch", "CronJob"]["spec"] = {
        "schedule": "@daily",
        "jobTemplate": {"spec": {"template": template}},
    }
    for (group, kind), body in made.items():
        body |= {"apiVersion": f"{group}/v1", "kind": kind}
        path = f"/apis/{group}/v1/namespaces/{shop.namespace}/{kind.lower()}s"
        kube.make(path, body)
        wait_until(partial(names, kube, f"{path}/web", ONE.digest), what=kind)


def test_bad_annotations_are_shown_and_hold_up_nobody(shop: Rollouts, kube: KubeClient) -> None:
    shop.push(ONE)
    bad = {
        "twice": json.dumps([entry(), entry()]),
        "text": json.dumps([entry() | {"paused": "true"}]),
        "many": json.dumps([entry() | {"fieldPath": f"{each}"} for each in range(2_000)]),
        "large": json.dumps([entry()]) + " " * 200_000,
        "broken": "[{",
        "missing": json.dumps([entry(container="none")]),
    }
    for name, text in bad.items():
        body = deployment(name)
        body["metadata"]["annotations"]["image.openshift.io/triggers"] = text
        kube.make(APPS.format(shop.namespace, "deployments"), body)
    shop.deploy("web")
    shop.wait("web", ONE)
    for name in bad:
        shop.held(name, "FaultyTrigger")
        assert shop.image(name) == "web:1"
    answer = kube.get(f"/apis/tidegate.io/v1/namespaces/{shop.namespace}/imagechanges")
    assert len(answer.json()["items"]) == len(bad)


def test_who_may_approve_lets_an_image_through_and_is_named(
    server: Server, shop: Rollouts, kube: KubeClient
) -> None:
    kube.make(RULES.format(shop.namespace, "triggerpolicies"), policy("ask", requiresApproval=True))
    shop.push(ONE)
    shop.deploy("web")
    shop.held("web", "WaitsForApproval")
    rights = {"rita": "registry-admin", "eddie": "edit"}
    clients = {}
    for name, role in rights.items():
        user = f"{name}-{shop.namespace}"
        add_user(server, user)
        path = f"{RBAC}/namespaces/{shop.namespace}/rolebindings"
        kube.make(path, role_binding(name, role, user))
        clients[name] = kube_client(server, user)
    approvals = RULES.format(shop.namespace, "imageapprovals")
    assert clients["eddie"].post(approvals, approval("a", ONE.digest)).status_code == 403
    forged = approval("a", ONE.digest) | {"status": {"approvedBy": "somebody"}}
    made = clients["rita"].make(approvals, forged)
    assert made["status"]["approvedBy"] == f"rita-{shop.namespace}"
    assert clients["rita"].patch(f"{approvals}/a", {"spec": {}}).status_code == 405
    shop.wait("web", ONE)
    wait_until(lambda: shop.change("web") is None, what="nothing to wait")
    wait_until(lambda: audited(server, shop.namespace), what="the audit line")
    assert f"approved by rita-{shop.namespace}" in audited(server, shop.namespace)[-1]["detail"]
    for client in clients.values():
        client.http.close()


def test_another_project_is_followed_only_by_who_may_pull_there(
    shop: Rollouts, kube: KubeClient, api: RegistryClient
) -> None:
    other = Rollouts(api, kube, kube, f"{shop.namespace}x").begin()
    other.push(ONE)
    elsewhere = entry()
    elsewhere["from"]["namespace"] = other.namespace
    shop.deploy("web", elsewhere)
    shop.held("web", "NotAllowed")
    group = f"system:serviceaccounts:{shop.namespace}"
    path = f"{RBAC}/namespaces/{other.namespace}/rolebindings"
    kube.make(path, role_binding("pull", "system:image-puller", groups=(group,)))
    wait_until(lambda: ONE.digest in shop.image("web"), what="the image of the other project")


def test_kubectl_lists_what_waits_explains_policies_and_applies_the_patch(
    server: Server, shop: Rollouts, kube: KubeClient, tmp_path: Path
) -> None:
    options = (f"--server=https://{server.tls_address}", f"--token={kube.token}")
    trusting = (f"--certificate-authority={server.authority}", f"--namespace={shop.namespace}")
    home = {"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none")}
    kubectl = Program(require("kubectl"), home, (*options, *trusting))
    kubectl("create", "-f", "-", stdin=json.dumps(policy("gitops", mode="Report")))
    shop.push(ONE)
    shop.deploy("web")
    shop.held("web", "ReportOnly")
    listed = kubectl("get", "imagechanges")
    assert "Deployment/web" in listed
    assert "Proposed" in listed
    asked = kubectl("get", "triggerpolicies", "-o", "wide")
    assert "gitops" in asked
    assert "Report" in asked
    assert "timeZone" in kubectl("explain", "triggerpolicy.spec.windows")
    assert "Digest of the image" in kubectl("explain", "imageapproval.spec.image")
    patch = kubectl("get", "imagechange", "deployment.web", "-o", "jsonpath={.status.patch}")
    assert shop.image("web") == "web:1"
    kubectl("patch", "deployment", "web", "-p", patch)
    shop.wait("web", ONE)
    wait_until(lambda: shop.change("web") is None, what="nothing to wait")
    refused = kubectl.attempt("annotate", "imagechange", "deployment.web", "a=b")
    assert refused.code != 0


class Hooks(BaseHTTPRequestHandler):
    """A webhook that keeps what it was told, and says no at first."""

    told: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.told.append(({name.lower(): each for name, each in self.headers.items()}, body))
        self.send_response(503 if len(self.told) == 1 else 204)
        self.end_headers()

    def log_message(self, *words: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hooks() -> Iterator[str]:
    """Where `Hooks` listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hooks) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/hook"
        listening.shutdown()


def test_a_webhook_is_told_once_signed_and_only_where_addresses_allow_it(
    start: Start, hooks: str
) -> None:
    server = start(workers=1)
    with client_of(server) as registry, kube_client(server) as kube:
        shop = Rollouts(registry, kube, kube, "shop").begin()
        secret = {"metadata": {"name": "hook"}, "stringData": {"secret": "sesame"}}
        kube.make("/api/v1/namespaces/shop/secrets", secret)
        hook = {"url": hooks, "secret": "hook"}
        rules = RULES.format("shop", "triggerpolicies")
        kube.make(rules, policy("git", mode="Report", webhook=hook))
        shop.push(ONE)
        shop.deploy("web")
        wait_until(
            lambda: "the webhook was not told" in (shop.change("web") or {}).get("message", ""),
            what="the refusal of a private address",
        )
    assert Hooks.told == []
    server.stop()
    server.settings = {"allow_private_upstreams": "true"}
    server.start()
    with client_of(server) as registry, kube_client(server) as kube:
        shop = Rollouts(registry, kube, kube, "shop")
        wait_until(lambda: (shop.change("web") or {}).get("reported"), what="the webhook")
        shop.push(TWO)
        wait_until(lambda: len(Hooks.told) == 3, what="the next image to be told of")
        assert shop.image("web") == "web:1"
    (_, refused), (headers, body), (_, second) = Hooks.told
    assert refused == body
    signature = hmac.new(b"sesame", body, "sha256").hexdigest()
    assert headers["x-tidegate-signature-256"] == f"sha256={signature}"
    notice = json.loads(body)
    assert notice["workload"]["name"] == "web"
    assert notice["changes"][0]["wanted"].endswith(f"@{ONE.digest}")
    assert json.loads(second)["changes"][0]["wanted"].endswith(f"@{TWO.digest}")


def names(kube: KubeClient, path: str, digest: str) -> bool:
    """Whether an object's spec names a digest."""
    return f"@{digest}" in json.dumps(kube.read(path)["spec"])


def one_runs(shop: Rollouts, workloads: Sequence[str], image: Pushable) -> bool:
    return any(shop.runs(each, image) for each in workloads)


def follow_through_kills(server: Server, kills: int) -> None:
    """Push while whoever leads is killed: each workload gets the last image, none of them twice."""
    workloads = [f"w{each}" for each in range(40)]
    images = [small_image(f"kill-{each}") for each in range(kills)]
    with client_of(server) as registry, kube_client(server) as kube:
        shop = Rollouts(registry, kube, kube, "shop").begin()
        shop.push(ONE)
        for name in workloads:
            shop.deploy(name)
        for name in workloads:
            shop.wait(name, ONE)
        for image in images:
            shop.push(image)
            wait_until(partial(one_runs, shop, workloads, image), what="the first to run it")
            for worker in server.worker_ids():
                os.kill(worker, signal.SIGKILL)
            wait_until(server.ready, what="the server to serve again")
        for name in workloads:
            shop.wait(name, images[-1])
        generations = [shop.read(each)["metadata"]["generation"] for each in workloads]
        # one for each image at most: some were overtaken by the next push
        assert max(generations) <= 2 + kills
        versions = [shop.read(each)["metadata"]["resourceVersion"] for each in workloads]
        shop.deploy("marker")
        shop.wait("marker", images[-1])
        assert versions == [shop.read(each)["metadata"]["resourceVersion"] for each in workloads]


def test_who_leads_is_killed_in_the_middle_and_nothing_is_lost_or_done_twice(start: Start) -> None:
    follow_through_kills(start(workers=2), 2)


def test_nor_when_the_metadata_are_in_postgresql(start: Start) -> None:
    with postgresql.server() as own, own.database() as url:
        follow_through_kills(start(workers=2, settings={"database": url}), 1)
