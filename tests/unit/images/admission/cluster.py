"""AdmissionReviews as a cluster of Kubernetes 1.33 sends them, and streams on a dict.

The objects are defaulted, as they are when an API server asks: each container has a pull policy,
made from its tag as it was written.
"""

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

from tidegate.apimachinery.patch.json_patch import apply
from tidegate.images.admission.endpoint import AdmissionWebhook
from tidegate.images.admission.resolution import Found

SECRET = "0123456789abcdef0123456789abcdef"
PATH = f"/admission/{SECRET}/workloads"
HOST = "registry.tidegate.svc:5000"
APP = "sha256:" + "a" * 64
BAD = "sha256:" + "b" * 64
UID = "705ab4f5-6393-11e8-b7cc-42010a800002"


class Streams:
    """`StreamLookup` on a dict of (namespace, stream, tag); it notes what it was asked."""

    def __init__(
        self, found: Mapping[tuple[str, str, str], Found], denied: frozenset[str] = frozenset()
    ) -> None:
        self.found = found
        self.denied = denied
        self.asked: list[Any] = []

    async def lookup(self, namespace: str, stream: str, tag: str) -> Found | None:
        self.asked.append((namespace, stream, tag))
        return self.found.get((namespace, stream, tag))

    async def is_denied(self, image: str) -> bool:
        self.asked.append(image)
        return image in self.denied


def tag(
    stream: str,
    digest: str = APP,
    *,
    local: bool = True,
    deny: bool = False,
    namespace: str = "shop",
) -> Found:
    """A stream's tag with an image, or without when `digest` is empty."""
    repository = f"{HOST}/{namespace}/{stream}"
    return Found(local, repository, f"{repository}@{digest}" if digest else "", deny)


STREAMS: dict[tuple[str, str, str], Found] = {
    ("shop", "app", "latest"): tag("app"),
    ("shop", "app", "9"): tag("app", ""),
    ("shop", "closed", "latest"): tag("closed", local=False),
    ("shop", "closed", "9"): tag("closed", "", local=False),
    ("shop", "bad", "latest"): tag("bad", BAD, deny=True),
    ("other", "app", "latest"): tag("app", namespace="other"),
    ("other", "bad", "latest"): tag("bad", BAD, deny=True, namespace="other"),
    ("shop", "mirrored", "latest"): Found(
        True, f"{HOST}/shop/mirrored", f"quay.io/team/mirrored@{APP}", False
    ),
    ("shop", "hostless", "9"): Found(True, "", "", False),
}


