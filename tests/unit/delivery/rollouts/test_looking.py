"""What a look at a gate shows, and what it does not."""

import asyncio
import json
from typing import Any

import pytest

from tests.unit.delivery.triggers.things import deployment
from tidegate.delivery.rollouts.facts import Look
from tidegate.delivery.rollouts.looking import Looking, holds, sample
from tidegate.delivery.rollouts.readiness import NOT_RUN, ready
from tidegate.delivery.triggers.reading import SHAPES, workload_of
from tidegate.delivery.triggers.targets import TargetUnavailable
from tidegate.delivery.triggers.workload import Workload, WorkloadKey
from tidegate.kinds.rollout_gates import (
    HttpGate,
    PrometheusGate,
    RolloutGate,
    RolloutStatusGate,
)
from tidegate.remote.errors import AddressRefused, RemoteError, Unavailable
from tidegate.remote.web import WebAnswer


class Calls:
    """Answers every call the same, and notes the URLs."""

    def __init__(self, answer: WebAnswer | RemoteError) -> None:
        self.answer = answer
        self.urls: list[str] = []

    async def request(
        self,
        method: str,
        url: str,
        headers: None = None,
        body: bytes = b"",
        *,
        limit: int,
        patience: float,
    ) -> WebAnswer:
        assert (method, headers, body) == ("GET", None, b"")
        assert limit > 0
        assert patience > 0
        self.urls.append(url)
        if isinstance(self.answer, RemoteError):
            raise self.answer
        return self.answer


def answer(status: int, body: bytes = b"") -> WebAnswer:
    return WebAnswer(status, {}, body)


def looked(
    gate: RolloutGate,
    came: WebAnswer | RemoteError,
    bodies: dict[WorkloadKey, bytes] | None = None,
    workloads: tuple[Workload, ...] = (),
) -> Look:
    async def reads(key: WorkloadKey) -> bytes | None:
        if bodies is None:
            raise TargetUnavailable
        return bodies.get(key)

    return asyncio.run(Looking(Calls(came), reads).look(gate, workloads))


HTTP = RolloutGate(name="up", http_get=HttpGate(url="http://gate.example/"))


@pytest.mark.parametrize(
    ("wanted", "status", "good"),
    [(0, 200, True), (0, 204, True), (0, 302, False), (0, 500, False), (503, 503, True),
     (503, 200, False)],
)  # fmt: skip
def test_a_url_has_to_answer_as_it_is_to(wanted: int, status: int, good: bool) -> None:
    gate = RolloutGate(name="up", http_get=HttpGate(url="http://gate.example/", status=wanted))
    assert looked(gate, answer(status)) == Look(good, f"answered {status}")


def test_nothing_of_an_answer_or_of_the_network_is_shown() -> None:
    assert "secret" not in looked(HTTP, answer(500, b"secret")).message
    failure = Unavailable("connection refused by 10.0.0.7:5432")
    assert looked(HTTP, failure) == Look(False, "no answer (Unavailable)")
    refusal = AddressRefused("gate.example is at 10.0.0.7")
    assert looked(HTTP, refusal) == Look(False, "the address is none that this server may call")


def vector(*values: str) -> bytes:
    result = [{"metric": {}, "value": [1, each]} for each in values]
    return json.dumps({"data": {"resultType": "vector", "result": result}}).encode()


def query(condition: str = "< 0.01", no_data: str = "Failure") -> RolloutGate:
    gate = PrometheusGate(
        url="http://prometheus.example/", query='rate(x{a="b"})', condition=condition,
        no_data=no_data,
    )  # fmt: skip
    return RolloutGate(name="errors", prometheus=gate)


def test_a_query_is_asked_as_prometheus_is() -> None:
    calls = Calls(answer(200, vector("0.002")))

    async def reads(key: WorkloadKey) -> bytes | None:
        raise AssertionError(key)

    found = asyncio.run(Looking(calls, reads).look(query(), ()))
    assert found == Look(True, "0.002, wanted < 0.01")
    assert calls.urls == [
        "http://prometheus.example/api/v1/query?query=rate%28x%7Ba%3D%22b%22%7D%29"
    ]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (vector("2"), 2.0),
        (vector("1", "2"), 1.0),
        (vector(), None),
        (b'{"data":{"resultType":"scalar","result":[1,"7"]}}', 7.0),
        (b'{"data":{"resultType":"vector","result":[{"value":[1,"x"]}]}}', None),
        (b'{"data":{"resultType":"vector","result":[7]}}', None),
        (b'{"status":"error"}', None),
        (b"[]", None),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_the_value_of_a_query_is_that_of_its_first_sample(body: bytes, value: Any) -> None:
    assert sample(body) == value


