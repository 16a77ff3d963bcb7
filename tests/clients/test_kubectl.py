"""kubectl, Debian's 1.20 and the newest, against every kind that is served.

1.20 reads OpenAPI v2 in protobuf and validates by it; the newest reads v3 and leaves validation to
the server. Both are unmodified and reach the server over TLS with a token, as in a cluster.

Most tests say one verb of all kinds at once, through a manifest with an object of each; one test
holds the tables of this file against what the server says that it serves.
"""

import json
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Registry
from tests.kube_client import USERS, KubeClient, log_in, token_name
from tests.server import wait_until
from tests.tools import SEARCH_PATH, Outcome, Program

RBAC = "rbac.authorization.k8s.io"
IMAGE = "image.openshift.io"
VIEW = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}
RULES = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
UNA = [{"apiGroup": RBAC, "kind": "User", "name": "una"}]

POD = {"containers": [{"name": "web", "image": "web:1"}]}
TEMPLATE: dict[str, Any] = {"metadata": {"labels": {"app": "web"}}, "spec": POD}
SELECTING = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}

WORKLOADS: dict[str, dict[str, Any]] = {
    "pods": {"apiVersion": "v1", "kind": "Pod", "spec": POD},
    "replicationcontrollers": {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "spec": {"template": TEMPLATE},
    },
    "deployments.apps": {"apiVersion": "apps/v1", "kind": "Deployment", "spec": SELECTING},
    "daemonsets.apps": {"apiVersion": "apps/v1", "kind": "DaemonSet", "spec": SELECTING},
    "replicasets.apps": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": SELECTING},
    "statefulsets.apps": {"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": SELECTING},
    "jobs.batch": {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": TEMPLATE}},
    "cronjobs.batch": {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "spec": {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": TEMPLATE}}},
    },
}
"""Kinds that nothing runs. kubectl 1.20 is told nothing of their fields (see `openapi/v2.py`)."""

NAMESPACED: dict[str, dict[str, Any]] = {
    **WORKLOADS,
    "configmaps": {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}},
    "secrets": {"apiVersion": "v1", "kind": "Secret", "data": {"a": "MQ=="}},
    "serviceaccounts": {"apiVersion": "v1", "kind": "ServiceAccount"},
    "events": {
        "apiVersion": "v1",
        "kind": "Event",
        "reason": "Pushed",
        "message": "web:1 was pushed",
        "type": "Normal",
        "involvedObject": {"kind": "ConfigMap", "name": "x", "apiVersion": "v1"},
    },
    "resourcequotas": {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "spec": {"hard": {"openshift.io/imagestreams": "10", "secrets": "20"}},
    },
    "limitranges": {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "spec": {"limits": [{"type": "openshift.io/Image", "max": {"storage": "1Gi"}}]},
    },
    "tagpolicies.tidegate.io": {
        "apiVersion": "tidegate.io/v1",
        "kind": "TagPolicy",
        "spec": {"immutable": ["v*"], "naming": {"tags": {"semver": True}}},
    },
    "triggerpolicies.tidegate.io": {
        "apiVersion": "tidegate.io/v1",
        "kind": "TriggerPolicy",
        "spec": {"soak": {"duration": "24h"}, "workloads": ["web"]},
    },
    "mirrors.tidegate.io": {
        "apiVersion": "tidegate.io/v1",
        "kind": "Mirror",
        "spec": {
            "source": {"repository": "a.test/org/web"},
            "target": {"stream": "web"},
            "suspend": True,
        },
    },
    "rollouts.tidegate.io": {
        "apiVersion": "tidegate.io/v1",
        "kind": "Rollout",
        "spec": {
            "tag": "web:1",
            "steps": [{"name": "canary", "workloads": ["web-canary"], "pause": "10m"}],
            "suspend": True,
        },
    },
    "eventsubscriptions.tidegate.io": {
        "apiVersion": "tidegate.io/v1",
        "kind": "EventSubscription",
        "spec": {"url": "https://a.test/hook", "suspend": True},
    },
    f"imagestreams.{IMAGE}": {
        "apiVersion": f"{IMAGE}/v1",
        "kind": "ImageStream",
        "spec": {"lookupPolicy": {"local": False}},
    },
    f"roles.{RBAC}": {"apiVersion": f"{RBAC}/v1", "kind": "Role", "rules": RULES},
    f"rolebindings.{RBAC}": {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "roleRef": VIEW,
        "subjects": UNA,
    },
}

CLUSTER: dict[str, dict[str, Any]] = {
    f"images.{IMAGE}": {
        "apiVersion": f"{IMAGE}/v1",
        "kind": "Image",
        "dockerImageReference": "docker.io/library/busybox:1",
    },
    f"clusterroles.{RBAC}": {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "rules": RULES},
    f"clusterrolebindings.{RBAC}": {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "roleRef": VIEW,
        "subjects": UNA,
    },
    "imagedigestmirrorsets.config.openshift.io": {
        "apiVersion": "config.openshift.io/v1",
        "kind": "ImageDigestMirrorSet",
        "spec": {"imageDigestMirrors": [{"source": "a.test", "mirrors": ["b.test/a"]}]},
    },
    "imagetagmirrorsets.config.openshift.io": {
        "apiVersion": "config.openshift.io/v1",
        "kind": "ImageTagMirrorSet",
        "spec": {"imageTagMirrors": [{"source": "a.test", "mirrors": ["b.test/a"]}]},
    },
    "imagecontentsourcepolicies.operator.openshift.io": {
        "apiVersion": "operator.openshift.io/v1alpha1",
        "kind": "ImageContentSourcePolicy",
        "spec": {"repositoryDigestMirrors": [{"source": "a.test", "mirrors": ["b.test/a"]}]},
    },
    "clustereventsubscriptions.tidegate.io": {
        "apiVersion": "tidegate.io/v1",
        "kind": "ClusterEventSubscription",
        "spec": {"url": "https://a.test/hook", "projects": ["web-*"], "suspend": True},
    },
    "namespaces": {"apiVersion": "v1", "kind": "Namespace"},
    "users.user.openshift.io": {
        "apiVersion": "user.openshift.io/v1",
        "kind": "User",
        "fullName": "Una Example",
    },
    "groups.user.openshift.io": {
        "apiVersion": "user.openshift.io/v1",
        "kind": "Group",
        "users": ["una"],
    },
    "identities.user.openshift.io": {
        "apiVersion": "user.openshift.io/v1",
        "kind": "Identity",
        "providerName": "corp",
    },
}

KEPT = {**NAMESPACED, **CLUSTER}
"""Every kind of which objects are made, changed and deleted."""

TOLD_OF = ("Mirror", "Rollout", "EventSubscription", "ClusterEventSubscription")
"""Kinds whose objects the server writes to by itself: it says in their status how they go."""

TOKENS = ("oauthaccesstokens.oauth.openshift.io", "useroauthaccesstokens.oauth.openshift.io")
SINGLE = ("images.config.openshift.io",)
"""Kinds of which there is one object, always; `test_registry_config` says what it does."""

OF_TRIGGERS = ("imageapprovals.tidegate.io", "imagechanges.tidegate.io")
"""What is made once and never changed, and what the server makes: `test_triggers` has both."""

READ_ONLY = (
    *("oauthclients.oauth.openshift.io", "oauthauthorizetokens.oauth.openshift.io"),
    *("backgroundjobs.tidegate.io", "clusterbackgroundjobs.tidegate.io", "upstreams.tidegate.io"),
)

IN_STREAMS = tuple(
    f"{each}.{IMAGE}"
    for each in (
        "imagestreamtags",
        "imagetags",
        "imagestreamimages",
        "imagestreammappings",
        "imagestreamimports",
        "imagesignatures",
    )
)
"""Parts of streams and images; `test_image_kubectl` says of each what it can do."""

AUTHORIZATION, OPENSHIFT = "authorization.k8s.io", "authorization.openshift.io"
ATTRIBUTES = {"verb": "get", "resource": "secrets"}
BY_KUBERNETES = {"resourceAttributes": ATTRIBUTES}
BY_OPENSHIFT: dict[str, Any] = {
    "namespace": "",
    **ATTRIBUTES,
    **dict.fromkeys(("resourceAPIGroup", "resourceAPIVersion", "resourceName", "path"), ""),
    "isNonResourceURL": False,
}
ABOUT_UNA: dict[str, Any] = {**BY_OPENSHIFT, "user": "una", "groups": [], "scopes": []}

REVIEWS: dict[str, dict[str, Any]] = {
    f"selfsubjectaccessreviews.{AUTHORIZATION}": {"spec": BY_KUBERNETES},
    f"subjectaccessreviews.{AUTHORIZATION}": {"spec": {"user": "una", **BY_KUBERNETES}},
    f"localsubjectaccessreviews.{AUTHORIZATION}": {"spec": {"user": "una"}},
    f"selfsubjectrulesreviews.{AUTHORIZATION}": {"spec": {"namespace": "default"}},
    "selfsubjectreviews.authentication.k8s.io": {},
    "tokenreviews.authentication.k8s.io": {"spec": {"token": "sha256~nobody's"}},
    f"resourceaccessreviews.{OPENSHIFT}": BY_OPENSHIFT,
    f"localresourceaccessreviews.{OPENSHIFT}": BY_OPENSHIFT,
    f"subjectaccessreviews.{OPENSHIFT}": ABOUT_UNA,
    f"localsubjectaccessreviews.{OPENSHIFT}": ABOUT_UNA,
    f"selfsubjectrulesreviews.{OPENSHIFT}": {"spec": {"scopes": []}},
    f"subjectrulesreviews.{OPENSHIFT}": {"spec": {"user": "una", "groups": [], "scopes": []}},
}
"""Kinds that are asked and not kept."""


def is_newest(kubectl: Program) -> bool:
    return not kubectl.path.endswith("1.20")


def _group(document: dict[str, Any]) -> str:
    group, slash, version = document["apiVersion"].partition("/")
    return f"{version}.{group}" if slash else ""


class Running:
    """kubectl in the background with its output in a file; ended when the block is left."""

    def __init__(self, kubectl: Program, output: Path, *words: str) -> None:
        self._output = output.open("wb")
        self._process = subprocess.Popen(
            [kubectl.path, *words],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={"PATH": SEARCH_PATH, **kubectl.environment},
        )

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self._process

    def __exit__(self, *ignored: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._output.close()


class Everything:
    """A manifest with an object of each kind, and the verbs of kubectl said of all of them."""

    def __init__(self, kubectl: Program, directory: Path, namespace: str) -> None:
        self.kubectl, self.namespace = kubectl, namespace
        self.manifest = directory / "everything.json"
        self.objects = [self._object(resource) for resource in KEPT]
        self.write()

    def _object(self, resource: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(json.dumps(KEPT[resource]))
        name = f"{document['kind'].lower()}-{self.namespace}"
        metadata = {"name": name, "labels": {"made": self.namespace}}
        if resource in NAMESPACED:
            metadata["namespace"] = self.namespace
        if document["kind"] == "Event":
            document["involvedObject"]["namespace"] = self.namespace
        if document["kind"] == "Identity":
            metadata["name"] = f"corp:{name}"
            document["providerUserName"] = name
        return {**document, "metadata": metadata}

    def leave_out(self, kind: str) -> None:
        """Say no more of the object of a kind."""
        self.objects = [each for each in self.objects if each["kind"] != kind]
        self.write()

    def write(self, **labels: str) -> None:
        """The manifest anew, with other labels beside the one that all bear."""
        for each in self.objects:
            each["metadata"]["labels"] = {"made": self.namespace, **labels}
        document = {"apiVersion": "v1", "kind": "List", "items": self.objects}
        self.manifest.write_text(json.dumps(document))

    def names(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.objects]

    def __call__(self, *words: str) -> str:
        return self.kubectl(*words, "--filename", self.manifest)

    def attempt(self, *words: str) -> Outcome:
        return self.kubectl.attempt(*words, "--filename", self.manifest)

    def each(self, done: str, *words: str) -> None:
        """Say a verb of which kubectl reports one line for each object."""
        outcome = self.attempt(*words)
        assert outcome.code == 0, str(outcome)
        reported = [line for line in outcome.stdout.splitlines() if f" {done}" in line]
        assert len(reported) == len(self.objects), str(outcome)

    def now(self) -> list[dict[str, Any]]:
        """What the server has of each."""
        items: list[dict[str, Any]] = json.loads(self("get", "--output", "json"))["items"]
        return items

    def labels(self, name: str) -> set[str | None]:
        """The values that a label has among all objects."""
        return {each["metadata"].get("labels", {}).get(name) for each in self.now()}


@pytest.fixture
def unmade(kubectl: Program, namespace: str, tmp_path: Path) -> Iterator[Everything]:
    """A manifest of everything, of which nothing is made yet."""
    made = Everything(kubectl, tmp_path, namespace)
    yield made
    made.attempt("delete", "--ignore-not-found", "--wait=false")


@pytest.fixture
def everything(unmade: Everything) -> Everything:
    """An object of each kind."""
    unmade.each("created", "create")
    return unmade


def test_every_kind_that_is_served_is_tried_here(kubectl: Program) -> None:
    served = set(kubectl("api-resources", "--output", "name").split())
    projects = {f"{each}.project.openshift.io" for each in ("projects", "projectrequests")}
    assert served == {
        *KEPT,
        *IN_STREAMS,
        *OF_TRIGGERS,
        *TOKENS,
        *SINGLE,
        *READ_ONLY,
        *REVIEWS,
        *projects,
    }


def test_every_kind_is_got_as_a_table_and_as_itself(everything: Everything) -> None:
    table = everything("get", "--output", "wide")
    for name in everything.names():
        assert name in table
    shown = everything("get", "--output", "yaml")
    assert shown.count("creationTimestamp") == len(everything.objects)
    assert len(everything("get", "--output", "name").split()) == len(everything.objects)


def test_every_kind_is_listed_by_a_label(everything: Everything, kubectl: Program) -> None:
    selector = f"made={everything.namespace}"
    place = ("--selector", selector, "--namespace", everything.namespace)
    found = kubectl("get", ",".join(KEPT), *place, "--output", "name").split()
    assert len(found) == len(everything.objects)
    assert "No resources found" in kubectl.attempt(
        "get", ",".join(KEPT), "--selector", f"{selector},made!={everything.namespace}"
    ).stderr  # fmt: skip


def test_every_kind_is_described(everything: Everything) -> None:
    if not is_newest(everything.kubectl):
        everything.leave_out("CronJob")  # for which it asks batch/v1beta1
    described = everything("describe")
    for name in everything.names():
        assert name in described


def test_every_kind_is_labelled_and_annotated(everything: Everything) -> None:
    everything.each("labeled", "label", "colour=blue")
    refused = everything.attempt("label", "colour=red")
    assert refused.code == 1
    assert "--overwrite is false" in refused.stderr
    everything.each("labeled", "label", "colour=red", "--overwrite")
    assert everything.labels("colour") == {"red"}
    everything.each("labeled" if not is_newest(everything.kubectl) else "un", "label", "colour-")
    assert everything.labels("colour") == {None}
    everything.each("annotated", "annotate", "note=hello")
    assert {each["metadata"]["annotations"]["note"] for each in everything.now()} == {"hello"}


def test_every_kind_is_patched_in_three_ways(everything: Everything) -> None:
    merge = '{"metadata":{"labels":{"merged":"yes"}}}'
    everything.each("patched", "patch", "--type", "merge", "--patch", merge)
    patch = '[{"op":"add","path":"/metadata/labels/patched","value":"yes"}]'
    everything.each("patched", "patch", "--type", "json", "--patch", patch)
    strategic = '{"metadata":{"labels":{"merged":null,"strategic":"yes"}}}'
    everything.each("patched", "patch", "--patch", strategic)
    assert everything.labels("patched") == everything.labels("strategic") == {"yes"}
    assert everything.labels("merged") == {None}


def test_every_kind_is_edited_in_an_editor(everything: Everything, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nexec sed -i \'s/^\\( *\\)made: .*/&\\n\\1edited: "yes"/\' "$1"\n')
    editor.chmod(0o755)
    kubectl = everything.kubectl
    outcome = Program(kubectl.path, {**kubectl.environment, "EDITOR": str(editor)}).attempt(
        "edit", "--namespace", everything.namespace, "--filename", everything.manifest
    )
    assert outcome.code == 0, str(outcome)
    assert everything.labels("edited") == {"yes"}


def test_every_kind_is_replaced(everything: Everything) -> None:
    everything.write(replaced="yes")
    everything.each("replaced", "replace")
    assert everything.labels("replaced") == {"yes"}


def test_every_kind_is_applied_by_the_client(unmade: Everything) -> None:
    unmade.write(applied="once")
    unmade.each("created (server dry run)", "apply", "--dry-run=server")
    unmade.each("created", "apply")
    unmade.each("unchanged", "apply")
    unmade.write(again="twice")
    difference = unmade.attempt("diff")
    assert difference.code == 1, str(difference)
    assert difference.stdout.count("again: twice") >= len(unmade.objects)
    unmade.each("configured", "apply")
    assert unmade.labels("applied") == {None}
    assert unmade.labels("again") == {"twice"}
    assert unmade.attempt("diff").code == 0


def test_every_kind_is_applied_by_the_server(unmade: Everything) -> None:
    unmade.write(applied="once")
    unmade.each("serverside-applied", "apply", "--server-side")
    versions = _versions(unmade)
    unmade.each("serverside-applied", "apply", "--server-side")
    assert _versions(unmade) == versions
    unmade.write(again="twice")
    unmade.each("serverside-applied", "apply", "--server-side")
    assert unmade.labels("applied") == {None}
    assert unmade.labels("again") == {"twice"}


def _versions(everything: Everything) -> list[tuple[str, Any]]:
    """Which version each object has; of those that the server writes to, what was applied."""
    found = []
    for each in everything.now():
        metadata = each["metadata"]
        key = "generation" if each["kind"] in TOLD_OF else "resourceVersion"
        found.append((metadata["name"], metadata[key]))
    return found


def test_what_another_manager_owns_is_a_conflict_until_it_is_forced(
    everything: Everything, kubectl: Program
) -> None:
    everything.each("labeled", "label", "colour=blue")
    everything.write(colour="red")
    refused = everything.attempt("apply", "--server-side")
    assert refused.code == 1
    painter = "kubectl-label"
    assert f'Apply failed with 1 conflict: conflict with "{painter}"' in refused.stderr
    assert ".metadata.labels.colour" in refused.stderr
    assert "--force-conflicts" in refused.stderr
    everything.each("serverside-applied", "apply", "--server-side", "--force-conflicts")
    assert everything.labels("colour") == {"red"}


def test_every_kind_is_watched(everything: Everything, tmp_path: Path) -> None:
    """A watch of a named object shows it as it is and then each change, until its deletion."""
    outputs = [tmp_path / f"watch-{number}" for number in range(len(everything.objects))]
    with ExitStack() as stack:
        for output, each in zip(outputs, everything.objects, strict=True):
            metadata = each["metadata"]
            place = ("--namespace", metadata["namespace"]) if "namespace" in metadata else ()
            resource = f"{each['kind']}.{_group(each)}" if _group(each) else each["kind"]
            words = ("get", resource, metadata["name"], "--watch", "--output-watch-events")
            stack.enter_context(Running(everything.kubectl, output, *words, *place))

        def seen(line: str) -> bool:
            return all(line in output.read_text() for output in outputs)

        wait_until(lambda: seen("ADDED"), what="the first sight of each object")
        counts = iter(range(1000))

        def changed() -> bool:
            everything("annotate", f"count={next(counts)}", "--overwrite")
            return seen("MODIFIED")

        wait_until(changed, what="a change of each object")
        everything("delete", "--wait=false")
        wait_until(lambda: seen("DELETED"), what="the deletion of each object")


def test_a_list_is_watched(kubectl: Program, namespace: str, tmp_path: Path) -> None:
    output = tmp_path / "watch"
    place = ("--namespace", namespace)
    kubectl("create", "configmap", "first", *place)
    with Running(kubectl, output, "get", "configmaps", "--watch", *place):
        wait_until(lambda: "first" in output.read_text(), what="the list")
        kubectl("create", "configmap", "second", *place)
        wait_until(lambda: "second" in output.read_text(), what="the event")


def test_waiting_for_deletions_ends_with_them(everything: Everything, tmp_path: Path) -> None:
    output = tmp_path / "waiting"
    words = ("wait", "--for=delete", "--timeout=60s", "--filename", str(everything.manifest))
    with Running(everything.kubectl, output, *words, "--v=6") as waiting:
        wait_until(
            lambda: "watch=true" in output.read_text(), what="the first object to be watched"
        )
        everything.each("deleted", "delete")
        assert waiting.wait(60) == 0, output.read_text()
    gone = everything.attempt("get", "--output", "name")
    assert gone.code == 1
    assert gone.stderr.count("NotFound") == len(everything.objects)


def test_kubectl_waits_for_a_value(kubectl: Program, namespace: str) -> None:
    if not is_newest(kubectl):
        with pytest.raises(AssertionError, match="unrecognized condition"):
            kubectl("wait", "--for=jsonpath={.status.phase}=Active", f"namespace/{namespace}")
        return
    words = ("wait", "--for=jsonpath={.status.phase}=Active", "--timeout=30s")
    assert "condition met" in kubectl(*words, f"namespace/{namespace}")
    assert "condition met" in kubectl(*words, f"project/{namespace}")


def test_every_kind_is_explained(kubectl: Program) -> None:
    parts = (*IN_STREAMS, *OF_TRIGGERS, *TOKENS, *READ_ONLY, *REVIEWS)
    kinds = {*KEPT, *parts, "projects.project.openshift.io"}
    if not is_newest(kubectl):
        kinds -= {*WORKLOADS}

    def explain(resource: str) -> str:
        name, _, group = resource.partition(".")
        version = KEPT[resource]["apiVersion"] if resource in KEPT else f"{group}/v1"
        return kubectl("explain", name, "--api-version", version)

    with ThreadPoolExecutor(8) as pool:
        for explained in pool.map(explain, kinds):
            assert "VERSION:" in explained
            assert "<empty>" not in explained, explained
            assert "metadata" in explained
    assert "map[string]string" in kubectl("explain", "secrets.data")
    assert "map[string]string" in kubectl("explain", "configmaps.metadata.labels")


def test_every_review_is_asked_with_create(
    kubectl: Program, namespace: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "reviews.json"
    lines = kubectl("api-resources", "--no-headers").splitlines()
    kinds = {line.split()[0]: line.split()[-1] for line in lines}
    documents = []
    for resource, said in REVIEWS.items():
        plural, _, group = resource.partition(".")
        document: dict[str, Any] = {"apiVersion": f"{group}/v1", "kind": kinds[plural], **said}
        if plural.startswith("local") or group == OPENSHIFT:
            document = {**document, "metadata": {"namespace": namespace}}
        if plural == "localsubjectaccessreviews" and group == AUTHORIZATION:
            attributes = {**ATTRIBUTES, "namespace": namespace}
            document["spec"] = {"user": "una", "resourceAttributes": attributes}
        documents.append(document)
    items = {"apiVersion": "v1", "kind": "List", "items": documents}
    manifest.write_text(json.dumps(items))
    answers = kubectl("create", "--filename", manifest).splitlines()
    assert len(answers) == len(REVIEWS)
    assert all(line.endswith("created") for line in answers)
    shown = kubectl("create", "--filename", manifest, "--output", "yaml")
    assert "username: admin" in shown


@pytest.mark.parametrize("resource", TOKENS)
def test_a_token_is_listed_described_and_revoked(
    kubectl: Program, registry: Registry, resource: str
) -> None:
    """The two views of one thing: everybody's access tokens, and one's own."""
    url = f"http://{registry.address}"
    token = log_in(url)
    name = token_name(token)
    assert name in kubectl("get", resource, "--output", "wide")
    assert name in kubectl("get", resource, name, "--output", "yaml")
    assert name in kubectl("describe", resource, name)
    with KubeClient(url, token) as client:
        assert client.get(f"{USERS}/users/~").status_code == 200
        assert "deleted" in kubectl("delete", resource, name)
        assert "NotFound" in kubectl.attempt("get", resource, name).stderr
        wait_until(lambda: client.get(f"{USERS}/users/~").status_code == 401, what="the revocation")


def test_what_is_only_read_is_listed(kubectl: Program) -> None:
    assert "openshift-challenging-client" in kubectl("get", "oauthclients", "--output", "wide")
    assert "openshift-cli-client" in kubectl("describe", "oauthclient", "openshift-cli-client")
    kubectl("get", "oauthauthorizetokens")


def test_work_of_the_server_is_listed_and_described(
    kubectl: Program, namespace: str, tmp_path: Path
) -> None:
    place = ("--namespace", namespace)
    manifest = tmp_path / "mirror.json"
    manifest.write_text(
        json.dumps({**NAMESPACED["mirrors.tidegate.io"], "metadata": {"name": "web"}})
    )
    kubectl("create", "--filename", manifest, *place)
    wait_until(lambda: "mirror:web" in kubectl("get", "bgjob", *place), what="the job")
    assert "a.test" in kubectl("get", "backgroundjobs", "--all-namespaces", "--output", "wide")
    described = kubectl("describe", "backgroundjob", "mirror:web", *place)
    assert "Kind:  mirror" in described
    assert "mirror:web" not in kubectl("get", "clusterbackgroundjobs")
    kubectl("get", "upstreams", "--output", "wide")
    refused = kubectl.attempt("delete", "backgroundjob", "mirror:web", *place)
    assert "the server does not allow this method on the requested resource" in refused.stderr


def test_a_project_is_made_read_changed_and_deleted(kubectl: Program, tmp_path: Path) -> None:
    name = f"p-{uuid.uuid4().hex[:8]}"
    manifest = tmp_path / "project.json"
    document = {"apiVersion": "project.openshift.io/v1", "metadata": {"name": name}}
    manifest.write_text(json.dumps({**document, "kind": "Project"}))
    assert "created" in kubectl("create", "--filename", manifest)
    assert name in kubectl("get", "project", name)
    assert name in kubectl("get", "projects", "--output", "name")
    assert "Phase:  Active" in kubectl("describe", "project", name)
    kubectl("annotate", "project", name, "openshift.io/display-name=Shop")
    assert "Shop" in kubectl("get", "project", name)
    refused = kubectl.attempt("label", "project", name, "colour=blue")
    assert refused.code == 1
    assert "field is immutable, try updating the namespace" in refused.stderr
    assert "deleted" in kubectl("delete", "project", name)
    assert "NotFound" in kubectl.attempt("get", "project", name).stderr
    assert "NotFound" in kubectl.attempt("get", "namespace", name).stderr
    manifest.write_text(json.dumps({**document, "kind": "ProjectRequest"}))
    assert f"project.project.openshift.io/{name} created" in kubectl("create", "-f", manifest)
    assert "ClusterRole/admin" in kubectl("get", "rolebindings", "--namespace", name)
    kubectl("delete", "project", name, "--wait=false")


def test_what_is_served_is_discovered(kubectl: Program) -> None:
    resources = kubectl("api-resources")
    for short, kind in (("cm", "ConfigMap"), ("sa", "ServiceAccount"), ("ns", "Namespace")):
        assert any(
            line.split()[1] == short and line.split()[-1] == kind
            for line in resources.splitlines()
            if len(line.split()) > 2
        ), resources
    versions = kubectl("api-versions").splitlines()
    assert {f"{RBAC}/v1", "v1", "project.openshift.io/v1", "user.openshift.io/v1"} <= {*versions}
    assert "Server Version" in kubectl("version")


def test_kubectl_tells_what_one_may_do(kubectl: Program, namespace: str) -> None:
    place = ("--namespace", namespace)
    as_una = ("--as", "una", *place)
    assert kubectl("auth", "can-i", "create", "secrets", *place) == "yes\n"
    refused = kubectl.attempt("auth", "can-i", "create", "secrets", *as_una)
    assert (refused.code, refused.stdout) == (1, "no\n")
    kubectl("create", "rolebinding", "una", "--clusterrole=edit", "--user=una", *place)
    assert kubectl("auth", "can-i", "create", "secrets", *as_una) == "yes\n"
    assert "secrets" in kubectl("auth", "can-i", "--list", *as_una)
    forbidden = kubectl.attempt("get", "roles", *as_una)
    assert forbidden.code == 1
    assert (
        'Error from server (Forbidden): roles.rbac.authorization.k8s.io is forbidden: User "una"'
        ' cannot list resource "roles" in API group "rbac.authorization.k8s.io" in the namespace'
        f' "{namespace}"'
    ) in forbidden.stderr


def test_kubectl_tells_who_one_is(kubectl: Program) -> None:
    if not is_newest(kubectl):
        assert "unknown" in kubectl.attempt("auth", "whoami").stderr
        return
    shown = kubectl("auth", "whoami")
    assert "admin" in shown
    assert "system:authenticated" in shown
    assert "una" in kubectl("auth", "whoami", "--as", "una")


def test_auth_reconcile_gives_what_is_lacking(
    kubectl: Program, namespace: str, tmp_path: Path
) -> None:
    name = f"role-{namespace}"
    role: dict[str, Any] = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "rules": RULES}
    role["metadata"] = {"name": name, "namespace": namespace}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": name}
    binding = {**role, "kind": "RoleBinding", "roleRef": reference, "subjects": UNA}
    del binding["rules"]
    manifest = tmp_path / "rbac.json"

    def reconcile() -> str:
        items = {"apiVersion": "v1", "kind": "List", "items": [role, binding]}
        manifest.write_text(json.dumps(items))
        return kubectl("auth", "reconcile", "--filename", manifest)

    assert f"role.{RBAC}/{name} reconciled" in reconcile()
    role["rules"] = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    binding["subjects"] = [{**UNA[0], "name": "ugo"}]
    assert f"rolebinding.{RBAC}/{name} reconciled" in reconcile()
    place = ("--namespace", namespace, "--as")
    for user in ("una", "ugo"):
        for resource in ("configmaps", "secrets"):
            assert kubectl("auth", "can-i", "get", resource, *place, user) == "yes\n"


def test_an_unknown_field_is_refused_by_its_name(
    kubectl: Program, namespace: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "object.yaml"
    manifest.write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndtaa: {}\n")
    words = ("create", "--filename", manifest, "--namespace", namespace)
    refused = kubectl.attempt(*words)
    assert refused.code != 0
    assert "dtaa" in refused.stderr
    if is_newest(kubectl):
        warned = kubectl.attempt(*words, "--validate=warn")
        assert warned.code == 0, str(warned)
        assert 'Warning: unknown field "dtaa"' in warned.stderr


def test_imperative_commands_make_what_they_say(
    kubectl: Program, namespace: str, registry: Registry
) -> None:
    place = ("--namespace", namespace)

    def create(*words: str) -> None:
        assert "created" in kubectl("create", *words, *place)

    create("secret", "generic", "s", "--from-literal=a=1")
    pull = ("--docker-server=h", "--docker-username=u", "--docker-password=p")
    create("secret", "docker-registry", "pull", *pull)
    create("serviceaccount", "robot")
    create("role", "reader", "--verb=get", "--resource=configmaps")
    create("rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:robot")
    create("quota", "q", "--hard=secrets=20")
    assert "kubernetes.io/dockerconfigjson" in kubectl("get", "secrets", *place)
    robot = f"system:serviceaccount:{namespace}:robot"
    assert kubectl("auth", "can-i", "get", "configmaps", *place, "--as", robot) == "yes\n"


def test_a_service_account_gets_a_token(
    kubectl: Program, namespace: str, tmp_path: Path, registry: Registry
) -> None:
    place = ("--namespace", namespace)
    if is_newest(kubectl):
        token = kubectl("create", "token", "default", "--duration=1h", *place).strip()
    else:  # which has no `create token`, and can say the request itself
        asked = tmp_path / "token.json"
        asked.write_text('{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest"}')
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
        token = json.loads(kubectl("create", "--raw", path, "--filename", asked))["status"]["token"]
    with KubeClient(f"http://{registry.address}", token) as client:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        who = client.make("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    assert who["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"


def test_a_quota_s_status_is_written_apart_from_its_spec(
    kubectl: Program, namespace: str, tmp_path: Path
) -> None:
    place = ("--namespace", namespace)
    kubectl("create", "quota", "q", "--hard=secrets=20", *place)
    status = {"hard": {"secrets": "20"}, "used": {"secrets": "3"}}
    if is_newest(kubectl):
        patch = json.dumps({"status": status, "spec": {"hard": {"secrets": "99"}}})
        kubectl("patch", "quota", "q", "--subresource=status", "--patch", patch, *place)
    else:
        quota = json.loads(kubectl("get", "quota", "q", "--output", "json", *place))
        changed = tmp_path / "quota.json"
        spec = {"hard": {"secrets": "99"}}
        changed.write_text(json.dumps({**quota, "status": status, "spec": spec}))
        path = f"/api/v1/namespaces/{namespace}/resourcequotas/q/status"
        kubectl("replace", "--raw", path, "--filename", changed)
    stored = json.loads(kubectl("get", "quota", "q", "--output", "json", *place))
    assert stored["status"] == status
    assert stored["spec"] == {"hard": {"secrets": "20"}}
    assert "secrets" in kubectl("describe", "quota", "q", *place)
    assert "secrets: 3/20" in kubectl("get", "quota", "q", *place)


def test_events_are_shown_by_get_events_and_with_what_they_are_about(
    kubectl: Program, namespace: str, tmp_path: Path
) -> None:
    place = ("--namespace", namespace)
    account = json.loads(kubectl("get", "sa", "default", "--output", "json", *place))
    event = {
        **NAMESPACED["events"],
        "metadata": {"name": "default.1", "namespace": namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "name": "default",
            "namespace": namespace,
            "uid": account["metadata"]["uid"],
        },
        "lastTimestamp": account["metadata"]["creationTimestamp"],
    }
    manifest = tmp_path / "event.json"
    manifest.write_text(json.dumps(event))
    kubectl("create", "--filename", manifest)
    assert "web:1 was pushed" in kubectl("get", "events", *place)
    assert "serviceaccount/default" in kubectl("get", "events", "--sort-by=.lastTimestamp", *place)
    assert "web:1 was pushed" in kubectl("describe", "sa", "default", *place)


def test_commands_change_what_they_mean_in_a_workload(
    kubectl: Program, namespace: str, tmp_path: Path
) -> None:
    """They merge lists by what kubectl itself knows of these kinds."""
    place = ("--namespace", namespace)
    web = {
        "name": "web",
        "image": "web:1",
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
    }
    side = {"name": "side", "image": "side:1", "resources": {"limits": {"cpu": "1"}}}
    volumes = [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "c"}}]
    manifest = tmp_path / "deployment.json"

    def apply(*containers: dict[str, Any], volumes: list[dict[str, Any]]) -> None:
        template = {**TEMPLATE, "spec": {"containers": containers, "volumes": volumes}}
        deployment = {**WORKLOADS["deployments.apps"], "metadata": {"name": "d"}}
        manifest.write_text(json.dumps({**deployment, "spec": {**SELECTING, "template": template}}))
        kubectl("apply", "--filename", manifest, *place)

    def pod() -> dict[str, Any]:
        shown = json.loads(kubectl("get", "deploy", "d", "--output", "json", *place))
        spec: dict[str, Any] = shown["spec"]["template"]["spec"]
        return spec

    apply(web, side, volumes=volumes)
    assert pod() == {"containers": [web, side], "volumes": volumes}
    kubectl("set", "image", "deploy/d", "side=side:2", *place)
    kubectl("set", "env", "deploy/d", "--containers=web", "C=3", *place)
    kubectl("rollout", "restart", "deploy/d", *place)
    web["env"] = [*web["env"], {"name": "C", "value": "3"}]
    assert pod()["containers"] == [web, {**side, "image": "side:2"}]
    web["env"] = [{"name": "B", "value": "4"}]
    apply(web, volumes=volumes[:1])
    web["env"] = [{"name": "B", "value": "4"}, {"name": "C", "value": "3"}]
    assert pod() == {"containers": [web], "volumes": volumes[:1]}
    assert "web:1" in kubectl("get", "all", "--output", "wide", *place)


def test_what_is_not_read_from_protobuf_says_how_to_send_it(
    kubectl: Program, namespace: str, tmp_path: Path
) -> None:
    """kubectl 1.20 still sends JSON, as everybody may."""
    words = ("create", "deployment", "d", "--image=web:1", "--namespace", namespace)
    if not is_newest(kubectl):
        assert "created" in kubectl(*words)
        return
    refused = kubectl.attempt(*words)
    assert refused.code == 1
    assert "Deployment in version apps/v1 is not read from" in refused.stderr
    assert "`kubectl apply -f FILE`" in refused.stderr
    manifest = tmp_path / "deployment.yaml"
    manifest.write_text(kubectl(*words, "--dry-run=client", "-o", "yaml"))
    assert "created" in kubectl("apply", "-f", manifest)
    assert "created" in kubectl("run", "p", "--image=web:1", "--namespace", namespace)


def test_all_of_a_kind_in_a_namespace_are_deleted_together(
    kubectl: Program, namespace: str
) -> None:
    place = ("--namespace", namespace)
    for name in ("one", "two"):
        kubectl("create", "configmap", name, *place)
    deleted = kubectl("delete", "configmaps", "--all", *place)
    assert deleted.count("deleted") == 2
    assert kubectl("get", "configmaps", "--output", "name", *place) == ""
