"""kubectl, Debian's 1.20 and the newest, against every kind that is served.

1.20 reads OpenAPI v2 in protobuf and validates by it; the newest reads v3 and leaves validation to
the server. Both are unmodified and reach the server over TLS with a token, as in a cluster.
"""

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Home, Registry
from tests.kube_client import log_in
from tests.tools import Program, require

VERSIONS = ("kubectl-1.20", "kubectl")


def configuration(home: Path, registry: Registry, token: str) -> Path:
    """A kubeconfig of one cluster and one user."""
    assert registry.authority is not None
    authority = base64.b64encode(registry.authority.read_bytes()).decode()
    server = f"https://{registry.encrypted_address}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [
            {
                "name": "test",
                "cluster": {"server": server, "certificate-authority-data": authority},
            }
        ],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [
            {"name": "test", "context": {"cluster": "test", "user": "admin", "namespace": "kube"}}
        ],
    }
    path = home / "kubeconfig"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(params=VERSIONS)
def kubectl(request: pytest.FixtureRequest, logged_out: Home, registry: Registry) -> Program:
    path = configuration(logged_out.directory, registry, log_in(f"http://{registry.address}"))
    environment = {**logged_out.environment, "KUBECONFIG": str(path)}
    return Program(require(request.param), environment)


@pytest.fixture
def namespace(kubectl: Program, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"ns-{abs(hash(request.node.name)) % 10**9}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


RBAC = "rbac.authorization.k8s.io"

KINDS: dict[str, dict[str, Any]] = {
    "configmap": {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}},
    "secret": {"apiVersion": "v1", "kind": "Secret", "stringData": {"a": "1"}},
    "serviceaccount": {"apiVersion": "v1", "kind": "ServiceAccount"},
    "event": {
        "apiVersion": "v1",
        "kind": "Event",
        "reason": "Pushed",
        "message": "web:1 was pushed",
        "type": "Normal",
        "involvedObject": {"kind": "ConfigMap", "name": "x", "apiVersion": "v1"},
    },
    "resourcequota": {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "spec": {"hard": {"openshift.io/imagestreams": "10", "secrets": "20"}},
    },
    "limitrange": {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "spec": {"limits": [{"type": "openshift.io/Image", "max": {"storage": "1Gi"}}]},
    },
    "role": {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    },
    "rolebinding": {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": "una"}],
    },
    "clusterrole": {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    },
    "clusterrolebinding": {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": "una"}],
    },
    "namespace": {"apiVersion": "v1", "kind": "Namespace"},
    "project": {"apiVersion": "project.openshift.io/v1", "kind": "Project"},
    "user": {"apiVersion": "user.openshift.io/v1", "kind": "User", "fullName": "Una Example"},
    "group": {"apiVersion": "user.openshift.io/v1", "kind": "Group", "users": ["una"]},
    "identity": {
        "apiVersion": "user.openshift.io/v1",
        "kind": "Identity",
        "providerName": "corp",
        "providerUserName": "una",
    },
}

CLUSTER = ("clusterrole", "clusterrolebinding", "namespace", "project", "user", "group", "identity")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_made_read_changed_explained_and_deleted(
    kubectl: Program, namespace: str, kind: str, tmp_path: Path
) -> None:
    name = f"corp:una-{namespace}" if kind == "identity" else f"{kind}-{namespace}"
    place = () if kind in CLUSTER else ("--namespace", namespace)
    document = {**KINDS[kind], "metadata": {"name": name, "labels": {"made": "by-test"}}}
    if kind == "identity":
        document["providerUserName"] = f"una-{namespace}"
    if kind == "event":
        document["involvedObject"] = {**document["involvedObject"], "namespace": namespace}
    manifest = tmp_path / "object.json"

    def say(*words: str | Path) -> str:
        return kubectl(*words, *place)

    manifest.write_text(json.dumps(document))
    assert "created" in say("create", "--filename", manifest)
    assert name in say("get", kind, name)
    assert name in say("get", kind, name, "--output", "wide")
    assert name in say("get", kind, name, "--output", "yaml")
    assert name in say("get", kind, "--selector", "made=by-test")
    assert f"/{name}" in say("get", kind, "--output", "name")
    assert name in say("describe", kind, name)
    assert "labeled" in say("label", kind, name, "colour=blue")
    assert "annotated" in say("annotate", kind, name, "note=hello")
    merge = '{"metadata":{"annotations":{"note":"merged"}}}'
    assert "patched" in say("patch", kind, name, "--type", "merge", "--patch", merge)
    patch = '[{"op":"add","path":"/metadata/labels/patched","value":"yes"}]'
    assert "patched" in say("patch", kind, name, "--type", "json", "--patch", patch)
    strategic = '{"metadata":{"labels":{"colour":null}}}'
    assert "patched" in say("patch", kind, name, "--patch", strategic)

    document["metadata"]["labels"] = {"made": "by-test", "applied": "once"}
    manifest.write_text(json.dumps(document))
    say("apply", "--filename", manifest)
    document["metadata"]["labels"] = {"made": "by-test", "applied": "twice"}
    manifest.write_text(json.dumps(document))
    assert "configured" in say("apply", "--filename", manifest)
    assert "unchanged" in say("apply", "--filename", manifest)
    document["metadata"]["labels"] = {"made": "by-test", "server": "side"}
    manifest.write_text(json.dumps(document))
    say("apply", "--server-side", "--force-conflicts", "--filename", manifest)
    labels = json.loads(say("get", kind, name, "--output", "json"))["metadata"]["labels"]
    assert labels["patched"] == "yes"
    assert labels["server"] == "side"
    assert "colour" not in labels

    explained = kubectl("explain", f"{kind}.metadata.labels")
    assert "map[string]string" in explained
    assert "deleted" in say("delete", kind, name)
    gone = kubectl.attempt("get", kind, name, *place)
    assert gone.code == 1
    assert "NotFound" in gone.stderr


