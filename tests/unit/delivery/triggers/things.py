"""Workloads, tags and policies for tests of triggers, in as few words as they need."""

import json
from typing import Any

from tidegate.delivery.triggers.decision import Candidate
from tidegate.delivery.triggers.planning import Chosen
from tidegate.delivery.triggers.policies import Policy
from tidegate.delivery.triggers.workload import Place, Source, Trigger, Workload, WorkloadKey
from tidegate.kinds.trigger_policy import TRIGGER_POLICIES, TriggerPolicy, TriggerPolicySpec
from tidegate.oci.name import RepositoryName

DEPLOYMENTS = "deployments.apps"
HOST = "registry.internal:5000"


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


def image(letter: str, repository: str = "shop/web") -> str:
    return f"{HOST}/{repository}@{digest(letter)}"


def source(text: str = "shop/web:1") -> Source:
    stream, _, tag = text.partition(":")
    return Source(RepositoryName.parse(stream), tag)


def candidate(letter: str, repository: str = "shop/web") -> Candidate:
    return Candidate(image(letter, repository), digest(letter))


def chosen(letter: str, text: str = "shop/web:1") -> Chosen:
    return Chosen(source(text), candidate(letter, text.partition(":")[0]))


def place(running: str, container: str = "web", index: int = 0) -> Place:
    return Place(f"/spec/template/spec/containers/{index}/image", container, running)


def workload(
    *triggers: Trigger, name: str = "web", namespace: str = "shop", **more: Any
) -> Workload:
    return Workload(
        key=WorkloadKey(DEPLOYMENTS, namespace, name),
        api_version="apps/v1",
        kind="Deployment",
        uid=f"uid-{name}",
        version="7",
        triggers=triggers,
        **more,
    )


def follows(running: str, tag: str = "shop/web:1", container: str = "web") -> Trigger:
    """A trigger of one container that runs an image."""
    return Trigger(source(tag), (place(running, container),))


def policy(name: str = "rules", **spec: Any) -> Policy:
    stored = TriggerPolicy(spec=TriggerPolicySpec(**spec))
    stored.metadata.name = name
    TRIGGER_POLICIES.strategy.prepare(stored, None)
    assert list(TRIGGER_POLICIES.strategy.validate(stored, None)) == []
    return Policy.of(stored)


def annotation(*entries: dict[str, Any]) -> dict[str, str]:
    return {"image.openshift.io/triggers": json.dumps(list(entries))}


def entry(tag: str = "web:1", container: str = "web", **more: Any) -> dict[str, Any]:
    path = f'spec.template.spec.containers[?(@.name=="{container}")].image'
    return {"from": {"kind": "ImageStreamTag", "name": tag}, "fieldPath": path, **more}


def deployment(
    name: str = "web",
    *entries: dict[str, Any],
    namespace: str = "shop",
    images: tuple[str, ...] = ("web:1",),
    **metadata: Any,
) -> dict[str, Any]:
    """A Deployment whose containers are called web, web1, ..."""
    containers = [{"name": f"web{index or ''}", "image": each} for index, each in enumerate(images)]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": "7",
            "annotations": annotation(*(entries or (entry(),))),
            **metadata,
        },
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": containers},
            },
        },
    }
