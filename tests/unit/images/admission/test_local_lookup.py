"""Local lookup, as section "Image lookup at admission" of OpenShift's ImagePolicy plugin has it."""

from typing import Any

import pytest

from tests.unit.images.admission.cluster import (
    APP,
    HOST,
    Cluster,
    build,
    container,
    cron_job,
    deployment,
    pod,
    pod_spec,
    workload,
)

RESOLVED = f"{HOST}/shop/app@{APP}"
RESOLVE_ALL = {"alpha.image.policy.openshift.io/resolve-names": "*"}
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "1", "controller": True}  # noqa: E501  # fmt: skip


def admitted_image(image: str, **meta: Any) -> str:
    admitted = Cluster().admit(pod(container("web", image), **meta))
    found: str = admitted["spec"]["containers"][0]["image"]
    return found


def test_a_name_alone_becomes_the_digest_that_its_stream_has_now() -> None:
    assert admitted_image("app") == RESOLVED
    assert admitted_image("app:latest") == RESOLVED


def test_the_reference_policy_decides_where_the_image_is_pulled_from() -> None:
    assert admitted_image("mirrored") == f"quay.io/team/mirrored@{APP}"


def test_a_missing_tag_becomes_the_streams_repository_with_that_tag() -> None:
    response = Cluster().ask(pod(container("web", "app:9")))
    assert response["warnings"] == [
        'image stream shop/app has no image for tag "9" yet: pulls fail until it has'
    ]
    assert admitted_image("app:9") == f"{HOST}/shop/app:9"


@pytest.mark.parametrize(
    "image",
    [
        "shop/app",
        "docker.io/app",
        "docker.io/library/app:latest",
        "localhost/app",
        "example.com",
        "nothing",  # no such stream
        "closed",  # a stream without local lookup
        "closed:9",
        "hostless:9",  # a stream whose repository has no known host
        f"app@{APP}",
        f"{HOST}/shop/app:latest",  # resolved for policy only
        f"{HOST}/app",
        " ",
        "App",
        "app:",
        "app:-",
        "app@sha256:12",
        "a" * 5000,
    ],
)
def test_every_other_name_is_untouched(image: str) -> None:
    assert "patch" not in Cluster().ask(pod(container("web", image)))


@pytest.mark.parametrize("image", ["app", "shop/app", "quay.io/other/app", f"{HOST}/other/app"])
def test_an_object_that_asks_for_it_has_every_name_resolved_in_its_own_namespace(
    image: str,
) -> None:
    assert admitted_image(image, annotations=RESOLVE_ALL) == RESOLVED


def test_an_object_that_asks_for_it_may_name_streams_without_local_lookup() -> None:
    assert admitted_image("closed", annotations=RESOLVE_ALL).startswith(f"{HOST}/shop/closed@")
    assert admitted_image("closed:9", annotations=RESOLVE_ALL) == f"{HOST}/shop/closed:9"
    digest = f"quay.io/app@{APP}"
    assert admitted_image(digest, annotations=RESOLVE_ALL) == digest


def test_the_annotation_may_stand_on_the_template_and_has_one_value() -> None:
    asked = deployment(container("web", "x/app"), template_annotations=RESOLVE_ALL)
    image = Cluster().admit(asked)["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == RESOLVED
    other = {"alpha.image.policy.openshift.io/resolve-names": "true"}
    assert admitted_image("x/app", annotations=other) == "x/app"


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("ReplicationController", "v1"),
        ("Deployment", "apps/v1"),
        ("DaemonSet", "apps/v1"),
        ("StatefulSet", "apps/v1"),
        ("ReplicaSet", "apps/v1"),
        ("Job", "batch/v1"),
        ("DeploymentConfig", "apps.openshift.io/v1"),
    ],
)
def test_every_workload_is_rewritten_in_its_template(kind: str, version: str) -> None:
    spec = pod_spec(
        container("web", "app"),
        container("side", "quay.io/team/side:1"),
        container("again", "app"),
        init=(container("first", "app:9"),),
    )
    cluster = Cluster()
    admitted = cluster.admit(workload(kind, version, spec))["spec"]["template"]["spec"]
    assert [each["image"] for each in admitted["containers"]] == [
        RESOLVED, "quay.io/team/side:1", RESOLVED
    ]  # fmt: skip
    assert admitted["initContainers"][0]["image"] == f"{HOST}/shop/app:9"
    assert sorted(cluster.streams.asked) == [("shop", "app", "9"), ("shop", "app", "latest")]


def test_a_cron_job_is_rewritten_in_the_template_of_its_jobs() -> None:
    admitted = Cluster().admit(cron_job(container("job", "app")))
    spec = admitted["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"] == RESOLVED


def test_a_build_is_rewritten_where_it_starts_from_images() -> None:
    asked = build({"kind": "DockerImage", "name": "app"}, {"kind": "DockerImage", "name": "app:9"})
    spec = Cluster().admit(asked)["spec"]
    assert spec["strategy"]["dockerStrategy"]["from"] == {"kind": "DockerImage", "name": RESOLVED}
    assert spec["source"]["images"][0]["from"]["name"] == f"{HOST}/shop/app:9"
    assert spec["output"] == asked["spec"]["output"]


