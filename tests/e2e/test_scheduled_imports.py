"""Tags that follow another registry by themselves: a second tidegate, looked at every 10 s."""

import base64
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.images import small_image
from tests.kube_client import (
    PROJECTS,
    RBAC,
    KubeClient,
    add_user,
    kube_client,
    log_in,
    project,
    role_binding,
)
from tests.registry_client import RegistryClient, client_of
from tests.server import Server, serving, wait_until
from tests.upstream import Upstream, second_tidegate
from tidegate.controllers.scheduled_imports import LIMITS

IMAGES = "/apis/image.openshift.io/v1"
WORK = "/apis/tidegate.io/v1"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METRICS = "/extensions/v2/metrics"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """The other registry, for who has its password."""
    with second_tidegate(tmp_path_factory.mktemp("far")) as (upstream, _):
        yield upstream


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers that look as often as anybody may."""
    data = tmp_path_factory.mktemp("near") / "data"
    settings = {
        "allow_private_upstreams": "true",
        "import_interval": "10",
        "imports_per_minute": "0",
    }
    with serving(Server(data, settings=settings)) as started:
        yield started
    assert "Traceback" not in started.log, started.log


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[KubeClient]:
    with kube_client(server) as client:
        yield client


@pytest.fixture(scope="module")
def registry(server: Server) -> Iterator[RegistryClient]:
    with client_of(server) as client:
        yield client


class Shop:
    """A project with credentials for the other registry."""

    def __init__(self, admin: KubeClient, far: Upstream, name: str) -> None:
        self.admin = admin
        self.far = far
        self.name = name
        admin.make(f"{PROJECTS}/projectrequests", project(name))
        config = base64.b64encode(far.dockerconfigjson.encode()).decode()
        secret = {
            "metadata": {"name": "far"},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": config},
        }
        admin.make(f"/api/v1/namespaces/{name}/secrets", secret)

    def push(self, mark: str, tag: str = "v1") -> str:
        """Push an image over there; its digest."""
        image = small_image(f"{self.name} {mark}")
        with self.far.client() as client:
            client.push(f"{self.name}-far/app", image, tag)
        return image.digest

    def follow(self, stream: str, *tags: str, scheduled: bool = True) -> None:
        """Make a stream whose tags come from there."""
        spec = [
            {
                "name": tag,
                "from": {
                    "kind": "DockerImage",
                    "name": f"{self.far.address}/{self.name}-far/app:{tag}",
                },
                "importPolicy": {"scheduled": scheduled, "insecure": True},
            }
            for tag in tags
        ]
        body = {"metadata": {"name": stream}, "spec": {"tags": spec}}
        self.admin.make(f"{IMAGES}/namespaces/{self.name}/imagestreams", body)

    def stream(self, name: str) -> Json:
        return self.admin.read(f"{IMAGES}/namespaces/{self.name}/imagestreams/{name}")

    def status(self, stream: str, tag: str) -> Json:
        for each in self.stream(stream)["status"].get("tags", []):
            if each["tag"] == tag:
                found: Json = each
                return found
        return {}

    def image(self, stream: str, tag: str) -> str:
        items = self.status(stream, tag).get("items") or [{}]
        return str(items[0].get("image", ""))

    def becomes(self, stream: str, tag: str, digest: str, *, seconds: float = 30.0) -> None:
        wait_until(
            lambda: self.image(stream, tag) == digest,
            seconds=seconds,
            what=f"{stream}:{tag} is {digest}",
        )

    def job(self, stream: str, tag: str) -> Json:
        path = f"{WORK}/namespaces/{self.name}/backgroundjobs/scheduled-import:{stream}:{tag}"
        answer = self.admin.get(path)
        found: Json = answer.json() if answer.status_code == 200 else {}
        return found

    def looked_at(self, stream: str, tag: str) -> str:
        """When the tag was last looked at."""
        status: Json = self.job(stream, tag).get("status", {})
        return str(status.get("finished", ""))

    def look(self, stream: str, tag: str) -> None:
        """Wait for another look."""
        before = self.looked_at(stream, tag)
        wait_until(lambda: self.looked_at(stream, tag) != before, what="another look")


def of_registry(far: Upstream, server: Server, counter: str) -> Callable[[], list[str]]:
    """Reads the lines of a counter that are about the other registry."""

    def read() -> list[str]:
        with client_of(server) as client:
            text = client.http.get(METRICS).text
        return [
            each
            for each in text.splitlines()
            if each.startswith(f"openshift_imagestreamcontroller_{counter}_count{{")
            and f'registry="{far.address}"' in each
        ]

    return read


def test_a_tag_is_imported_when_it_is_made_and_again_when_it_is_changed(
    admin: KubeClient, far: Upstream, registry: RegistryClient
) -> None:
    shop = Shop(admin, far, "once")
    first, second = shop.push("first"), shop.push("second", "v2")
    shop.follow("app", "v1", scheduled=False)
    shop.becomes("app", "v1", first)
    assert registry.manifest("once/app", "v1").headers["docker-content-digest"] == first
    path = f"{IMAGES}/namespaces/once/imagestreams/app"
    stream = shop.stream("app")
    source = stream["spec"]["tags"][0]["from"]
    source["name"] = source["name"].replace(":v1", ":v2")
    assert admin.put(path, stream).status_code == 200
    shop.becomes("app", "v1", second)
    # asked for again by writing a generation of 0
    third = shop.push("third", "v2")
    tag = {"name": "v1", "generation": 0}
    form = "application/strategic-merge-patch+json"
    assert admin.patch(path, {"spec": {"tags": [tag]}}, form).status_code == 200
    shop.becomes("app", "v1", third)
    assert len(shop.status("app", "v1")["items"]) == 3
    assert shop.job("app", "v1") == {}


def test_scheduled_tags_follow_and_write_nothing_while_they_are_the_same(
    admin: KubeClient, far: Upstream, server: Server
) -> None:
    """One that is there and one that is missing, side by side, as each look takes ten seconds."""
    shop = Shop(admin, far, "often")
    first = shop.push("first")
    shop.follow("app", "v1", "missing")
    shop.becomes("app", "v1", first)
    wait_until(lambda: shop.status("app", "missing").get("conditions"), what="a condition")
    table = admin.http.get(f"{IMAGES}/namespaces/often/imagestreams", headers={"Accept": TABLE})
    assert table.json()["rows"][0]["cells"][0] == "app", table.text
    second = shop.push("second")
    shop.becomes("app", "v1", second)
    shop.look("app", "missing")
    before = shop.stream("app")
    shop.look("app", "v1")
    shop.look("app", "missing")
    assert shop.stream("app") == before  # neither a look nor the same failure is written
    assert [each["image"] for each in shop.status("app", "v1")["items"]] == [second, first]
    status = shop.job("app", "v1")["status"]
    assert (status["state"], status.get("error", "")) == ("Scheduled", "")
    assert any('scheduled="true"' in each for each in of_registry(far, server, "success")())
    # the failure: a condition, the error of the job, one event, a counter
    (condition,) = shop.status("app", "missing")["conditions"]
    assert (condition["type"], condition["status"]) == ("ImportSuccess", "False")
    assert condition["reason"] == "NotFound"
    assert shop.job("app", "missing")["status"]["error"] == condition["message"]
    events = admin.read("/api/v1/namespaces/often/events")["items"]
    (event,) = [each for each in events if each["reason"] == "ImportFailed"]
    assert event["type"] == "Warning"
    assert event["involvedObject"]["name"] == "app"
    assert event["message"] == f"missing: {condition['message']}"
    assert any('reason="NotFound"' in each for each in of_registry(far, server, "error")())
    # whichever process did it: the other one goes on
    os.kill(server.worker_ids()[0], signal.SIGKILL)
    third, found = shop.push("third"), shop.push("at last", "missing")
    until = 30.0 + LIMITS.lease  # which it may have held until then
    shop.becomes("app", "v1", third, seconds=until)
    shop.becomes("app", "missing", found, seconds=until)
    assert not shop.status("app", "missing").get("conditions")
    wait_until(lambda: len(server.worker_ids()) == 2, what="another worker")


def test_jobs_are_seen_by_members_of_their_project_alone_and_end_with_the_tag(
    admin: KubeClient, far: Upstream, server: Server
) -> None:
    shop = Shop(admin, far, "seen")
    shop.push("first")
    shop.follow("app", "v1", "v2")
    wait_until(lambda: shop.job("app", "v1") and shop.job("app", "v2"), what="jobs")
    path = f"{WORK}/namespaces/seen/backgroundjobs"
    add_user(server, "vera")
    add_user(server, "otto")
    admin.make(f"{RBAC}/namespaces/seen/rolebindings", role_binding("vera", "view", "vera"))
    with KubeClient(server.url, log_in(server.url, "vera")) as vera:
        names = [each["metadata"]["name"] for each in vera.read(path)["items"]]
        assert names[-2:] == ["scheduled-import:app:v1", "scheduled-import:app:v2"]
        assert vera.get(f"{WORK}/backgroundjobs").status_code == 403
        assert vera.get(f"{WORK}/clusterbackgroundjobs").status_code == 403
        assert vera.delete(f"{path}/scheduled-import:app:v1").status_code in (403, 405)
    with KubeClient(server.url, log_in(server.url, "otto")) as otto:
        assert otto.get(path).status_code == 403
    chosen = admin.read(path, fieldSelector="spec.kind=scheduled-import", limit="1")
    assert [each["metadata"]["name"] for each in chosen["items"]] == ["scheduled-import:app:v1"]
    assert chosen["metadata"]["continue"]
    everywhere = admin.read(f"{WORK}/clusterbackgroundjobs")["items"]
    assert "import-look:streams" in [each["metadata"]["name"] for each in everywhere]
    stream = f"{IMAGES}/namespaces/seen/imagestreams/app"
    assert admin.delete(f"{IMAGES}/namespaces/seen/imagestreamtags/app:v2").status_code == 200
    wait_until(lambda: not shop.job("app", "v2"), what="the job of the tag to end")
    assert admin.delete(stream).status_code == 200
    wait_until(lambda: not shop.job("app", "v1"), what="the jobs of the stream to end")
