"""imagePullPolicy: defaults where there is none, and what a project insists on."""

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

ALWAYS = {"tidegate.io/image-pull-policy": "Always"}
BY_REFERENCE = {"tidegate.io/image-pull-policy": "ByReference"}
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "1", "controller": True}  # noqa: E501  # fmt: skip


def policies(pod_object: Any) -> list[Any]:
    return [each.get("imagePullPolicy") for each in pod_object["spec"]["containers"]]


def template(admitted: Any) -> Any:
    return admitted["spec"]["template"]


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("quay.io/team/x", "Always"),
        ("quay.io/team/x:latest", "Always"),
        ("quay.io/team/x:1.2", "IfNotPresent"),
        (f"quay.io/team/x@{APP}", "IfNotPresent"),
        (f"quay.io/team/x:latest@{APP}", "IfNotPresent"),
        ("Not An Image", "Always"),
    ],
)
def test_without_a_policy_it_follows_the_reference(image: str, policy: str) -> None:
    assert policies(Cluster().admit(pod(container("web", image, None)))) == [policy]
    assert policies(Cluster().admit(pod(container("web", image, "")))) == [policy]


def test_without_a_policy_it_follows_what_the_name_was_resolved_to() -> None:
    admitted = Cluster().admit(pod(container("web", "app", None), container("side", "app:9", None)))
    assert policies(admitted) == ["IfNotPresent", "IfNotPresent"]


def test_a_container_without_an_image_gets_no_policy() -> None:
    asked = workload("DeploymentConfig", "apps.openshift.io/v1", pod_spec(container("web", "", None)))  # noqa: E501  # fmt: skip
    assert Cluster().admit(asked) == asked


@pytest.mark.parametrize("policy", ["Always", "IfNotPresent", "Never"])
def test_a_policy_that_is_there_is_left(policy: str) -> None:
    for image in ("x/y", "x/y:1", "app"):
        assert policies(Cluster().admit(pod(container("web", image, policy)))) == [policy]


@pytest.mark.parametrize("policy", [None, "IfNotPresent", "Never"])
def test_a_project_may_insist_on_always(policy: str | None) -> None:
    cluster = Cluster(annotations=ALWAYS)
    asked = pod(container("web", "x/y:1", policy), init=(container("first", f"x@{APP}", policy),))
    admitted = cluster.admit(asked)
    assert policies(admitted) == ["Always"]
    assert admitted["spec"]["initContainers"][0]["imagePullPolicy"] == "Always"
    assert policies(template(cluster.admit(deployment(container("web", "x", policy))))) == [
        "Always"
    ]


def test_a_project_may_insist_on_what_the_reference_calls_for() -> None:
    asked = pod(
        container("a", "x/y", "Never"),
        container("b", "x/y:1", "Always"),
        container("c", "app", "Always"),
    )
    admitted = Cluster(annotations=BY_REFERENCE).admit(asked)
    assert policies(admitted) == ["Always", "IfNotPresent", "IfNotPresent"]
    assert admitted["spec"]["containers"][2]["image"] == f"{HOST}/shop/app@{APP}"


@pytest.mark.parametrize("value", ["IfNotPresent", "always", "Never"])
def test_another_value_is_ignored_and_told_of(value: str) -> None:
    cluster = Cluster(annotations={"tidegate.io/image-pull-policy": value})
    response = cluster.ask(pod(container("web", "x/y:1", "Never")))
    assert response["allowed"]
    assert "patch" not in response
    (warning,) = response["warnings"]
    assert warning == (
        "the project's annotation tidegate.io/image-pull-policy is ignored: "
        "write Always or ByReference"
    )


def test_pods_are_held_to_it_whoever_owns_them() -> None:
    cluster = Cluster(annotations=ALWAYS)
    owned = pod(container("web", "x/y:1"), ownerReferences=[OWNER])
    assert policies(cluster.admit(owned)) == ["Always"]


def test_a_template_that_a_controller_wrote_is_untouched() -> None:
    spec = pod_spec(container("web", "x/y:1", None))
    asked = workload("ReplicaSet", "apps/v1", spec, ownerReferences=[OWNER])
    assert Cluster(annotations=ALWAYS).admit(asked) == asked


def test_an_update_that_scales_a_deployment_does_not_roll_it_out() -> None:
    old = deployment(container("web", "x/y:1"))
    new = {**old, "spec": {**old["spec"], "replicas": 5}}
    assert Cluster(annotations=ALWAYS).admit(new, old) == new


def test_an_update_cannot_take_the_policy_back() -> None:
    cluster = Cluster(annotations=ALWAYS)
    old = deployment(container("web", "x/y:1", "Always"), container("side", "x/y:2", "Never"))
    new = deployment(container("web", "x/y:1", "Never"), container("side", "x/y:2", "Never"))
    assert policies(template(cluster.admit(new, old))) == ["Always", "Never"]


def test_what_the_cluster_lets_nobody_change_is_untouched() -> None:
    cluster = Cluster(annotations=ALWAYS)
    assert policies(cluster.admit(pod(container("web", "x/y:2")), pod(container("web", "x/y:1")))) == ["IfNotPresent"]  # noqa: E501  # fmt: skip
    old = workload("Job", "batch/v1", pod_spec(container("web", "x/y:1")))
    new = workload("Job", "batch/v1", pod_spec(container("web", "x/y:2")))
    assert cluster.admit(new, old) == new


def test_cron_jobs_are_held_to_it_and_builds_have_none() -> None:
    cluster = Cluster(annotations=ALWAYS)
    admitted = cluster.admit(cron_job(container("job", "x/y:1")))
    assert policies(template(admitted["spec"]["jobTemplate"])) == ["Always"]
    asked = build({"kind": "DockerImage", "name": "x/y:1"})
    assert cluster.admit(asked) == asked
