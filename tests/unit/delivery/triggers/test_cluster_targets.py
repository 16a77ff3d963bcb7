"""What is asked of a cluster for a workload; a real API server has its own tests."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from tests.unit.delivery.triggers.things import deployment, follows, image, source, workload
from tidegate.delivery.triggers.cluster_targets import ClusterTargets
from tidegate.delivery.triggers.planning import Edit
from tidegate.delivery.triggers.reading import BUILD_CONFIGS, SHAPES, workload_of
from tidegate.delivery.triggers.targets import (
    Note,
    Overtaken,
    TargetRefused,
    TargetUnavailable,
)
from tidegate.delivery.triggers.workload import BuildTrigger, Workload, WorkloadKey
from tidegate.remote.cluster.access import ClusterAccess
from tidegate.remote.cluster.client import ClusterClient

IMAGE = "/spec/template/spec/containers/0/image"
EDIT = Edit(IMAGE, image("a"), True)
PATH = "/apis/apps/v1/namespaces/shop/deployments/web"
SHAPE = SHAPES["deployments.apps"]


class Cluster:
    """Answers in turn, the last one for ever."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, request.url.path, body))
        code, answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return httpx.Response(code, json=answer)


def use(cluster: Cluster, work: Callable[[ClusterTargets], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        transport = httpx.MockTransport(cluster)
        client = ClusterClient(ClusterAccess("https://cluster"), transport)
        try:
            return await work(ClusterTargets(client, lambda: 1_790_000_000.0))
        finally:
            await client.close()

    return asyncio.run(run())


def read(values: dict[str, Any]) -> Workload:
    found = workload_of(SHAPE, json.dumps(values).encode())
    assert found is not None
    return found


WEB = read(deployment())
STATUS = {"kind": "Status", "message": "why"}


def test_a_patch_names_the_version_that_it_is_for() -> None:
    cluster = Cluster((200, deployment(images=(image("a"),))))
    written = use(cluster, lambda each: each.write(WEB, [EDIT]))
    ((method, path, operations),) = cluster.asked
    assert (method, path) == ("PATCH", PATH)
    assert operations == [
        {"op": "add", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": IMAGE, "value": image("a")},
    ]
    assert written.triggers[0].places[0].image == image("a")


def test_a_newer_version_with_the_same_images_is_patched_after_all() -> None:
    newer = deployment(resourceVersion="9", labels={})
    cluster = Cluster((409, STATUS), (200, newer), (200, deployment(images=(image("a"),))))
    use(cluster, lambda each: each.write(WEB, [EDIT]))
    assert [method for method, _, _ in cluster.asked] == ["PATCH", "GET", "PATCH"]
    assert cluster.asked[2][2][0]["value"] == "9"


@pytest.mark.parametrize(
    "newer",
    [
        deployment(resourceVersion="9", images=("by/hand:1",)),
        deployment(resourceVersion="9", labels={"new": "yes"}),
        deployment(resourceVersion="9", annotations={}),
        deployment(resourceVersion="9", deletionTimestamp="2026-11-25T00:00:00Z"),
        deployment(resourceVersion="9", uid="another"),
    ],
)
def test_a_workload_that_is_another_now_is_left_alone(newer: dict[str, Any]) -> None:
    cluster = Cluster((409, STATUS), (200, newer))
    with pytest.raises(Overtaken):
        use(cluster, lambda each: each.write(WEB, [EDIT]))
    assert len(cluster.asked) == 2


def test_who_is_overtaken_again_and_again_comes_back_later() -> None:
    class Busy(Cluster):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            self.asked.append((request.method, request.url.path, None))
            if request.method == "GET":
                return httpx.Response(200, json=deployment(resourceVersion="9"))
            return httpx.Response(409, json=STATUS)

    cluster = Busy((0, None))
    with pytest.raises(Overtaken):
        use(cluster, lambda each: each.write(WEB, [EDIT]))
    assert len(cluster.asked) == 10


@pytest.mark.parametrize(
    ("code", "kind"),
    [(404, Overtaken), (403, TargetRefused), (422, TargetRefused), (503, TargetUnavailable)],
)
def test_what_the_cluster_says_no_to(code: int, kind: type[Exception]) -> None:
    for work in (
        lambda each: each.write(WEB, [EDIT]),
        lambda each: each.build(BUILDS, BUILDS.builds),
    ):
        with pytest.raises(kind):
            use(Cluster((code, STATUS)), work)


REFERENCE = {"kind": "ImageStreamTag", "name": "base:1"}
OTHER = {"kind": "ImageStreamTag", "name": "tools:2", "namespace": "lab"}
BUILDS = Workload(
    key=WorkloadKey(BUILD_CONFIGS.resource, "shop", "web"),
    api_version="build.openshift.io/v1",
    kind="BuildConfig",
    uid="uid-web",
    version="7",
    builds=(
        BuildTrigger(source("shop/base:1"), REFERENCE, image("a", "shop/base")),
        BuildTrigger(source("lab/tools:2"), OTHER, image("b", "lab/tools")),
    ),
)


def test_a_build_is_asked_for_with_every_image_that_is_new() -> None:
    cluster = Cluster((201, {}))
    use(cluster, lambda each: each.build(BUILDS, BUILDS.builds))
    ((method, path, body),) = cluster.asked
    assert (method, path) == (
        "POST",
        "/apis/build.openshift.io/v1/namespaces/shop/buildconfigs/web/instantiate",
    )
    assert body == {
        "apiVersion": "build.openshift.io/v1",
        "kind": "BuildRequest",
        "metadata": {"name": "web", "namespace": "shop"},
        "triggeredByImage": {"kind": "DockerImage", "name": image("a", "shop/base")},
        "from": REFERENCE,
        "triggeredBy": [
            {
                "message": "Image change",
                "imageChangeBuild": {"imageID": image("a", "shop/base"), "fromRef": REFERENCE},
            },
            {
                "message": "Image change",
                "imageChangeBuild": {"imageID": image("b", "lab/tools"), "fromRef": OTHER},
            },
        ],
    }


def test_a_build_that_is_refused_is_an_event_in_openshifts_words() -> None:
    cluster = Cluster((422, STATUS), (201, {}))
    with pytest.raises(TargetRefused):
        use(cluster, lambda each: each.build(BUILDS, BUILDS.builds))
    _, path, event = cluster.asked[1]
    assert path == "/api/v1/namespaces/shop/events"
    assert (event["reason"], event["type"]) == ("BuildConfigTriggerFailed", "Warning")
    assert event["message"].startswith("error triggering Build for BuildConfig shop/web: ")


def test_an_event_that_cannot_be_recorded_stops_nothing() -> None:
    cluster = Cluster((403, STATUS))
    use(cluster, lambda each: each.note(workload(follows("x")), Note("Reason", "words" * 1000)))
    ((_, path, event),) = cluster.asked
    assert path == "/api/v1/namespaces/shop/events"
    assert len(event["message"]) == 1024
    assert event["involvedObject"]["uid"] == "uid-web"
