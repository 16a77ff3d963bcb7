import json
from typing import Any

import pytest

from tests.unit.delivery.triggers.things import deployment, entry, source
from tidegate.delivery.triggers.reading import (
    BUILD_CONFIGS,
    DEPLOYMENT_CONFIGS,
    SHAPES,
    WorkloadUnreadable,
    workload_of,
)
from tidegate.delivery.triggers.workload import Place, Workload

CONTAINERS = "/spec/template/spec/containers"


def read(values: dict[str, Any], resource: str = "deployments.apps") -> Workload | None:
    return workload_of(SHAPES[resource], json.dumps(values).encode())


def found(values: dict[str, Any], resource: str = "deployments.apps") -> Workload:
    workload = read(values, resource)
    assert workload is not None
    return workload


def by_index(index: int, initial: bool = False, **more: Any) -> dict[str, Any]:
    name = "initContainers" if initial else "containers"
    return entry() | {"fieldPath": f"spec.template.spec.{name}[{index}].image"} | more


def test_a_workload_is_read_with_the_places_that_follow_a_tag() -> None:
    values = deployment("web", entry(), entry("api:2", "web1"), images=("a", "b", "c"))
    values["metadata"]["labels"] = {"tier": "front"}
    values["spec"]["template"]["spec"]["serviceAccountName"] = "runner"
    workload = found(values)
    assert (str(workload.key), workload.kind, workload.api_version) == (
        "deployments.apps shop/web",
        "Deployment",
        "apps/v1",
    )
    assert (workload.uid, workload.version, workload.account) == ("uid-web", "7", "runner")
    assert workload.labels == {"tier": "front"}
    assert [(str(each.source), each.places) for each in workload.triggers] == [
        ("shop/web:1", (Place(f"{CONTAINERS}/0/image", "web", "a"),)),
        ("shop/api:2", (Place(f"{CONTAINERS}/1/image", "web1", "b"),)),
    ]
    assert list(workload.sources()) == [source("shop/web:1"), source("shop/api:2")]


def test_a_name_is_looked_for_among_all_containers_and_an_index_in_one_list() -> None:
    values = deployment("web", entry(container="setup"), by_index(0), by_index(0, initial=True))
    spec = values["spec"]["template"]["spec"]
    spec["initContainers"] = [{"name": "fetch", "image": "f"}, {"name": "setup", "image": "s"}]
    (trigger,) = found(values).triggers
    assert [each.container for each in trigger.places] == ["setup", "web", "fetch"]
    assert trigger.places[0].pointer == "/spec/template/spec/initContainers/1/image"


def test_a_container_without_an_image_has_one_added() -> None:
    values = deployment()
    del values["spec"]["template"]["spec"]["containers"][0]["image"]
    (trigger,) = found(values).triggers
    assert trigger.places == (Place(f"{CONTAINERS}/0/image", "web", "", there=False),)


def test_the_pod_of_a_cron_job_is_in_the_template_of_its_jobs() -> None:
    path = 'spec.jobTemplate.spec.template.spec.containers[?(@.name=="web")].image'
    values = deployment("web", entry() | {"fieldPath": path}, entry(container="web1"))
    values["spec"] = {"jobTemplate": {"spec": {"template": values["spec"]["template"]}}}
    (trigger,) = found(values, "cronjobs.batch").triggers
    pointer = "/spec/jobTemplate/spec/template/spec/containers/0/image"
    assert [each.pointer for each in trigger.places] == [pointer]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda each: each.update({"fieldPath": "spec.template.spec.containers[9].image"}), "9"),
        (lambda each: each.update(entry(container="none")), "no container 'none'"),
        (lambda each: each.update({"fieldPath": "spec.template.spec.containers[x].image"}), "x"),
        (lambda each: each.update({"paused": "false"}), "is ignored"),
    ],
)
def test_one_entry_that_is_wrong_leaves_the_object_as_it_is(change: Any, why: str) -> None:
    wrong = entry(container="web1")
    change(wrong)
    workload = found(deployment("web", entry(), wrong, images=("a", "b")))
    assert workload.triggers == ()
    assert why in workload.fault


def test_what_is_paused_is_not_even_looked_at() -> None:
    paused = by_index(9, paused=True)
    assert len(found(deployment("web", entry(), paused)).triggers) == 1
    assert read(deployment("web", paused)) is None