def container(name: str, image: str, policy: str | None = "IfNotPresent") -> dict[str, Any]:
    held = {
        "name": name,
        "image": image,
        "resources": {"limits": {"memory": "128Mi"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "securityContext": {"runAsNonRoot": True},
    }
    return held if policy is None else {**held, "imagePullPolicy": policy}


def pod_spec(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    spec = {
        "containers": list(containers),
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    return {**spec, "initContainers": list(init)} if init else spec


def metadata(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": "shop",
        "uid": "d3a5e0b2-5f0e-4ba4-8dd5-1f0bfb2f7f3a",
        "creationTimestamp": "2026-11-23T10:15:00Z",
        "labels": {"app": name},
        "managedFields": [
            {"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "time": "2026-11-23T10:15:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:containers": {'k:{"name":"web"}': {".": {}, "f:image": {}}}}}}  # noqa: E501
        ],
        **more,
    }  # fmt: skip


def pod(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **meta: Any) -> Any:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata("web", **meta),
        "spec": pod_spec(*containers, init=init),
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    }


def workload(
    kind: str, version: str, spec: dict[str, Any], template_annotations: Any = None, **meta: Any
) -> Any:
    """What has a pod template under `spec.template`."""
    annotations = {"annotations": template_annotations} if template_annotations else {}
    return {
        "kind": kind,
        "apiVersion": version,
        "metadata": metadata("web", **meta),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"creationTimestamp": None, "labels": {"app": "web"}, **annotations},
                "spec": spec,
            },
        },
        "status": {},
    }


def deployment(*containers: dict[str, Any], **more: Any) -> Any:
    return workload("Deployment", "apps/v1", pod_spec(*containers), **more)


def cron_job(*containers: dict[str, Any]) -> Any:
    template = {"metadata": {"creationTimestamp": None}, "spec": pod_spec(*containers)}
    return {
        "kind": "CronJob",
        "apiVersion": "batch/v1",
        "metadata": metadata("nightly"),
        "spec": {
            "schedule": "0 3 * * *",
            "concurrencyPolicy": "Forbid",
            "suspend": False,
            "jobTemplate": {
                "metadata": {"creationTimestamp": None},
                "spec": {"template": template},
            },
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
        },
        "status": {},
    }


def build(source: dict[str, Any], *images: dict[str, Any]) -> Any:
    return {
        "kind": "Build",
        "apiVersion": "build.openshift.io/v1",
        "metadata": metadata("web-1"),
        "spec": {
            "serviceAccount": "builder",
            "source": {"type": "Git", "images": [{"from": each, "paths": []} for each in images]},
            "strategy": {"type": "Docker", "dockerStrategy": {"from": source}},
            "output": {"to": {"kind": "ImageStreamTag", "name": "bad:latest"}},
        },
        "status": {"phase": "New"},
    }


PLURALS = {
    "Pod": ("", "v1", "pods"),
    "ReplicationController": ("", "v1", "replicationcontrollers"),
    "Deployment": ("apps", "v1", "deployments"),
    "DaemonSet": ("apps", "v1", "daemonsets"),
    "StatefulSet": ("apps", "v1", "statefulsets"),
    "ReplicaSet": ("apps", "v1", "replicasets"),
    "Job": ("batch", "v1", "jobs"),
    "CronJob": ("batch", "v1", "cronjobs"),
    "DeploymentConfig": ("apps.openshift.io", "v1", "deploymentconfigs"),
    "Build": ("build.openshift.io", "v1", "builds"),
    "ConfigMap": ("", "v1", "configmaps"),
}


def review(
    new: Any, old: Any = None, *, version: str = "v1", operation: str = "", **more: Any
) -> dict[str, Any]:
    group, api, plural = PLURALS[(new or old)["kind"]]
    kind = {"group": group, "version": api, "kind": (new or old)["kind"]}
    resource = {"group": group, "version": api, "resource": plural}
    operation = operation or ("CREATE" if old is None else "UPDATE")
    request = {
        "uid": UID,
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": (new or old)["metadata"]["name"],
        "namespace": "shop",
        "operation": operation,
        "userInfo": {
            "username": "ann",
            "uid": "3e6a3b0c-9e0c-4b9e-8f0e-3b1f9b8d9a77",
            "groups": ["system:authenticated:oauth", "system:authenticated"],
            "extra": {"scopes.authorization.openshift.io": ["user:full"]},
        },
        "object": new,
        "oldObject": old,
        "dryRun": False,
        "options": {
            "kind": "CreateOptions" if old is None else "UpdateOptions",
            "apiVersion": "meta.k8s.io/v1",
            "fieldManager": "kubectl-client-side-apply",
            "fieldValidation": "Strict",
        },
        **more,
    }
    return {
        "kind": "AdmissionReview",
        "apiVersion": f"admission.k8s.io/{version}",
        "request": request,
    }


class Cluster:
    """An API server that has the webhook, with the annotations of its one project."""

    def __init__(self, streams: Any = None, annotations: Mapping[str, str] | None = None) -> None:
        self.streams = Streams(STREAMS, frozenset({BAD})) if streams is None else streams
        self.annotations = dict(annotations or {})
        self.webhook = AdmissionWebhook(self.streams, self._annotations, SECRET, [HOST])

    async def _annotations(self, namespace: str) -> Mapping[str, str]:
        return self.annotations if namespace == "shop" else {}

    def post(
        self, body: bytes, path: str = PATH, method: str = "POST"
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        return asyncio.run(exchange(self.webhook, body, path, method))

    def ask(self, new: Any, old: Any = None, **more: Any) -> dict[str, Any]:
        """The response of a review, whose frame is as an API server wants it."""
        asked = review(new, old, **more)
        status, headers, body = self.post(json.dumps(asked).encode())
        assert status == 200, body
        assert headers[b"content-type"] == b"application/json"
        answer = json.loads(body)
        assert (answer["kind"], answer["apiVersion"]) == ("AdmissionReview", asked["apiVersion"])
        response: dict[str, Any] = answer["response"]
        assert response["uid"] == UID
        assert ("patch" in response) == ("patchType" in response)
        assert response.get("patchType", "JSONPatch") == "JSONPatch"
        return response

    def admit(self, new: Any, old: Any = None, **more: Any) -> Any:
        """The object as it would be stored: the patch is applied as an API server does."""
        response = self.ask(new, old, **more)
        assert response["allowed"], response
        if "patch" not in response:
            return new
        return apply(new, json.loads(base64.b64decode(response["patch"])))


async def exchange(
    webhook: AdmissionWebhook, body: bytes, path: str, method: str
) -> tuple[int, dict[bytes, bytes], bytes]:
    """One request, its body in two pieces."""
    pieces = [body[: len(body) // 2], body[len(body) // 2 :]]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b"timeout=10s"}
    await webhook({**scope, "headers": [(b"content-type", b"application/json")]}, receive, send)
    content = b"".join(each["body"] for each in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), content
