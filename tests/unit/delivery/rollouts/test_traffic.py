"""Weights of a rollout as they follow from what is seen, with an HTTPRoute in memory.

Each turn is what a process does: it writes what the status says, looks, and decides.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.delivery.rollouts.roads import Road, http_route
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.delivery.rollouts.balancing import balanced, news
from tidegate.delivery.rollouts.facts import Facts, Look
from tidegate.delivery.rollouts.gates import PROGRESSING, READY
from tidegate.delivery.rollouts.machine import advance, refused
from tidegate.delivery.rollouts.phases import (
    COMPLETE,
    HELD,
    IDLE,
    ROLLED_BACK,
    ROLLING_BACK,
    SUSPENDED,
)
from tidegate.delivery.rollouts.traffic import Balance, is_to_be_ready
from tidegate.delivery.triggers.targets import Overtaken, TargetRefused, TargetUnavailable
from tidegate.kinds.rollout import ROLLOUTS, Rollout, RolloutSpec, RolloutStatus, RolloutStep
from tidegate.kinds.rollout_gates import HttpGate, RolloutGate
from tidegate.kinds.rollout_traffic import RolloutTraffic

NOW = 1_790_000_000.0
OLD, NEW, NEWER = "sha256:old", "sha256:new", "sha256:newer"
UP, DOWN, STUCK = Look(True, "rolled out"), Look(None, "0 of 1 available"), Look(False, "stuck")
GOOD, BAD, NOTHING = Look(True, "answered 200"), Look(False, "answered 500"), Look(None, "")
GATE = RolloutGate(name="ok", http_get=HttpGate(url="http://x.example"), failures=1)

OWN, TEN, HALF = ({"web": 100 - each, "web-canary": each} for each in (0, 10, 50))
CANARY = RolloutStep(name="canary", workloads=["web-canary"])
AT_TEN, AT_HALF = (RolloutStep(name=f"at{each['web']}", weights=each) for each in (TEN, HALF))
REST = RolloutStep(name="rest")


class Run:
    """A rollout that is looked at again and again, and the object that splits its traffic."""

    def __init__(self, *steps: RolloutStep, **spec: Any) -> None:
        values: dict[str, Any] = {"gates": [GATE], "traffic": RolloutTraffic(http_route="web")}
        made = [msgspec.structs.replace(each) for each in steps or (CANARY, AT_TEN, AT_HALF, REST)]
        self.rollout = Rollout(
            metadata=ObjectMeta(name="web", namespace="shop", generation=1),
            spec=RolloutSpec(tag="web:prod", steps=made, **{**values, **spec}),
        )
        ROLLOUTS.strategy.prepare(self.rollout, None)
        assert list(ROLLOUTS.strategy.validate(self.rollout, None)) == []
        self.road = Road()
        self.now = NOW
        self.reports = False
        self.said: list[str] = []

    @property
    def status(self) -> RolloutStatus:
        return self.rollout.status

    def balance(self) -> Balance:
        return asyncio.run(balanced(self.road, self.rollout, reports=self.reports))

    def turn(self, image: str, after: float = 1.0, ready: Look = UP, **facts: Any) -> RolloutStatus:
        """One turn of a process: gates are good unless it is said."""
        self.now += after
        balance = Balance() if self.rollout.spec.suspend else self.balance()
        looks = {"ok": facts.pop("gate", GOOD)}
        if is_to_be_ready(self.rollout):
            looks[READY.name] = ready
        found = Facts(image, looks=looks, balance=balance, **facts)
        status = advance(self.rollout, found, self.now)
        news_ = news(self.rollout, status, balance)
        self.said += [news_] if news_ else []
        self.rollout.status = status
        return status

    def until(self, name: str, image: str = NEW, **more: Any) -> "Run":
        """At the step of this name, with its weights written; its gates say nothing."""
        if not self.status.stable:
            self.turn(OLD)
        for _ in range(20):
            if self.status.step_name == name and self.status.step_updated:
                return self
            self.turn(image, gate=NOTHING if self.status.step_name == name else GOOD, **more)
        raise AssertionError(f"wanted {name}: {self.status}")

    def delete(self) -> None:
        self.rollout.metadata.deletion_timestamp = "2026-11-25T00:00:00Z"


def test_weights_rise_step_by_step_and_are_what_they_were_in_the_end() -> None:
    run = Run()
    run.until("canary")
    assert run.road.written == []
    run.until("at90")
    assert run.road.weights == [TEN]
    run.until("at50").until("rest")
    assert run.road.weights == [HALF]
    for _ in range(3):
        status = run.turn(NEW)
    assert (status.phase, status.stable, status.traffic) == (COMPLETE, NEW, None)
    assert run.road.written == [[TEN], [HALF], [OWN]]
    assert run.said == [
        "HTTPRoute web gets web 90, web-canary 10",
        "HTTPRoute web gets web 50, web-canary 50",
        "HTTPRoute web gets back web 100, web-canary 0",
        "HTTPRoute web has its own weights again",
    ]


def test_what_it_had_is_in_the_status_before_anything_is_written() -> None:
    run = Run()
    run.until("canary").turn(NEW)
    status = run.turn(NEW)
    assert status.traffic is not None
    assert (status.step_name, run.road.written) == ("at90", [])
    assert [each.weights for each in status.traffic.original] == [OWN]
    assert [each.weights for each in status.traffic.weights] == [TEN]
    assert status.traffic.written == ""


def test_nothing_gets_traffic_before_it_is_rolled_out() -> None:
    run = Run()
    run.until("canary")
    for _ in range(5):
        status = run.turn(NEW, ready=DOWN)
    assert (status.step_name, status.message) == ("at90", "step at90: 0 of 1 available")
    assert run.road.written == []
    run.until("at90")
    assert run.road.weights == [TEN]


def test_traffic_goes_back_only_to_what_is_rolled_out() -> None:
    run = Run().until("rest")
    for _ in range(5):
        assert run.turn(NEW, ready=DOWN).phase == PROGRESSING
    assert run.road.weights == [HALF]
    assert run.turn(NEW, after=700, ready=DOWN).phase == ROLLING_BACK


def test_workloads_that_are_stuck_fail_the_step_before_it_has_traffic() -> None:
    run = Run()
    run.until("canary").turn(NEW)
    status = run.turn(NEW, ready=STUCK)
    assert (status.phase, status.message) == (ROLLING_BACK, "step at90 failed: stuck")
    assert run.road.written == []


def test_a_bad_gate_takes_the_traffic_off_before_the_tag_goes_back() -> None:
    run = Run().until("at50")
    status = run.turn(NEW, gate=BAD)
    assert status.phase == ROLLING_BACK
    assert status.traffic is not None
    assert status.traffic.returns
    run.turn(NEW)  # in which the tag goes back, after the weights
    assert run.road.weights == [OWN]
    status = run.turn(OLD)
    assert (status.phase, status.traffic) == (ROLLED_BACK, None)
    assert run.turn(NEW).phase == HELD
    assert run.road.written == [[TEN], [HALF], [OWN]]


def test_the_tag_goes_back_though_the_cluster_is_away_and_the_weights_follow() -> None:
    run = Run().until("at50")
    run.turn(NEW, gate=BAD)
    run.road.unreadable = TargetUnavailable("away")
    status = run.turn(OLD)
    assert (status.phase, status.traffic is not None) == (ROLLED_BACK, True)
    run.road.unreadable = None
    assert run.turn(OLD).traffic is None
    assert run.road.weights == [OWN]


def test_hold_leaves_the_weights_until_something_else_comes() -> None:
    run = Run(on_failure="Hold").until("at50")
    assert run.turn(NEW, gate=BAD).phase == HELD
    for _ in range(3):
        run.turn(NEW)
    assert run.road.weights == [HALF]
    status = run.turn(NEWER)
    assert (status.phase, status.step) == (PROGRESSING, 0)
    status = run.turn(NEWER)
    assert (run.road.weights, status.step) == ([OWN], 1)


def test_another_image_begins_when_the_traffic_of_the_one_before_is_gone() -> None:
    run = Run().until("at50")
    status = run.turn(NEWER)
    assert (status.phase, status.step, status.target) == (PROGRESSING, 0, NEWER)
    assert "begins when HTTPRoute web gets back what it had" in status.message
    assert [each.outcome for each in status.history] == ["Superseded"]
    status = run.turn(NEWER)
    assert (status.step, status.traffic, run.road.weights) == (1, None, [OWN])
    assert len(status.history) == 1


def test_a_tag_that_is_taken_back_by_hand_takes_the_traffic_back() -> None:
    run = Run().until("at50")
    run.turn(OLD)
    assert run.turn(OLD).traffic is None
    assert (run.status.phase, run.road.weights) == (COMPLETE, [OWN])


def test_a_tag_that_is_gone_takes_the_traffic_back() -> None:
    run = Run().until("at50")
    run.turn("")
    run.turn("")
    assert (run.status.phase, run.road.weights) == (IDLE, [OWN])


def test_suspended_weights_stay_and_rise_afterwards() -> None:
    run = Run().until("at90")
    run.rollout.spec.suspend = True
    for _ in range(3):
        assert run.turn(NEW).phase == SUSPENDED
    assert run.road.weights == [TEN]
    run.rollout.spec.suspend = False
    run.until("at50")
    assert run.road.weights == [HALF]


def test_who_deletes_the_rollout_gets_the_weights_back_first() -> None:
    run = Run().until("at50")
    run.delete()
    status = run.turn(NEW)
    assert status.traffic is not None
    assert "is deleted when HTTPRoute web gets back what it had" in status.message
    assert run.turn(NEW).traffic is None
    assert run.road.weights == [OWN]


def test_a_rollout_is_deleted_though_the_cluster_refuses_and_not_while_it_is_away() -> None:
    run = Run().until("at50")
    run.delete()
    run.turn(NEW)
    run.road.trouble = TargetUnavailable("away")
    assert run.turn(NEW).traffic is not None
    run.road.trouble = TargetRefused("forbidden")
    assert run.turn(NEW).traffic is None
    assert run.said[-1] == "HTTPRoute web is left as it is: forbidden"


@pytest.mark.parametrize("edit", [OWN, {"web": 70, "web-canary": 30}])
def test_who_edits_the_weights_in_the_middle_has_them_and_the_rollout_stops(
    edit: dict[str, int],
) -> None:
    run = Run().until("at50")
    run.road.edit(edit)
    status = run.turn(NEW)
    assert (status.phase, status.traffic, status.failed) == (HELD, None, [NEW])
    assert "somebody set web" in status.message
    for _ in range(3):
        assert run.turn(NEW).phase == HELD
    assert run.road.weights == [edit]
    assert run.road.written == [[TEN], [HALF]]
    run.rollout.spec.retry, run.rollout.metadata.generation = NEW, 2
    for _ in range(20):
        run.turn(NEW)
    assert (run.status.phase, run.road.weights) == (COMPLETE, [edit])


def test_what_else_is_edited_is_nobodys_business() -> None:
    run = Run().until("at90")
    assert run.road.route is not None
    run.road.route["spec"]["rules"].insert(0, {"backendRefs": [{"name": "admin", "weight": 1}]})
    run.road.touch()
    run.until("at50")
    assert run.road.weights == [{"admin": 1}, HALF]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda road: setattr(road, "route", None), "there is no HTTPRoute web"),
        (
            lambda road: setattr(road, "route", http_route(HALF, uid="u2")),
            "HTTPRoute web was made anew",
        ),
        (
            lambda road: setattr(road, "route", http_route(HALF, rollout="other")),
            "with the annotation tidegate.io/rollout: web",
        ),
        (lambda road: road.edit({"web": 1}), "sends nothing to web, web-canary together"),
    ],
)
def test_an_object_that_is_gone_or_taken_away_stops_the_rollout(change: Any, why: str) -> None:
    run = Run().until("at50")
    change(run.road)
    status = run.turn(NEW)
    assert (status.phase, status.traffic) == (HELD, None)
    assert why in status.message
    assert run.road.written == [[TEN], [HALF]]


def test_an_object_that_is_not_there_is_waited_for_until_the_deadline() -> None:
    run = Run()
    run.road.route = None
    run.until("canary").turn(NEW)
    assert "there is no HTTPRoute web" in run.turn(NEW).message
    assert run.turn(NEW, after=700).phase == ROLLING_BACK
    assert run.turn(OLD).phase == ROLLED_BACK


def test_an_edit_while_the_traffic_goes_back_is_hers_and_the_tag_goes_back() -> None:
    run = Run().until("at50")
    run.turn(NEW, gate=BAD)
    run.road.edit({"web": 1, "web-canary": 1})
    run.turn(NEW)
    assert run.turn(OLD).phase == ROLLED_BACK
    assert (run.road.weights, run.status.traffic) == ([{"web": 1, "web-canary": 1}], None)


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        (TargetRefused("may not patch"), "may not patch"),
        (TargetUnavailable("https://10.1.2.3: away"), "the cluster does not answer"),
        (TimeoutError(), "the cluster does not answer"),
        (Overtaken(), ""),
    ],
)
def test_weights_that_cannot_be_written_are_tried_until_the_deadline(
    trouble: Exception, why: str
) -> None:
    run = Run()
    run.until("canary")
    run.road.trouble = trouble
    for _ in range(4):
        status = run.turn(NEW)
    assert (status.phase, status.step_name) == (PROGRESSING, "at90")
    assert why in status.message
    run.road.trouble = None
    run.until("at90")
    run.road.trouble = trouble
    for _ in range(3):
        run.turn(NEW)
    status = run.turn(NEW, after=700)
    assert (status.phase, status.traffic is not None) == (ROLLING_BACK, True)
    run.road.trouble = None
    run.turn(OLD)
    assert (run.turn(OLD).traffic, run.road.weights) == (None, [OWN])


def test_a_write_whose_answer_is_lost_is_found_and_not_made_again() -> None:
    run = Run()
    run.until("canary")
    run.road.lost = TargetUnavailable("the connection broke")
    run.until("at90")
    assert run.road.written == [[TEN]]


def test_a_write_that_comes_after_it_was_given_up_is_no_edit() -> None:
    """The tag was taken back before the write was seen, which then comes from a dead process."""
    run = Run()
    run.until("canary")
    run.road.trouble = TargetUnavailable("away")
    run.turn(NEW)
    run.turn(NEW)
    run.turn(OLD)
    run.road.edit(TEN)
    run.road.trouble = None
    run.turn(OLD)
    assert (run.turn(OLD).traffic, run.road.weights) == (None, [OWN])


def test_every_rule_that_splits_gets_the_weights_and_its_own_back() -> None:
    run = Run()
    run.road.route = http_route({"web": 3, "web-canary": 1}, {"web": 1}, OWN)
    run.until("at90")
    assert run.road.weights == [TEN, {"web": 1}, TEN]
    run.turn(OLD)
    run.turn(OLD)
    assert run.road.weights == [{"web": 3, "web-canary": 1}, {"web": 1}, OWN]


def test_a_policy_that_reports_leaves_the_weights_to_somebody_and_says_how() -> None:
    run = Run()
    run.reports = True
    run.until("canary")
    for _ in range(3):
        status = run.turn(NEW, after=700)
    assert status.phase == PROGRESSING
    assert "to have web 90, web-canary 10, which a policy leaves to you" in status.message
    assert status.traffic is not None
    assert '{"op":"add","path":"/spec/rules/0/backendRefs/1/weight","value":10}' in (
        status.traffic.patch
    )
    run.road.edit(TEN)
    run.until("at90")
    run.road.edit({"web": 70, "web-canary": 30})  # on the way, which is nobody's edit but hers
    for _ in range(3):
        assert run.turn(NEW).phase == PROGRESSING
    run.road.edit(HALF)
    run.until("rest")
    for _ in range(3):
        assert run.turn(NEW).phase == PROGRESSING
    run.road.edit(OWN)
    run.turn(NEW)
    assert (run.turn(NEW).phase, run.road.written) == (COMPLETE, [])


def test_a_policy_that_comes_before_the_write_has_it_reported() -> None:
    run = Run()
    run.until("canary")
    run.road.trouble = TargetUnavailable("away")
    for _ in range(3):
        run.turn(NEW)
    run.road.trouble, run.reports = None, True
    status = run.turn(NEW)
    assert run.road.written == []
    assert status.traffic is not None
    assert status.traffic.reported


def test_what_waits_for_somebody_is_not_written_at_each_look_and_is_never_late() -> None:
    run = Run(deadline="10m")
    run.reports = True
    run.until("canary")
    for _ in range(3):
        run.turn(NEW)
    written = 0
    for _ in range(1200):
        before = run.status
        written += run.turn(NEW) != before
    assert 0 < written <= 20
    assert run.status.phase == PROGRESSING


def test_a_policy_that_reports_keeps_no_tag_from_going_back_nor_a_rollout_from_going() -> None:
    run = Run()
    run.reports = True
    run.until("canary")
    run.road.edit(TEN)
    run.until("at90")
    assert run.turn(NEW, gate=BAD).phase == ROLLING_BACK
    assert run.turn(OLD).phase == ROLLED_BACK
    run.delete()
    assert run.turn(OLD).traffic is None
    assert (run.road.weights, run.road.written) == ([TEN], [])


def test_steps_that_lose_their_weights_give_them_back() -> None:
    run = Run(AT_TEN, RolloutStep(name="long", pause="1h"), REST).until("long")
    run.rollout.spec.steps[0].weights = {}
    for _ in range(4):
        run.turn(NEW)
    assert (run.status.step_name, run.road.weights) == ("long", [OWN])
    assert run.status.traffic is None


def test_weights_that_are_edited_in_the_step_are_written() -> None:
    run = Run(AT_TEN, RolloutStep(name="long", pause="1h"), REST).until("long")
    run.turn(NEW, after=1000)
    run.rollout.spec.steps[0].weights = HALF
    for _ in range(4):
        run.turn(NEW)
    assert (run.status.phase, run.road.weights) == (PROGRESSING, [HALF])


def test_another_tag_or_a_rollout_that_is_none_owes_the_weights_still() -> None:
    run = Run().until("at50")
    changed = msgspec.json.decode(msgspec.json.encode(run.rollout), type=Rollout)
    changed.spec.tag = "other:1"
    ROLLOUTS.strategy.prepare(changed, run.rollout)
    assert (changed.status.stable, changed.status.traffic) == ("", run.status.traffic)
    run.rollout = changed
    for _ in range(2):
        run.rollout.status = refused(run.rollout, "second", run.balance(), run.now)
    balance = run.balance()
    assert refused(run.rollout, "second", balance, run.now).traffic is None
    assert run.road.weights == [OWN]


def test_a_workload_that_comes_late_in_a_long_step_is_not_late() -> None:
    run = Run(RolloutStep(name="long", pause="5h"), REST, traffic=None).until("long")
    status = run.turn(NEW, after=7200, pending=["late"])
    assert status.phase == PROGRESSING
    assert run.turn(NEW, after=500, pending=["late"]).phase == PROGRESSING
    assert run.turn(NEW, after=200, pending=["late"]).phase == ROLLING_BACK


ACTS = st.sampled_from(["new", "newer", "old", "gone", "bad", "down", "away", "refused", "lost"])


@given(st.lists(ACTS, max_size=40))
def test_whatever_comes_the_object_gets_its_own_weights_back(acts: list[str]) -> None:
    """And has none but its own and those of steps meanwhile."""
    images: Mapping[str, str] = {"new": NEW, "newer": NEWER, "old": OLD, "gone": ""}
    run = Run()
    run.turn(OLD)
    image = NEW
    for act in acts:
        image = images.get(act, image)
        failing = TargetUnavailable("away") if act == "away" else None
        run.road.trouble = TargetRefused("no") if act == "refused" else failing
        run.road.lost = TargetUnavailable("lost") if act == "lost" else None
        before = run.status
        named = before.stable if before.phase == ROLLING_BACK else image
        run.turn(named, gate=BAD if act == "bad" else GOOD, ready=DOWN if act == "down" else UP)
        assert run.road.weights[0] in (OWN, TEN, HALF)
        if run.road.weights != [OWN]:
            assert run.status.traffic is not None
            assert [each.weights for each in run.status.traffic.original] == [OWN]
    run.road.trouble = run.road.lost = None
    stable = run.status.stable
    for _ in range(3):
        run.turn(stable)
    assert (run.road.weights, run.status.traffic) == ([OWN], None)
