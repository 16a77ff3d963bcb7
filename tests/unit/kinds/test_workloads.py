"""Workloads as records. Rules, texts and defaults are those of Kubernetes' apps, batch and core."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.decoding.decoder import Decoder
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.selectors import Selection
from tidegate.apimachinery.storage import Call, ListOptions
from tidegate.apimachinery.store import Key
from tidegate.kinds.pod_spec import PodSpec
from tidegate.kinds.serving import serve
from tidegate.kinds.workloads import (
    CRON_JOBS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICATION_CONTROLLERS,
    WORKLOADS,
    status_of,
)

Json = dict[str, Any]

POD: Json = {"containers": [{"name": "web", "image": "web:1"}]}
TEMPLATE: Json = {"metadata": {"labels": {"app": "web"}}, "spec": POD}
SELECTING: Json = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
GOOD: dict[str, Json] = {
    "Pod": POD,
    "ReplicationController": {"template": TEMPLATE},
    "Deployment": SELECTING,
    "DaemonSet": SELECTING,
    "ReplicaSet": SELECTING,
    "StatefulSet": SELECTING,
    "Job": {"template": TEMPLATE},
    "CronJob": {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": TEMPLATE}}},
}


def made(resource: Resource[Any], spec: Json, old: Any = None, status: Json | None = None) -> Any:
    """An object as the server writes it."""
    decoder = Decoder(resource.kind, resource.api_version, resource.type)
    values = {"spec": msgspec.json.decode(msgspec.json.encode(spec)), "status": status or {}}
    new = decoder.struct(decoder.clean(values).values)
    resource.strategy.prepare(new, old)
    return new


def faults(resource: Resource[Any], spec: Json, old: Any = None) -> list[str]:
    return [str(each) for each in resource.strategy.validate(made(resource, spec), old)]


@pytest.mark.parametrize("resource", WORKLOADS, ids=lambda each: each.kind)
def test_every_kind_takes_a_usual_object(resource: Resource[Any]) -> None:
    assert faults(resource, GOOD[resource.kind]) == []
    assert "all" in resource.categories
    assert "nothing here runs it" in " ".join((resource.type.__doc__ or "").split())


@pytest.mark.parametrize("resource", WORKLOADS, ids=lambda each: each.kind)
def test_every_kind_is_shown_with_its_images(resource: Resource[Any]) -> None:
    cells = {
        each.name: each.cell(made(resource, GOOD[resource.kind]), 0) for each in resource.columns
    }
    assert (cells["Containers"], cells["Images"]) == ("web", "web:1")
    if "Selector" in cells:
        assert cells["Selector"] == "app=web"


def test_the_columns_say_what_is_wanted_and_nothing_of_what_runs() -> None:
    deployment, cron = made(DEPLOYMENTS, SELECTING), made(CRON_JOBS, GOOD["CronJob"])
    assert [each.name for each in DEPLOYMENTS.columns if not each.priority] == ["Replicas"]
    assert DEPLOYMENTS.columns[0].cell(deployment, 0) == 1
    assert [each.cell(cron, 0) for each in CRON_JOBS.columns[:2]] == ["0 0 * * *", False]


def test_replicas_and_the_selector_of_a_controller_have_kubernetes_defaults() -> None:
    assert made(DEPLOYMENTS, {"template": TEMPLATE}).spec["replicas"] == 1
    assert made(DEPLOYMENTS, {"replicas": 0}).spec["replicas"] == 0
    controller = made(REPLICATION_CONTROLLERS, {"template": TEMPLATE}).spec
    assert (controller["replicas"], controller["selector"]) == (1, {"app": "web"})
    kept = made(REPLICATION_CONTROLLERS, {"template": TEMPLATE, "selector": {"a": "b"}}).spec
    assert kept["selector"] == {"a": "b"}
    job, many = made(JOBS, {}).spec, made(JOBS, {"parallelism": 3}).spec
    assert (job["parallelism"], job["completions"]) == (1, 1)
    assert "completions" not in many


def test_a_new_pod_is_pending_whatever_its_maker_says() -> None:
    pod = made(PODS, POD, status={"phase": "Running"})
    assert pod.status == {"phase": "Pending"}
    assert PODS.columns[0].cell(pod, 0) == "Pending"


def test_status_is_written_apart_from_spec() -> None:
    old = made(DEPLOYMENTS, SELECTING)
    new = made(DEPLOYMENTS, SELECTING, old, {"replicas": 3})
    assert new.status == {}
    new.spec, new.status = {}, {"replicas": 3}
    status_of(DEPLOYMENTS).strategy.prepare(new, old)
    assert (new.spec, new.status) == (old.spec, {"replicas": 3})
    status_of(DEPLOYMENTS).strategy.prepare(new, None)


def test_containers_have_names_and_images() -> None:
    pod = {
        "initContainers": [{"name": "web", "image": " "}],
        "containers": [{"name": "web"}, {"image": "x"}, {"name": "A b", "image": "x"}],
    }
    path, *more = faults(PODS, pod)
    assert path == 'spec.containers[0].name: Duplicate value: "web"'
    assert more[:2] == [
        "spec.containers[0].image: Required value",
        "spec.containers[1].name: Required value",
    ]
    assert more[2].startswith('spec.containers[2].name: Invalid value: "A b": a lowercase RFC 1123')
    assert faults(PODS, {}) == ["spec.containers: Required value"]
    assert faults(CRON_JOBS, {"schedule": "* * * * *"}) == [
        "spec.jobTemplate.spec.template.spec.containers: Required value"
    ]


def test_a_cron_job_has_a_schedule() -> None:
    job = {"jobTemplate": GOOD["CronJob"]["jobTemplate"]}
    assert faults(CRON_JOBS, job) == ["spec.schedule: Required value"]


def test_a_selector_selects_the_template() -> None:
    assert faults(DEPLOYMENTS, {"template": TEMPLATE}) == ["spec.selector: Required value"]
    (empty,) = faults(DEPLOYMENTS, {"template": TEMPLATE, "selector": {}})
    assert "empty selector is invalid" in empty
    other = {"template": TEMPLATE, "selector": {"matchLabels": {"app": "db"}}}
    (fault,) = faults(DEPLOYMENTS, other)
    assert fault == (
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match '
        "template `labels`"
    )
    by_expression = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
    assert faults(DEPLOYMENTS, {"template": TEMPLATE, "selector": by_expression}) == []
    (controller,) = faults(REPLICATION_CONTROLLERS, {"template": TEMPLATE, "selector": {"a": "b"}})
    assert "does not match template" in controller
    assert faults(REPLICATION_CONTROLLERS, {"template": {"spec": POD}}) == [
        "spec.selector: Required value"
    ]


def test_a_selector_stays() -> None:
    changed = {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {**TEMPLATE, "metadata": {"labels": {"a": "b"}}},
    }
    (fault,) = faults(DEPLOYMENTS, changed, made(DEPLOYMENTS, SELECTING))
    assert fault.endswith("field is immutable")
    assert faults(DEPLOYMENTS, SELECTING, made(DEPLOYMENTS, SELECTING)) == []


MERGED = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "imagePullSecrets": "name",
    "volumes": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "schedulingGates": "name",
    "resourceClaims": "name",
    "evictionResponders": "name",
}
"""The lists of a PodSpec with patchStrategy merge, in Kubernetes' core/v1 types.go."""

