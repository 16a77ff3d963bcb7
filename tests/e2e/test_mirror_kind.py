"""Mirrors in a running server: images come in and go out by themselves, by the project's rules."""

import base64
import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fault_proxy import FaultProxy
from tests.faults import Hang, asks
from tests.images import Pushable, artifact, image, index, layer, small_image
from tests.kube_client import CORE, PROJECTS, KubeClient, log_in
from tests.registry_client import RegistryClient, client_of
from tests.server import Server, serving, wait_until
from tests.upstream import Upstream, docker_registry, dockerconfigjson

MIRRORS = "/apis/tidegate.io/v1/namespaces/{}/mirrors"
JOBS = "/apis/tidegate.io/v1/namespaces/{}/backgroundjobs"
BOTH = index(small_image("amd", "amd64"), small_image("arm", "arm64"))
LOGIN = ("mirror", "a password of the other registry")


@dataclass
class World:
    """A server, another registry that wants a login, and clients of both."""

    server: Server
    upstream: Upstream
    kube: KubeClient
    ours: RegistryClient
    theirs: RegistryClient

    def project(self, name: str, *, login: bool = True) -> str:
        self.kube.make(f"{PROJECTS}/projectrequests", {"metadata": {"name": name}})
        if login:
            self.secret(name, "upstream", self.upstream.address, *LOGIN)
        return name

    def secret(self, project: str, name: str, host: str, *login: str) -> None:
        value = base64.b64encode(dockerconfigjson(host, *login).encode()).decode()
        body = {
            "metadata": {"name": name},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": value},
        }
        self.kube.make(f"{CORE}/namespaces/{project}/secrets", body)

    def repository(self, name: str) -> dict[str, Any]:
        return {"repository": f"{self.upstream.address}/{name}", "insecure": True}

    def mirror(self, project: str, **spec: Any) -> str:
        """Make a Mirror; the path of it."""
        body = {
            "apiVersion": "tidegate.io/v1",
            "kind": "Mirror",
            "metadata": {"name": "m"},
            "spec": spec,
        }
        self.kube.make(MIRRORS.format(project), body)
        return MIRRORS.format(project) + "/m"

    def status(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.kube.read(path).get("status", {})
        return found

    def condition(self, path: str) -> dict[str, Any]:
        conditions = self.status(path).get("conditions", [])
        return dict(conditions[0]) if conditions else {}

    def wait(self, path: str, reason: str) -> dict[str, Any]:
        """The status, once the Mirror is in this state."""
        wait_until(
            lambda: self.condition(path).get("reason") == reason,
            what=f"{reason}, not {self.status(path)}",
        )
        return self.status(path)

    def run(self, path: str, mark: str, done: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Ask for a run, and give the status once it shows what it should."""
        self.kube.patch(path, {"metadata": {"annotations": {"tidegate.io/run": mark}}})
        found: dict[str, Any] = {}

        def look() -> object:
            found.clear()
            found.update(self.status(path))
            return done(found)

        wait_until(look, what=f"a run, not {self.status(path)}")
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    server = Server(
        tmp_path_factory.mktemp("server") / "data", settings={"allow_private_upstreams": "true"}
    )
    directory = tmp_path_factory.mktemp("upstream")
    with (
        docker_registry(directory, credentials=LOGIN) as upstream,
        serving(server),
        KubeClient(server.url, log_in(server.url)) as kube,
        client_of(server) as ours,
        upstream.client() as theirs,
    ):
        yield World(server, upstream, kube, ours, theirs)
    assert "Traceback" not in server.log, server.log


def test_a_repository_is_pulled_into_a_stream_with_all_that_belongs_to_its_images(
    world: World,
) -> None:
    project = world.project("pulls")
    sbom = artifact("application/vnd.cosign", b"cosign")
    world.theirs.push("org/app", BOTH, "v1.0.0")
    world.theirs.push("org/app", small_image("old"), "v0.9.0")
    world.theirs.push("org/app", small_image("other"), "nightly")
    world.theirs.push("org/app", sbom, BOTH.digest.replace(":", "-") + ".sig")
    path = world.mirror(
        project,
        source=world.repository("org/app"),
        target={"stream": "app"},
        versions=">=1",
        every="6h",
    )
    status = world.wait(path, "Copied")
    assert status["lastRun"]["copied"] == 1
    assert status["lastRun"]["receipt"].startswith("sha256:")
    assert status["observedGeneration"] == 1
    assert status["nextRun"] > status["lastSuccess"]
    assert "progress" not in status
    world.ours.pull("pulls/app", BOTH, "v1.0.0")
    world.ours.pull("pulls/app", sbom, BOTH.digest.replace(":", "-") + ".sig")
    assert "nightly" not in world.ours.tags("pulls/app")
    history = world.kube.read(
        f"/apis/image.openshift.io/v1/namespaces/{project}/imagestreamtags/app:v1.0.0/history"
    )
    (event,) = history["items"]
    assert event["how"] == "import"
    assert event["who"] == "system:mirror:pulls:m"
    assert event["from"] == f"{world.upstream.address}/org/app:v1.0.0"


def test_what_changes_at_the_source_follows_and_what_is_gone_goes_if_asked_for(
    world: World,
) -> None:
    project = world.project("follows")
    for tag in ("a", "b"):
        world.theirs.push("org/moves", small_image(tag), tag)
    path = world.mirror(
        project,
        source=world.repository("org/moves"),
        target={"stream": "app"},
        every="6h",
        deleteExtra=True,
    )
    world.wait(path, "Copied")
    world.ours.push("follows/app", small_image("mine"), "mine")
    world.theirs.push("org/moves", small_image("newer"), "a")
    status = world.run(path, "now", lambda s: s["lastRun"].get("deleted"))
    assert status["lastRun"]["copied"] == 1
    assert status["lastRun"]["unchanged"] == 1
    assert world.ours.tags("follows/app") == ["a", "b"]
    world.ours.pull("follows/app", small_image("newer"), "a")


def test_a_stream_is_pushed_to_another_registry(world: World) -> None:
    project = world.project("pushes")
    world.ours.push("pushes/web", BOTH, "1")
    sbom = artifact("application/spdx+json", b"sbom", BOTH)
    world.ours.push("pushes/web", sbom)
    path = world.mirror(
        project, source={"stream": "web"}, target=world.repository("out/web"), every="1h"
    )
    world.wait(path, "Copied")
    world.theirs.pull("out/web", BOTH, "1")
    listed = world.theirs.manifest("out/web", BOTH.digest.replace(":", "-")).json()
    assert [each["digest"] for each in listed["manifests"]] == [sbom.digest]


def test_an_imported_image_whose_blobs_are_elsewhere_is_pushed_whole(world: World) -> None:
    project = world.project("imported")
    world.theirs.push("org/imported", BOTH, "1")
    wanted = {
        "from": {"kind": "DockerImage", "name": f"{world.upstream.address}/org/imported:1"},
        "to": {"name": "1"},
        "importPolicy": {"insecure": True, "importMode": "PreserveOriginal"},
    }
    body = {
        "apiVersion": "image.openshift.io/v1",
        "kind": "ImageStreamImport",
        "metadata": {"name": "web"},
        "spec": {"import": True, "images": [wanted]},
    }
    answer = world.kube.make(
        f"/apis/image.openshift.io/v1/namespaces/{project}/imagestreamimports", body
    )
    assert answer["status"]["images"][0]["status"].get("status") != "Failure", answer["status"]
    path = world.mirror(project, source={"stream": "web"}, target=world.repository("out/imported"))
    world.wait(path, "Copied")
    world.theirs.pull("out/imported", BOTH, "1")


def test_two_other_registries_are_kept_alike(world: World) -> None:
    project = world.project("relays")
    world.theirs.push("org/relayed", BOTH, "1")
    path = world.mirror(
        project, source=world.repository("org/relayed"), target=world.repository("copy/relayed")
    )
    status = world.wait(path, "Copied")
    assert "nextRun" not in status
    world.theirs.pull("copy/relayed", BOTH, "1")


@pytest.mark.parametrize(
    ("name", "login", "spec", "why"),
    [
        ("nologin", False, {}, "authentication|unauthorized|credentials|login"),
        ("nosecret", False, {"secret": "none"}, "there is no Secret none"),
    ],
)
def test_a_login_that_is_not_there_is_said_in_the_status(
    world: World, name: str, login: bool, spec: dict[str, Any], why: str
) -> None:
    project = world.project(name, login=login)
    path = world.mirror(
        project, source={**world.repository("org/app"), **spec}, target={"stream": "app"}
    )
    world.wait(path, "Failed")
    message = world.condition(path)["message"]
    assert any(word in message for word in why.split("|")), message


def test_the_rules_of_the_project_hold_and_one_image_fails_alone(world: World) -> None:
    project = world.project("rules")
    for tag in ("good", "bad"):
        world.theirs.push("org/rules", small_image(tag), tag)
    policy = {
        "apiVersion": "tidegate.io/v1",
        "kind": "TagPolicy",
        "metadata": {"name": "p"},
        "spec": {"naming": {"tags": {"channels": ["good"]}}},
    }
    world.kube.make(f"/apis/tidegate.io/v1/namespaces/{project}/tagpolicies", policy)
    path = world.mirror(
        project, source=world.repository("org/rules"), target={"stream": "app"}, every="1h"
    )
    run = world.wait(path, "Failed")["lastRun"]
    assert (run["copied"], run["failed"]) == (1, 1)
    (failure,) = run["failures"]
    assert failure["tag"] == "bad"
    assert "tag bad is not allowed" in failure["message"]
    world.ours.pull("rules/app", small_image("good"), "good")
    (job,) = world.kube.read(JOBS.format(project))["items"]
    assert "bad" in str(job["status"])


def test_a_repository_of_this_very_registry_is_refused_as_rights_count_for_streams(
    world: World,
) -> None:
    project = world.project("selfish")
    world.ours.push("pushes/secret", small_image("x"), "1")
    path = world.mirror(
        project,
        source={"repository": f"{world.server.address}/pushes/secret", "insecure": True},
        target={"stream": "app"},
    )
    world.wait(path, "Failed")
    assert "is in this registry" in world.condition(path)["message"]


def test_suspended_it_copies_nothing_and_goes_on_afterwards(world: World) -> None:
    project = world.project("suspends")
    world.theirs.push("org/suspended", small_image("x"), "1")
    path = world.mirror(
        project,
        source=world.repository("org/suspended"),
        target={"stream": "app"},
        suspend=True,
    )
    world.wait(path, "Suspended")
    assert world.ours.manifest("suspends/app", "1").status_code == 404
    world.kube.patch(path, {"spec": {"suspend": False}})
    world.wait(path, "Copied")
    world.ours.pull("suspends/app", small_image("x"), "1")


def test_a_killed_server_goes_on_with_the_blob_that_it_was_at(tmp_path: Path) -> None:
    large = image(layer({"large": os.urandom(40 << 20)}))
    digest = large.blobs[1].digest
    server = Server(tmp_path / "data", settings={"allow_private_upstreams": "true"}, workers=1)
    with (
        docker_registry(tmp_path / "upstream") as upstream,
        upstream.client() as theirs,
        FaultProxy(upstream.url) as proxy,
    ):
        theirs.push("org/large", large, "1")
        rule = proxy.when(
            lambda ask: asks("blob", "GET")(ask) and ask.reference == digest, Hang(after=36 << 20)
        )
        with serving(server), KubeClient(server.url, log_in(server.url)) as kube:
            kube.make(f"{PROJECTS}/projectrequests", {"metadata": {"name": "kill"}})
            body = {
                "apiVersion": "tidegate.io/v1",
                "kind": "Mirror",
                "metadata": {"name": "m"},
                "spec": {
                    "source": {"repository": f"{proxy.address}/org/large", "insecure": True},
                    "target": {"stream": "app"},
                },
            }
            path = MIRRORS.format("kill")
            kube.make(path, body)
            wait_until(
                lambda: any(size > 34 << 20 for size in sizes(server)),
                what="most of the blob",
            )
            shown = kube.read(JOBS.format("kill"))["items"][0]["status"]
            server.kill()
            proxy.drop(rule)
            proxy.release()
            proxy.forget()
            server.start()
            wait_until(
                lambda: kube.read(path + "/m")["status"].get("lastSuccess"),
                seconds=90,
                what=f"the end of the run {shown}",
            )
            assert proxy.sent("blob") < 20 << 20, "what was there was sent again"
            with client_of(server) as ours:
                _check(ours, large)
    assert "Traceback" not in server.log, server.log


def sizes(server: Server) -> Iterator[int]:
    """Of what is being uploaded; what was whole while we looked is left out."""
    for each in server.files("uploads"):
        with contextlib.suppress(FileNotFoundError):
            yield each.stat().st_size


def _check(ours: RegistryClient, large: Pushable) -> None:
    ours.pull("kill/app", large, "1")


def test_metrics_and_events_tell_of_a_mirror_that_fails_and_is_well_again(world: World) -> None:
    project = world.project("told")
    world.theirs.push("org/told", small_image("x"), "1")
    login = {**world.repository("org/told"), "secret": "later"}
    path = world.mirror(project, source=login, target={"stream": "app"}, every="1h")
    world.wait(path, "Failed")
    world.secret(project, "later", world.upstream.address, *LOGIN)
    world.run(path, "again", lambda status: status.get("lastSuccess"))

    def reasons() -> set[str]:
        events = world.kube.read(f"{CORE}/namespaces/{project}/events")["items"]
        return {each["reason"] for each in events if each["involvedObject"]["kind"] == "Mirror"}

    wait_until(lambda: reasons() == {"MirrorFailed", "MirrorRecovered"}, what="both events")
    told = world.ours.http.get("/extensions/v2/metrics").text
    assert 'tidegate_mirrors_late{project="told"} 0' in told
    assert 'tidegate_mirror_run_images{project="told",result="copied"} 1' in told