def test_an_object_without_triggers_or_that_is_going_is_none() -> None:
    values = deployment()
    assert read(values | {"metadata": {"name": "web"}}) is None
    values["metadata"]["deletionTimestamp"] = "2026-11-25T00:00:00Z"
    assert read(values) is None
    quoting = deployment()  # which says the words, but has no triggers
    quoting["metadata"]["annotations"] = {"note": "image.openshift.io/triggers"}
    assert read(quoting) is None


@pytest.mark.parametrize(
    "spec",
    [{"template": 1}, {"template": {"spec": {"containers": {}}}}, 7, [{"template": {}}]],
)
def test_what_is_no_object_of_its_kind_is_unreadable(spec: Any) -> None:
    with pytest.raises(WorkloadUnreadable):
        read(deployment() | {"spec": spec})


def test_a_deeply_nested_object_is_unreadable_and_no_more() -> None:
    body = json.dumps(deployment()).replace('"web:1"}', '"web:1", "x": ' + "[" * 100_000)
    with pytest.raises(WorkloadUnreadable):
        workload_of(SHAPES["deployments.apps"], body.encode())


def deployment_config(*params: dict[str, Any], images: tuple[str, ...] = ("a",)) -> dict[str, Any]:
    values = deployment(images=images)
    values["spec"]["triggers"] = [{"type": "ConfigChange"}] + [
        {"type": "ImageChange", "imageChangeParams": each} for each in params
    ]
    return values


def follow(**more: Any) -> dict[str, Any]:
    tag = {"kind": "ImageStreamTag", "name": "web:1"}
    return {"automatic": True, "containerNames": ["web"], "from": tag, **more}


def test_a_deployment_config_has_its_triggers_in_its_spec() -> None:
    values = deployment_config(follow(containerNames=["web", "web1"]), images=("a", "b", "c"))
    (trigger,) = found(values, DEPLOYMENT_CONFIGS.resource).triggers
    assert [each.container for each in trigger.places] == ["web", "web1"]
    pointer = "/spec/triggers/1/imageChangeParams/lastTriggeredImage"
    assert trigger.remembered == Place(pointer, "", "", there=False)
    assert trigger.gates_all
    values = deployment_config(follow(lastTriggeredImage="x"))
    (trigger,) = found(values, DEPLOYMENT_CONFIGS.resource).triggers
    assert trigger.remembered == Place(pointer, "", "x")
    assert not trigger.gates_all


def test_a_trigger_of_a_deployment_config_that_is_not_automatic_does_not_count() -> None:
    values = deployment_config(follow(automatic=False), follow(**{"from": {"kind": "DockerImage"}}))
    assert read(values, DEPLOYMENT_CONFIGS.resource) is None


def build_config(*triggers: dict[str, Any], **status: Any) -> dict[str, Any]:
    tag = {"kind": "ImageStreamTag", "name": "base:1"}
    return {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "strategy": {"sourceStrategy": {"from": tag}},
            "triggers": [{"type": "ImageChange", "imageChange": each} for each in triggers],
        },
        "status": status,
    }


def test_a_build_config_follows_its_input_unless_a_trigger_names_another_tag() -> None:
    other = {"kind": "ImageStreamTag", "name": "tools:2", "namespace": "lab"}
    workload = found(build_config({}, {"from": other}, {"paused": True}), BUILD_CONFIGS.resource)
    assert [(str(each.source), each.last) for each in workload.builds] == [
        ("shop/base:1", ""),
        ("lab/tools:2", ""),
    ]
    assert workload.builds[1].reference == other


def test_what_a_build_began_with_last_is_in_the_status_else_in_the_trigger() -> None:
    def last(status: dict[str, Any]) -> str:
        values = build_config({"lastTriggeredImageID": "old"}, **status)
        return found(values, BUILD_CONFIGS.resource).builds[0].last

    reference = {"kind": "ImageStreamTag", "name": "base:1", "namespace": "shop"}
    state = [{"from": reference, "lastTriggeredImageID": "new"}]
    assert last({}) == "old"
    assert last({"imageChangeTriggers": state}) == "new"
    assert read(build_config({"paused": True}), BUILD_CONFIGS.resource) is None