MERGED_IN_CONTAINERS = {
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
}


def test_every_list_that_clients_merge_is_declared() -> None:
    pod = Decoder("Pod", "v1", PODS.type).schema.fields["spec"]
    assert pod.struct is PodSpec
    assert {n: each.merge_key for n, each in pod.fields.items() if each.merge_key} == MERGED
    container = pod.fields["containers"].items
    assert container is not None
    keys = {name: each.merge_key for name, each in container.fields.items() if each.merge_key}
    assert keys == MERGED_IN_CONTAINERS


def test_pods_are_found_by_phase_and_node() -> None:
    async def story() -> list[list[str]]:
        store = MemoryStore()
        namespace = b'{"metadata":{"name":"shop","uid":"1"}}'
        await store.write(
            lambda tx: tx.put(Key("namespaces", "", "shop"), "1", lambda _: namespace)
        )
        served: Served = next(each for each in serve(store) if each.resource is PODS)
        call = Call(user=User("jane"), verb="create", namespace="shop")
        for name, node in (("a", "n1"), ("b", "n2")):
            pod = made(PODS, {**POD, "nodeName": node})
            pod.metadata.name = name
            await served.storage.create(call, pod)

        def running(current: Any) -> Any:
            pod = msgspec.convert(dict(current), PODS.type)
            pod.status = {"phase": "Running"}
            return pod

        await served.subresources["status"].update(call, "a", running)
        found = []
        for path, value in (
            ("status.phase", "Running"),
            ("status.phase", "Pending"),
            ("spec.nodeName", "n2"),
            ("spec.serviceAccountName", ""),
        ):
            selection = Selection(fields=((path, value, True),))
            page = await served.storage.list(call, ListOptions(selection=selection))
            found.append([msgspec.json.decode(each)["metadata"]["name"] for each in page.bodies])
        return found

    assert asyncio.run(story()) == [["a"], ["b"], ["b"], ["a", "b"]]