def test_a_build_resolves_its_stream_tags_itself() -> None:
    asked = build(
        {"kind": "ImageStreamTag", "name": "app:latest"},
        {"kind": "ImageStreamImage", "name": f"app@{APP}"},
        {"kind": "ImageStreamImage", "name": "app"},
        {"kind": "ImageStreamTag", "name": "app"},
    )
    assert "patch" not in Cluster().ask(asked)


def test_the_other_strategies_of_a_build_are_rewritten_too() -> None:
    asked = build({"kind": "DockerImage", "name": "app"})
    for strategy in ("sourceStrategy", "customStrategy"):
        asked["spec"]["strategy"] = {strategy: {"from": {"kind": "DockerImage", "name": "app"}}}
        rewritten = Cluster().admit(asked)["spec"]["strategy"][strategy]["from"]["name"]
        assert rewritten == RESOLVED


def test_objects_without_images_are_let_be() -> None:
    for asked in (
        workload("ReplicationController", "v1", pod_spec()),
        {"kind": "Build", "metadata": {"name": "b"}},
        {"kind": "Build", "metadata": {"name": "b"}, "spec": {"strategy": {"dockerStrategy": {}}}},
        {"kind": "Build", "metadata": {"name": "b"}, "spec": {"source": {"images": [{}]}}},
        {"kind": "ReplicationController", "metadata": {"name": "r"}, "spec": {"template": None}},
        {"kind": "Pod", "metadata": {"name": "p"}},
    ):
        assert Cluster().admit(asked) == asked


@pytest.mark.parametrize("kind", ["Pod", "ReplicaSet", "Job"])
def test_what_a_controller_owns_is_untouched(kind: str) -> None:
    asked = pod(container("web", "app"), ownerReferences=[OWNER])
    if kind != "Pod":
        asked = workload(kind, "v1", pod_spec(container("web", "app")), ownerReferences=[OWNER])
    cluster = Cluster()
    assert "patch" not in cluster.ask(asked)
    assert cluster.streams.asked == []


def test_an_owner_that_is_no_controller_does_not_count() -> None:
    owner = {**OWNER, "controller": False}
    assert admitted_image("app", ownerReferences=[owner, {**OWNER, "controller": None}]) == RESOLVED


def test_an_update_resolves_only_the_containers_that_it_changed() -> None:
    old = deployment(container("web", "app"), container("side", f"{HOST}/shop/app:old"))
    new = deployment(
        container("side", "app"), container("web", "app"), container("more", "app:9")
    )  # reordered, too
    admitted = Cluster().admit(new, old)["spec"]["template"]["spec"]["containers"]
    assert [each["image"] for each in admitted] == [RESOLVED, "app", f"{HOST}/shop/app:9"]


def test_an_update_that_changes_no_image_asks_no_stream() -> None:
    old = deployment(container("web", "app"))
    new = {**old, "metadata": {**old["metadata"], "labels": {"tier": "front"}}}
    cluster = Cluster()
    assert "patch" not in cluster.ask(new, old)
    assert cluster.streams.asked == []


def test_an_update_that_sets_the_annotation_resolves_every_container() -> None:
    old = deployment(container("web", "x/app"))
    new = deployment(container("web", "x/app"), annotations=RESOLVE_ALL)
    admitted = Cluster().admit(new, old)["spec"]["template"]["spec"]["containers"]
    assert admitted[0]["image"] == RESOLVED


def test_an_update_may_change_the_image_of_a_pod() -> None:
    admitted = Cluster().admit(pod(container("web", "app")), pod(container("web", "x/app:1")))
    assert admitted["spec"]["containers"][0]["image"] == RESOLVED


def test_jobs_and_builds_are_never_rewritten_by_an_update() -> None:
    old = workload("Job", "batch/v1", pod_spec(container("web", "x/app")))
    new = workload("Job", "batch/v1", pod_spec(container("web", "app")))
    assert "patch" not in Cluster().ask(new, old)
    image = {"kind": "DockerImage", "name": "app"}
    assert "patch" not in Cluster().ask(build(image), build({**image, "name": "x/app"}))


def test_other_operations_subresources_and_resources_are_let_be() -> None:
    asked = pod(container("web", "app"))
    cluster = Cluster()
    gone = cluster.ask(None, asked, operation="DELETE", object=None)
    assert gone == {"uid": gone["uid"], "allowed": True}
    assert "patch" not in cluster.ask(asked, operation="CONNECT")
    assert "patch" not in cluster.ask(asked, asked, subResource="ephemeralcontainers")
    assert "patch" not in cluster.ask({**asked, "kind": "ConfigMap"})
    assert "patch" not in cluster.ask(asked, namespace="")
    assert cluster.streams.asked == []
