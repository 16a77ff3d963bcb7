"""What an HTTPRoute and a Route say of traffic, and what is written to one."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from tests.unit.delivery.rollouts.roads import http_route
from tidegate.delivery.rollouts.routes import ClusterRoutes, NoRoutes
from tidegate.delivery.rollouts.splits import Split, operations, patch_of, split_of
from tidegate.delivery.triggers.targets import Overtaken, TargetRefused, TargetUnavailable
from tidegate.kinds.rollout_traffic import ANNOTATION, HTTP_ROUTE, ROUTE, TrafficRule
from tidegate.remote.cluster.access import ClusterAccess
from tidegate.remote.cluster.client import ClusterClient

BOTH = ("web", "web-canary")
OWN, TEN = {"web": 100, "web-canary": 0}, {"web": 90, "web-canary": 10}
PATH = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/web"


def seen(kind: str, values: dict[str, Any]) -> Split:
    return split_of(kind, "web", json.dumps(values).encode(), "web", BOTH)


def rules(*weights: dict[str, int]) -> list[TrafficRule]:
    return [TrafficRule(weights=each) for each in weights]


def route(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "web", "uid": "u1", "annotations": {ANNOTATION: "web"}}
    return {"metadata": metadata, "spec": spec}


def test_rules_count_that_send_to_all_of_the_services() -> None:
    found = seen(HTTP_ROUTE, http_route(OWN, {"web": 1}, {**TEN, "other": 5}, {"web-canary": 1}))
    assert (found.rules, found.problem) == (rules(OWN, TEN), "")
    assert operations(found, rules(TEN, TEN)) == [
        {"op": "add", "path": "/spec/rules/0/backendRefs/0/weight", "value": 90},
        {"op": "add", "path": "/spec/rules/0/backendRefs/1/weight", "value": 10},
    ]


def test_a_weight_that_is_not_there_is_what_the_definition_says() -> None:
    body = http_route(OWN)
    for each in body["spec"]["rules"][0]["backendRefs"]:
        del each["weight"]
    assert seen(HTTP_ROUTE, body).rules == rules({"web": 1, "web-canary": 1})
    backends = [{"kind": "Service", "name": "web-canary", "weight": None}]
    found = seen(ROUTE, route(to={"name": "web"}, alternateBackends=backends))
    assert found.rules == rules({"web": 100, "web-canary": 100})


@pytest.mark.parametrize(
    "other",
    [
        {"name": "web-canary", "namespace": "elsewhere"},
        {"name": "web-canary", "group": "example.com", "kind": "Bucket"},
        {"name": "web-canary", "kind": "ServiceImport"},
    ],
)
def test_what_is_no_service_of_the_namespace_is_none_of_them(other: dict[str, str]) -> None:
    body = http_route(OWN)
    body["spec"]["rules"][0]["backendRefs"][1] = other
    assert "sends nothing to web, web-canary together" in seen(HTTP_ROUTE, body).problem


def test_a_rule_that_names_a_service_twice_does_not_count() -> None:
    body = http_route(OWN)
    body["spec"]["rules"][0]["backendRefs"].append({"name": "web"})
    assert seen(HTTP_ROUTE, body).rules == []


def test_a_route_is_one_rule() -> None:
    backends = [{"name": "web-canary", "weight": 0}]
    found = seen(ROUTE, route(to={"name": "web", "weight": 100}, alternateBackends=backends))
    assert found.rules == rules(OWN)
    assert [each["path"] for each in operations(found, rules(TEN))] == [
        "/spec/to/weight",
        "/spec/alternateBackends/0/weight",
    ]
    assert seen(ROUTE, route(to={"name": "web"}, alternateBackends=None)).problem


def test_a_patch_for_others_names_the_services_it_means() -> None:
    found = seen(HTTP_ROUTE, http_route(OWN))
    assert json.loads(patch_of(found, rules(TEN)))[:2] == [
        {"op": "test", "path": "/spec/rules/0/backendRefs/0/name", "value": "web"},
        {"op": "add", "path": "/spec/rules/0/backendRefs/0/weight", "value": 90},
    ]
    assert patch_of(found, rules(OWN)) == ""


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (None, "there is no HTTPRoute web with the annotation tidegate.io/rollout: web"),
        (b"{", "there is no HTTPRoute web with"),
        (b'{"spec": {"rules": "none"}}', "there is no HTTPRoute web with"),
        (b'{"spec": {"rules": []}}', "there is no HTTPRoute web with"),
        (json.dumps(http_route(OWN, rollout="api")).encode(), "there is no HTTPRoute web with"),
    ],
)
def test_an_object_that_is_not_for_this_rollout_says_why(body: bytes | None, problem: str) -> None:
    assert problem in split_of(HTTP_ROUTE, "web", body, "web", BOTH).problem


class Cluster:
    """Answers one thing."""

    def __init__(self, code: int, answer: Any) -> None:
        self.code, self.answer = code, answer
        self.asked: list[tuple[str, str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, request.url.path, body))
        if self.code == 0:
            raise httpx.ConnectError("refused")
        return httpx.Response(self.code, json=self.answer)


def use(cluster: Cluster, work: Callable[[ClusterRoutes], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        client = ClusterClient(ClusterAccess("https://cluster"), httpx.MockTransport(cluster))
        try:
            return await work(ClusterRoutes(client))
        finally:
            await client.close()

    return asyncio.run(run())


SPLIT = seen(HTTP_ROUTE, http_route(OWN))


def test_a_write_names_the_version_that_it_is_for() -> None:
    cluster = Cluster(200, http_route(TEN))
    use(cluster, lambda each: each.write("shop", SPLIT, rules(TEN)))
    ((method, path, patch),) = cluster.asked
    assert (method, path) == ("PATCH", PATH)
    assert patch == [
        {"op": "add", "path": "/metadata/resourceVersion", "value": "1"},
        *operations(SPLIT, rules(TEN)),
    ]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (409, Overtaken),
        (404, Overtaken),
        (403, TargetRefused),
        (422, TargetRefused),
        (503, TargetUnavailable),
        (401, TargetUnavailable),
        (0, TargetUnavailable),
    ],
)
def test_what_the_cluster_says_of_a_write(code: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        use(Cluster(code, {}), lambda each: each.write("shop", SPLIT, rules(TEN)))


def test_what_the_cluster_says_of_a_look() -> None:
    body = use(Cluster(200, http_route(OWN)), lambda each: each.read("shop", HTTP_ROUTE, "web"))
    assert json.loads(body)["kind"] == "HTTPRoute"
    gone = Cluster(404, {})
    assert use(gone, lambda each: each.read("shop", ROUTE, "web")) is None
    assert gone.asked[0][1] == "/apis/route.openshift.io/v1/namespaces/shop/routes/web"
    for code, error in ((403, TargetRefused), (0, TargetUnavailable)):
        with pytest.raises(error):
            use(Cluster(code, {}), lambda each: each.read("shop", ROUTE, "web"))


def test_a_server_without_a_cluster_has_neither() -> None:
    with pytest.raises(TargetRefused, match="no cluster"):
        asyncio.run(NoRoutes().read("shop", ROUTE, "web"))
    with pytest.raises(TargetRefused, match="no cluster"):
        asyncio.run(NoRoutes().write("shop", SPLIT, rules(TEN)))
