"""What makes a Rollout valid, and what is filled in."""

from typing import Any

import pytest

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.kinds.rollout import (
    ROLLOUTS,
    STEPS,
    Rollout,
    RolloutSpec,
    RolloutStatus,
    RolloutStep,
)
from tidegate.kinds.rollout_gates import (
    GATES,
    HttpGate,
    PrometheusGate,
    RolloutGate,
    RolloutStatusGate,
    condition_of,
)
from tidegate.kinds.rollout_traffic import RolloutTraffic, TrafficRule, TrafficStatus

STEP = RolloutStep(name="canary")


def rollout(**spec: Any) -> Rollout:
    values: dict[str, Any] = {"tag": "web:prod", "steps": [STEP]}
    return Rollout(
        metadata=ObjectMeta(name="r", namespace="shop"), spec=RolloutSpec(**{**values, **spec})
    )


def faults(**spec: Any) -> list[str]:
    made = rollout(**spec)
    ROLLOUTS.strategy.prepare(made, None)
    return [str(each) for each in ROLLOUTS.strategy.validate(made, None)]


def gate(**more: Any) -> RolloutGate:
    values: dict[str, Any] = {"name": "up", "http_get": HttpGate(url="http://x.example/")}
    return RolloutGate(**{**values, **more})


def weighs(*weights: dict[str, int], kind: str = "route") -> dict[str, Any]:
    steps = [RolloutStep(name=str(n), weights=each) for n, each in enumerate(weights)]
    return {"traffic": RolloutTraffic(**{kind: "web"}), "steps": steps}


def test_weights_are_of_an_object_of_the_cluster() -> None:
    assert faults(**weighs({"a": 256, "b": 0}, {}, {"b": 1, "a": 0})) == []
    assert faults(**weighs({"a": 1_000_000, "b": 0}, kind="http_route")) == []


def test_the_smallest_rollout_is_valid_and_gets_its_defaults() -> None:
    assert faults(gates=[gate()]) == []
    made = rollout(gates=[gate()])
    ROLLOUTS.strategy.prepare(made, None)
    assert (made.spec.on_failure, made.spec.deadline) == ("RollBack", "10m")
    found = made.spec.gates[0]
    assert (found.interval, found.successes, found.failures) == ("10s", 1, 3)


