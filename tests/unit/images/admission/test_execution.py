"""`images.openshift.io/deny-execution`: pods and builds of such an image are refused."""

import pytest

from tests.unit.images.admission.cluster import (
    APP,
    BAD,
    HOST,
    Cluster,
    Streams,
    build,
    container,
    deployment,
    pod,
)

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "1", "controller": True}  # noqa: E501  # fmt: skip
IGNORED = {"alpha.image.policy.openshift.io/ignore-rules": "other,execution-denied"}


@pytest.mark.parametrize(
    "image",
    ["bad", f"{HOST}/shop/bad", f"{HOST}/other/bad:latest", f"quay.io/x/y@{BAD}", f"x:1@{BAD}"],
)
def test_a_pod_of_a_prohibited_image_is_refused_in_the_words_of_the_original(image: str) -> None:
    asked = pod(container("web", "app"), container("side", image))
    response = Cluster().ask(asked)
    assert not response["allowed"]
    assert "patch" not in response
    assert response["status"] == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'Pod "web" is invalid: spec.containers[1].image: Forbidden: '
        "this image is prohibited by policy",
        "reason": "Invalid",
        "details": {
            "name": "web",
            "kind": "Pod",
            "causes": [
                {
                    "reason": "FieldValueForbidden",
                    "message": "Forbidden: this image is prohibited by policy",
                    "field": "spec.containers[1].image",
                }
            ],
        },
        "code": 422,
    }


def test_an_init_container_is_held_to_the_same_rule() -> None:
    response = Cluster().ask(pod(container("web", "app"), init=(container("first", "bad"),)))
    assert "spec.initContainers[0].image" in response["status"]["message"]


def test_every_prohibited_image_of_an_object_is_named() -> None:
    response = Cluster().ask(pod(container("web", "bad"), container("side", "bad")))
    assert [each["field"] for each in response["status"]["details"]["causes"]] == [
        "spec.containers[0].image", "spec.containers[1].image"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "DockerImage", "name": "bad"},
        {"kind": "ImageStreamTag", "name": "bad:latest"},
        {"kind": "ImageStreamTag", "name": "bad:latest", "namespace": "other"},
        {"kind": "ImageStreamImage", "name": f"bad@{BAD}"},
    ],
)
def test_a_build_from_a_prohibited_image_is_refused(source: dict[str, str]) -> None:
    response = Cluster().ask(build(source))
    assert response["status"]["message"] == (
        'Build.build.openshift.io "web-1" is invalid: spec.strategy.dockerStrategy.from.name: '
        "Forbidden: this image is prohibited by policy"
    )


def test_a_build_that_only_makes_such_an_image_goes_on() -> None:
    assert Cluster().ask(build({"kind": "DockerImage", "name": "app"}))["allowed"]


def test_an_object_that_only_describes_pods_is_rewritten_and_not_refused() -> None:
    admitted = Cluster().admit(deployment(container("web", "bad")))
    image = admitted["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"{HOST}/shop/bad@{BAD}"


def test_an_owner_written_into_a_pod_is_no_way_around_the_rule() -> None:
    asked = pod(container("web", f"{HOST}/shop/bad@{BAD}"), ownerReferences=[OWNER])
    assert not Cluster().ask(asked)["allowed"]


def test_a_name_that_is_not_resolved_in_an_owned_pod_says_nothing_about_the_stream() -> None:
    assert Cluster().ask(pod(container("web", "bad"), ownerReferences=[OWNER]))["allowed"]


def test_a_project_may_opt_out() -> None:
    cluster = Cluster(annotations=IGNORED)
    admitted = cluster.admit(pod(container("web", "bad")))
    assert admitted["spec"]["containers"][0]["image"] == f"{HOST}/shop/bad@{BAD}"


def test_another_rule_opted_out_of_changes_nothing() -> None:
    cluster = Cluster(annotations={"alpha.image.policy.openshift.io/ignore-rules": "execution"})
    assert not cluster.ask(pod(container("web", "bad")))["allowed"]


def test_an_update_of_a_running_pod_is_refused_only_for_what_it_changes() -> None:
    old = pod(container("web", f"x/y@{BAD}"))
    assert Cluster().ask({**old, "metadata": {**old["metadata"], "labels": {}}}, old)["allowed"]
    assert not Cluster().ask(pod(container("web", f"z/y@{BAD}")), old)["allowed"]


def test_an_object_with_very_many_different_images_is_refused_before_any_look_up() -> None:
    streams = Streams({})
    asked = pod(*(container(f"c{n}", f"image{n}") for n in range(501)))
    response = Cluster(streams).ask(asked)
    assert response["status"]["message"] == (
        'Pod "web" is invalid: spec: Forbidden: more than 500 different images'
    )
    assert streams.asked == []
    same = pod(*(container(f"c{n}", f"x/y@{APP}") for n in range(600)))
    assert Cluster(streams).ask(same)["allowed"]
    assert streams.asked == [APP]
