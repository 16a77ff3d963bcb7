"""Workloads that follow tags, on a server's own API or a cluster's: the same steps for both."""

import json
from dataclasses import dataclass
from typing import Any

from tests.images import Pushable
from tests.kube_client import PROJECTS, KubeClient, project
from tests.registry_client import RegistryClient
from tests.server import wait_until

APPS = "/apis/apps/v1/namespaces/{}/{}"
RULES = "/apis/tidegate.io/v1/namespaces/{}/{}"
IMAGE_CHANGES = "/apis/tidegate.io/v1/namespaces/{}/imagechanges"


def entry(tag: str = "web:1", container: str = "web", **more: Any) -> dict[str, Any]:
    """A trigger of the container that follows a tag."""
    path = f'spec.template.spec.containers[?(@.name=="{container}")].image'
    return {"from": {"kind": "ImageStreamTag", "name": tag}, "fieldPath": path, **more}


def deployment(name: str, *entries: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    triggers = json.dumps(list(entries or (entry(),)))
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "annotations": {"image.openshift.io/triggers": triggers},
            **metadata,
        },
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
        },
    }


def policy(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "tidegate.io/v1",
        "kind": "TriggerPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


def approval(name: str, image: str) -> dict[str, Any]:
    return {
        "apiVersion": "tidegate.io/v1",
        "kind": "ImageApproval",
        "metadata": {"name": name},
        "spec": {"image": image},
    }


@dataclass(frozen=True)
class Rollouts:
    """A project: where its images are pushed, and where its workloads are."""

    registry: RegistryClient
    rules: KubeClient  # where policies are, and what waits
    workloads: KubeClient
    namespace: str

    def begin(self) -> "Rollouts":
        """Make the project on the server."""
        self.rules.make(f"{PROJECTS}/projectrequests", project(self.namespace))
        return self

    def push(self, image: Pushable, tag: str = "1", stream: str = "web") -> None:
        self.registry.push(f"{self.namespace}/{stream}", image, tag)

    def deploy(self, name: str, *entries: dict[str, Any], **metadata: Any) -> None:
        path = APPS.format(self.namespace, "deployments")
        self.workloads.make(path, deployment(name, *entries, **metadata))

    def path(self, name: str) -> str:
        return APPS.format(self.namespace, f"deployments/{name}")

    def read(self, name: str) -> dict[str, Any]:
        return self.workloads.read(self.path(name))

    def image(self, name: str) -> str:
        containers = self.read(name)["spec"]["template"]["spec"]["containers"]
        image: str = containers[0]["image"]
        return image

    def runs(self, name: str, image: Pushable) -> bool:
        """Whether a workload has an image, by its digest."""
        return self.image(name).endswith(f"/{self.namespace}/web@{image.digest}")

    def wait(self, name: str, image: Pushable) -> None:
        wait_until(lambda: self.runs(name, image), what=f"{name} to run {image.digest}")

    def change(self, name: str) -> dict[str, Any] | None:
        """Status of what waits for a workload."""
        answer = self.rules.get(f"{IMAGE_CHANGES.format(self.namespace)}/deployment.{name}")
        if answer.status_code == 404:
            return None
        status: dict[str, Any] = answer.json()["status"]
        return status

    def held(self, name: str, *reasons: str) -> None:
        wait_until(
            lambda: (self.change(name) or {}).get("reasons", []) == list(reasons),
            what=f"{name} to be held for {reasons}",
        )

    def events(self, name: str) -> list[str]:
        """Reasons of the events about a workload, in no order."""
        path = f"/api/v1/namespaces/{self.namespace}/events"
        selector = f"involvedObject.name={name}"
        found = self.workloads.read(path, fieldSelector=selector)["items"]
        return [each["reason"] for each in found]