def test_a_watch_shows_what_happens(kubectl: Program, namespace: str) -> None:
    words = ("get", "configmaps", "--watch", "--namespace", namespace, "--output", "name")
    with subprocess.Popen(
        [kubectl.path, *words],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", **kubectl.environment},
    ) as watching:
        assert watching.stdout is not None
        time.sleep(1)  # kubectl lists before it watches; nothing tells when it has
        kubectl("create", "configmap", "seen", "--from-literal=a=1", "--namespace", namespace)
        for line in watching.stdout:
            if "seen" in line:
                break
        else:
            raise AssertionError("the watch ended without the event")
        watching.terminate()


def test_waiting_for_a_deletion_ends_with_it(kubectl: Program, namespace: str) -> None:
    kubectl("create", "configmap", "short", "--namespace", namespace)
    with subprocess.Popen(
        [kubectl.path, "wait", "--for=delete", "configmap/short", "--namespace", namespace],
        env={"PATH": "/usr/bin:/bin", **kubectl.environment},
    ) as waiting:
        kubectl("delete", "configmap", "short", "--namespace", namespace)
        assert waiting.wait(30) == 0


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
    assert kubectl("auth", "can-i", "create", "secrets", "--namespace", namespace) == "yes\n"
    as_una = ("--as", "una", "--namespace", namespace)
    refused = kubectl.attempt("auth", "can-i", "create", "secrets", *as_una)
    assert (refused.code, refused.stdout) == (1, "no\n")
    kubectl("create", "rolebinding", "una", "--clusterrole=edit", "--user=una", *as_una[2:])
    assert kubectl("auth", "can-i", "create", "secrets", *as_una) == "yes\n"
    layers = ("get", "imagestreams.image.openshift.io/web", "--subresource=layers")
    assert kubectl("auth", "can-i", *layers, *as_una) == "yes\n"
    assert "secrets" in kubectl("auth", "can-i", "--list", *as_una)
    if not kubectl.path.endswith("1.20"):
        assert "admin" in kubectl("auth", "whoami")


def test_an_unknown_field_is_refused_by_its_name(
    kubectl: Program, namespace: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "object.yaml"
    manifest.write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndtaa: {}\n")
    refused = kubectl.attempt("create", "--filename", manifest, "--namespace", namespace)
    assert refused.code != 0
    assert "dtaa" in refused.stderr


def test_imperative_commands_make_what_they_say(kubectl: Program, namespace: str) -> None:
    def create(*words: str) -> None:
        assert "created" in kubectl("create", *words, "--namespace", namespace)

    create("secret", "generic", "s", "--from-literal=a=1")
    create("secret", "docker-registry", "pull", "--docker-server=h", "--docker-username=u",
           "--docker-password=p")  # fmt: skip
    create("serviceaccount", "robot")
    create("role", "reader", "--verb=get", "--resource=configmaps")
    create("rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:robot")
    create("quota", "q", "--hard=secrets=20")
    assert "kubernetes.io/dockerconfigjson" in kubectl("get", "secrets", "--namespace", namespace)
    if not kubectl.path.endswith("1.20"):
        token = kubectl("create", "token", "robot", "--namespace", namespace).strip()
        assert token.count(".") == 2
