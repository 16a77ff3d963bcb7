"""The admission webhook, registered with a real API server as docs/admission.md says."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.images import small_image
from tests.kube_apiserver import Cluster
from tests.kube_client import CORE, KubeClient, kube_client
from tests.registry_client import client_of
from tests.server import Server, serving, wait_until
from tests.tools import PROJECT, Program

SECRET = "s" * 40
IMAGES = "/apis/image.openshift.io/v1"
PROBE = "web:v1"


def manifest(server: Server) -> str:
    """The webhook of the documentation, with the values of this server filled in."""
    text = (PROJECT / "docs" / "admission.md").read_text("utf-8")
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    document: dict[str, Any] = yaml.safe_load(found[1])
    client: dict[str, str] = document["webhooks"][0]["clientConfig"]
    assert client["url"] == "https://tidegate.example.com:6443/admission/SECRET/workloads"
    client["url"] = f"https://{server.tls_address}/admission/{SECRET}/workloads"
    client["caBundle"] = base64.b64encode(server.authority.read_bytes()).decode()
    return yaml.safe_dump(document)


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Program:
    return cluster.kubectl()


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> str:
    return cluster.namespace()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, kubectl: Program, namespace: str
) -> Iterator[Server]:
    """A tidegate that the cluster asks, with a stream `web` in the project of the namespace."""
    data = tmp_path_factory.mktemp("admission") / "data"
    own = Server(data, workers=1, settings={"admission_secret": SECRET}, tls=True)
    with serving(own) as running:
        with client_of(running) as client:
            client.push(f"{namespace}/web", small_image("one"), "v1")
        with kube_client(running) as kube:
            local = {"spec": {"lookupPolicy": {"local": True}}}
            stream = f"{IMAGES}/namespaces/{namespace}/imagestreams/web"
            assert kube.patch(stream, local).status_code == 200
        kubectl("apply", "-f", "-", stdin=manifest(running))
        # The API server learns of a new webhook as any client does: a little later.
        wait_until(lambda: "sha256" in run_dry(kubectl, namespace), what="the webhook")
        yield running
        kubectl("delete", "mutatingwebhookconfiguration", "tidegate-images")
    assert "Traceback" not in running.log, running.log


@pytest.fixture
def kube(server: Server) -> Iterator[KubeClient]:
    with kube_client(server) as client:
        yield client


def run_dry(kubectl: Program, namespace: str, image: str = PROBE) -> str:
    """What image a pod would get, as the documentation tries it."""
    words = ("--dry-run=server", "-o", "jsonpath={.spec.containers[0].image}")
    return kubectl("-n", namespace, "run", "probe", f"--image={image}", *words)


def expected(kube: KubeClient, namespace: str, tag: str = "web:v1") -> str:
    """The image of a tag, by digest at this registry."""
    found = kube.read(f"{IMAGES}/namespaces/{namespace}/imagestreamtags/{tag}")
    reference: str = found["image"]["dockerImageReference"]
    assert re.search(r"/web@sha256:[0-9a-f]{64}$", reference)
    return reference


def test_a_pod_of_a_stream_is_stored_with_the_digest(
    kubectl: Program, kube: KubeClient, cluster: Cluster, namespace: str
) -> None:
    assert run_dry(kubectl, namespace) == expected(kube, namespace)
    kubectl("-n", namespace, "run", "web", f"--image={PROBE}")
    with cluster.client() as api:
        pod = api.read(f"{CORE}/namespaces/{namespace}/pods/web")
    assert pod["spec"]["containers"][0]["image"] == expected(kube, namespace)
    foreign = "docker.io/library/nginx:1"
    assert run_dry(kubectl, namespace, foreign) == foreign


def test_deployments_and_cron_jobs_are_resolved_and_stay_as_they_were_set(
    kubectl: Program, kube: KubeClient, namespace: str
) -> None:
    where = ("-n", namespace)
    kubectl(*where, "create", "deployment", "web", f"--image={PROBE}", "--replicas=2")
    kubectl(*where, "create", "cronjob", "nightly", f"--image={PROBE}", "--schedule=0 3 * * *")
    deployment = json.loads(kubectl(*where, "get", "deployment", "web", "-o", "json"))
    cron_job = json.loads(kubectl(*where, "get", "cronjob", "nightly", "-o", "json"))
    template = cron_job["spec"]["jobTemplate"]["spec"]["template"]
    for each in (deployment["spec"]["template"], template):
        assert each["spec"]["containers"][0]["image"] == expected(kube, namespace)
    kubectl(*where, "scale", "deployment", "web", "--replicas=3")
    scaled = json.loads(kubectl(*where, "get", "deployment", "web", "-o", "json"))
    assert scaled["spec"]["template"] == deployment["spec"]["template"]


def test_a_tag_that_is_missing_warns_whoever_makes_the_pod(
    kubectl: Program, namespace: str
) -> None:
    words = ("-n", namespace, "run", "later", "--image=web:v9", "--dry-run=server", "-o", "name")
    outcome = kubectl.attempt(*words)
    assert (outcome.code, outcome.stdout.strip()) == (0, "pod/later"), outcome
    assert outcome.stderr.startswith(f"Warning: image stream {namespace}/web has no image")
    assert "v9" in outcome.stderr


def test_an_image_that_may_not_run_is_refused_to_the_user(
    kubectl: Program, kube: KubeClient, server: Server, namespace: str
) -> None:
    with client_of(server) as client:
        client.push(f"{namespace}/web", small_image("bad"), "bad")
    tag = kube.read(f"{IMAGES}/namespaces/{namespace}/imagestreamtags/web:bad")
    deny = {"metadata": {"annotations": {"images.openshift.io/deny-execution": "true"}}}
    image = f"{IMAGES}/images/{tag['image']['metadata']['name']}"
    assert kube.patch(image, deny).status_code == 200
    outcome = kubectl.attempt("-n", namespace, "run", "bad", "--image=web:bad")
    assert outcome.code == 1
    assert outcome.stderr == (
        'The Pod "bad" is invalid: spec.containers[0].image: Forbidden: '
        "this image is prohibited by policy\n"
    )


def test_a_project_insists_on_the_pull_policy(
    kubectl: Program, kube: KubeClient, namespace: str
) -> None:
    annotation = {"metadata": {"annotations": {"tidegate.io/image-pull-policy": "Always"}}}
    project = f"/api/v1/namespaces/{namespace}"
    assert kube.patch(project, annotation).status_code == 200
    words = ("--dry-run=server", "-o", "jsonpath={.spec.containers[0].imagePullPolicy}")
    run = ("-n", namespace, "run", "probe", f"--image={PROBE}", "--image-pull-policy=Never")
    try:
        assert kubectl(*run, *words) == "Always"
    finally:
        annotation["metadata"]["annotations"]["tidegate.io/image-pull-policy"] = ""
        assert kube.patch(project, annotation).status_code == 200


def test_while_the_webhook_is_away_objects_are_stored_as_written(
    kubectl: Program, server: Server, namespace: str, tmp_path: Path
) -> None:
    server.stop()
    try:
        assert run_dry(kubectl, namespace) == PROBE
    finally:
        server.start()
    wait_until(lambda: "sha256" in run_dry(kubectl, namespace), what="the webhook again")