@pytest.mark.parametrize(("no_data", "good"), [("Failure", False), ("Success", True)])
def test_no_sample_counts_as_the_gate_says(no_data: str, good: bool) -> None:
    for body in (vector(), vector("NaN"), b"nonsense"):
        assert looked(query(no_data=no_data), answer(200, body)).good is good


def test_a_query_that_fails_is_bad() -> None:
    assert looked(query(), answer(422)) == Look(False, "the query was answered 422")


@pytest.mark.parametrize(
    ("condition", "value", "good"),
    [("< 1", 0.5, True), ("< 1", 1, False), ("<=1", 1, True), ("> 1", 1, False), (">= 1", 1, True),
     ("== 2", 2, True), ("!= 2", 2, False), ("> -1.5e3", -1, True), ("nonsense", 1, False)],
)  # fmt: skip
def test_a_value_is_compared(condition: str, value: float, good: bool) -> None:
    assert holds(condition, value) is good


STATUS = RolloutGate(name="out", rollout_status=RolloutStatusGate())


def body_of(name: str = "web", **status: Any) -> bytes:
    return json.dumps({**deployment(name), "status": status}).encode()


def workload(name: str = "web") -> Workload:
    found = workload_of(SHAPES["deployments.apps"], json.dumps(deployment(name)).encode())
    assert found is not None
    return found


def test_workloads_of_the_step_have_to_be_rolled_out() -> None:
    one, two = workload("one"), workload("two")
    done = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    bodies = {one.key: body_of("one", **done), two.key: body_of("two", observedGeneration=1)}
    found = looked(STATUS, answer(200), bodies, (one, two))
    assert found == Look(None, "Deployment two: 0 of 1 replicas are updated")
    bodies[two.key] = body_of("two", **done)
    assert looked(STATUS, answer(200), bodies, (one, two)) == Look(True, "rolled out")


def test_workloads_that_nothing_runs_are_never_rolled_out() -> None:
    one = workload("one")
    found = looked(STATUS, answer(200), {one.key: body_of("one")}, (one,))
    assert found == Look(None, f"Deployment one: {NOT_RUN}")


def test_workloads_that_cannot_be_read_are_looked_at_again() -> None:
    one = workload("one")
    assert looked(STATUS, answer(200), None, (one,)).good is None


@pytest.mark.parametrize(
    ("kind", "generation", "spec", "status", "look"),
    [
        ("Deployment", 2, {"replicas": 3}, {"observedGeneration": 1}, None),
        ("Deployment", 1, {"replicas": 3}, {"updatedReplicas": 2}, None),
        ("Deployment", 1, {"replicas": 3}, {"updatedReplicas": 3, "replicas": 4}, None),
        (
            "Deployment", 1, {"replicas": 3},
            {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 2}, None,
        ),
        (
            "Deployment", 1, {"replicas": 3},
            {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}, True,
        ),
        ("Deployment", 1, {"replicas": 0}, {}, True),
        (
            "Deployment", 1, {},
            {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}, False,
        ),
        ("StatefulSet", 1, {"replicas": 2}, {"readyReplicas": 1}, None),
        (
            "StatefulSet", 1, {"replicas": 2},
            {"readyReplicas": 2, "updatedReplicas": 1, "updateRevision": "b",
             "currentRevision": "a"}, None,
        ),
        (
            "StatefulSet", 1, {"replicas": 2},
            {"readyReplicas": 2, "updatedReplicas": 2, "updateRevision": "b",
             "currentRevision": "b"}, True,
        ),
        ("DaemonSet", 1, {}, {"desiredNumberScheduled": 2, "updatedNumberScheduled": 1}, None),
        (
            "DaemonSet", 1, {},
            {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1}, None,
        ),
        (
            "DaemonSet", 1, {},
            {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}, True,
        ),
        ("CronJob", 1, {}, {}, True),
    ],
)  # fmt: skip
def test_a_workload_is_rolled_out_as_kubectl_says(
    kind: str, generation: int, spec: Any, status: Any, look: bool | None
) -> None:
    found = {
        "metadata": {"generation": generation},
        "spec": spec,
        "status": {"observedGeneration": 1, **status},
    }
    assert ready(kind, json.dumps(found).encode()).good is look
