"""What splits traffic in a cluster, as far as a test's API server can have it.

The definitions are of this project's writing: the fields that are read and written, with the
defaults that the kinds' own definitions give weights.
"""

from typing import Any

from tests.kube_client import KubeClient
from tests.server import wait_until

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HTTP_ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes"
ROUTES = "/apis/route.openshift.io/v1/namespaces/{}/routes"


def _number(most: int, default: int) -> dict[str, Any]:
    return {"type": "integer", "format": "int32", "minimum": 0, "maximum": most, "default": default}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


TEXT: dict[str, Any] = {"type": "string"}
BACKEND = _object(
    group={**TEXT, "default": ""},
    kind={**TEXT, "default": "Service"},
    name=TEXT,
    port={"type": "integer"},
    weight=_number(1_000_000, 1),
)
RULE = _object(backendRefs={"type": "array", "maxItems": 16, "items": BACKEND})
HTTP_ROUTE_SPEC = _object(
    hostnames={"type": "array", "items": TEXT}, rules={"type": "array", "items": RULE}
)
TARGET = _object(kind={**TEXT, "default": "Service"}, name=TEXT, weight=_number(256, 100))
ROUTE_SPEC = _object(
    host=TEXT, to=TARGET, alternateBackends={"type": "array", "maxItems": 3, "items": TARGET}
)


def define(admin: KubeClient) -> None:
    """Let a cluster have both kinds, and wait until it does."""
    for group, kind, spec in (
        ("gateway.networking.k8s.io", "HTTPRoute", HTTP_ROUTE_SPEC),
        ("route.openshift.io", "Route", ROUTE_SPEC),
    ):
        plural = f"{kind.lower()}s"
        schema = {"openAPIV3Schema": _object(spec=spec)}
        version = {"name": "v1", "served": True, "storage": True, "schema": schema}
        made = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": f"{plural}.{group}",
                "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
            },
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                "versions": [version],
            },
        }
        answer = admin.post(CRDS, made)
        assert answer.status_code in (201, 409), answer.text
        path = f"/apis/{group}/v1/{plural}"
        wait_until(lambda path=path: admin.get(path).status_code == 200, what=kind)  # type: ignore[misc]


def http_route(**weights: int) -> dict[str, Any]:
    """An HTTPRoute of two rules, of which the first splits."""
    backends = [
        {"name": name.replace("_", "-"), "port": 80, "weight": weight}
        for name, weight in weights.items()
    ]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "annotations": {"tidegate.io/rollout": "web"}},
        "spec": {
            "hostnames": ["web.example"],
            "rules": [{"backendRefs": backends}, {"backendRefs": [{"name": "web", "port": 8080}]}],
        },
    }


def route(**weights: int) -> dict[str, Any]:
    """A Route that sends to the first Service, and to the others beside it."""
    first, *others = [
        {"kind": "Service", "name": name.replace("_", "-"), "weight": weight}
        for name, weight in weights.items()
    ]
    return {
        "apiVersion": "route.openshift.io/v1",
        "kind": "Route",
        "metadata": {"name": "web", "annotations": {"tidegate.io/rollout": "web"}},
        "spec": {"host": "web.example", "to": first, "alternateBackends": others},
    }


def weights_of(found: dict[str, Any]) -> dict[str, int]:
    """The weights of an HTTPRoute's first rule, or of a Route."""
    spec = found["spec"]
    if "rules" in spec:
        backends = spec["rules"][0]["backendRefs"]
    else:
        backends = [spec["to"], *spec["alternateBackends"]]
    return {each["name"]: each["weight"] for each in backends}