def test_the_status_is_not_for_users_to_write() -> None:
    made = rollout()
    made.status = RolloutStatus(phase="Complete", stable="sha256:mine")
    ROLLOUTS.strategy.prepare(made, None)
    assert made.status == RolloutStatus()
    old = rollout()
    old.status = RolloutStatus(phase="Held")
    made.status = RolloutStatus(phase="Complete")
    ROLLOUTS.strategy.prepare(made, old)
    assert made.status.phase == "Held"


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"tag": ""}, "spec.tag"),
        ({"tag": "web"}, "spec.tag: must be STREAM:TAG, of this project"),
        ({"tag": "other/web:1"}, "spec.tag"),
        ({"tag": "Web:1"}, "spec.tag"),
        ({"tag": "web:-"}, "spec.tag"),
        ({"steps": []}, "spec.steps"),
        ({"steps": [STEP] * (STEPS + 1)}, f"spec.steps: may not have more than {STEPS}"),
        ({"steps": [RolloutStep(name="")]}, "spec.steps[0].name"),
        ({"steps": [RolloutStep(name="a", pause="soon")]}, "spec.steps[0].pause"),
        ({"steps": [RolloutStep(name="a", pause="31d")]}, "spec.steps[0].pause"),
        ({"steps": [RolloutStep(name="a", workloads=["[a"])]}, "spec.steps[0].workloads[0]"),
        ({"steps": [RolloutStep(name="a", workloads=[""])]}, "spec.steps[0].workloads[0]"),
        ({"steps": [RolloutStep(name="a", workloads=["a"] * 33)]}, "spec.steps[0].workloads"),
        (
            {"steps": [RolloutStep(name="a", weights={"a": 1, "b": 1})]},
            "spec.steps[0].weights: take spec.traffic",
        ),
        ({"traffic": RolloutTraffic()}, "spec.traffic: must have one of httpRoute and route"),
        (
            {"traffic": RolloutTraffic(http_route="a", route="b")},
            "spec.traffic: must have one of httpRoute and route",
        ),
        ({"traffic": RolloutTraffic(http_route="../x")}, "spec.traffic.httpRoute"),
        ({"traffic": RolloutTraffic(route="A_b")}, "spec.traffic.route"),
        (weighs({"a": 1}), "spec.steps[0].weights: must be of 2 to 4 Services"),
        (weighs(dict.fromkeys("abcde", 1)), "spec.steps[0].weights: must be of 2 to 4 Services"),
        (weighs({"a": 257, "b": 1}), "spec.steps[0].weights[a]: must be between 0 and 256"),
        (weighs({"a": 1, "b": -1}), "spec.steps[0].weights[b]: must be between 0 and 256"),
        (weighs({"a": 0, "b": 0}), "spec.steps[0].weights: would send the traffic nowhere"),
        (
            weighs({"a": 1, "b": 1}, {}, {"a": 1, "c": 1}),
            "spec.steps[2].weights: must be of the same Services in all steps: a, b",
        ),
        (
            weighs({"a": 1_000_001, "b": 1}, kind="http_route"),
            "spec.steps[0].weights[a]: must be between 0 and 1000000",
        ),
        ({"on_failure": "Panic"}, "spec.onFailure"),
        ({"deadline": "x"}, "spec.deadline"),
        ({"gates": [gate(name="")]}, "spec.gates[0].name"),
        ({"gates": [gate(), gate()]}, "spec.gates: two gates have the same name"),
        ({"gates": [gate(name=str(n)) for n in range(GATES + 1)]}, "spec.gates: may not have more"),
        ({"gates": [gate(http_get=None)]}, "spec.gates[0]: must have one of"),
        ({"gates": [gate(rollout_status=RolloutStatusGate())]}, "spec.gates[0]: must have one of"),
        ({"gates": [gate(interval="0s")]}, "spec.gates[0].interval"),
        ({"gates": [gate(initial_delay="x")]}, "spec.gates[0].initialDelay"),
        ({"gates": [gate(successes=1001)]}, "spec.gates[0].successes"),
        ({"gates": [gate(failures=-1)]}, "spec.gates[0].failures"),
        ({"gates": [gate(http_get=HttpGate(url="x"))]}, "spec.gates[0].httpGet.url"),
        ({"gates": [gate(http_get=HttpGate(url="ftp://x"))]}, "spec.gates[0].httpGet.url"),
        (
            {"gates": [gate(http_get=HttpGate(url="http://u:p@x.example"))]},
            "spec.gates[0].httpGet.url: must not contain credentials",
        ),
        ({"gates": [gate(http_get=HttpGate(url="http://[x"))]}, "spec.gates[0].httpGet.url"),
        ({"gates": [gate(http_get=HttpGate(url="http://x.example/ y"))]}, "httpGet.url"),
        ({"gates": [gate(http_get=HttpGate(url="http://x", status=1))]}, "httpGet.status"),
        ({"steps": [RolloutStep(name="a", gates=[gate(name="")])]}, "spec.steps[0].gates[0].name"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(spec: dict[str, Any], fault: str) -> None:
    field, _, why = fault.partition(": ")
    found = faults(**spec)
    assert any(field in each and why in each for each in found), found


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ({"query": ""}, "query"),
        ({"condition": "less"}, "condition"),
        ({"condition": "< 1_0"}, "condition"),
        ({"no_data": "Maybe"}, "noData"),
        ({"url": "prometheus"}, "url"),
    ],
)
def test_a_query_has_to_be_one(query: dict[str, Any], fault: str) -> None:
    values = {"url": "http://p.example", "query": "up", "condition": "> 0", **query}
    found = faults(gates=[gate(http_get=None, prometheus=PrometheusGate(**values))])
    assert [each.partition(":")[0] for each in found] == [f"spec.gates[0].prometheus.{fault}"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("< 0.01", ("<", 0.01)),
        (" >=-2 ", (">=", -2.0)),
        ("!= 1e-3", ("!=", 0.001)),
        ("=1", None),
        ("<", None),
        ("< one", None),
        ("", None),
    ],
)
def test_a_condition_is_a_comparison_with_a_number(text: str, found: object) -> None:
    assert condition_of(text) == found


def test_the_table_tells_how_far_it_is() -> None:
    made = rollout()
    made.status = RolloutStatus(phase="Progressing", step=1, step_name="canary", message="waits")
    cells = [each.cell(made, 0.0) for each in ROLLOUTS.columns]
    assert cells == ["web:prod", "Progressing", "1/1 canary", "waits", "", "", ""]


def test_the_table_tells_the_weights_that_the_object_is_known_to_have() -> None:
    made = rollout()
    made.status.traffic = TrafficStatus(weights=[TrafficRule(weights={"web": 90, "canary": 10})])
    (weights,) = (each for each in ROLLOUTS.columns if each.name == "Weights")
    assert weights.cell(made, 0.0) == ""
    made.status.traffic.written = "2026-11-25T00:00:00Z"
    assert weights.cell(made, 0.0) == "canary 10, web 90"
