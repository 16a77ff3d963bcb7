"""A rollout's status as a function of what is seen, by the clock of the test."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.delivery.rollouts.facts import Facts, Look
from tidegate.delivery.rollouts.gates import PROGRESSING, due_gates
from tidegate.delivery.rollouts.machine import advance, refused
from tidegate.delivery.rollouts.phases import (
    COMPLETE,
    FAILED_KEPT,
    HELD,
    HISTORY_KEPT,
    IDLE,
    ROLLED_BACK,
    ROLLING_BACK,
    SUPERSEDED,
    SUSPENDED,
)
from tidegate.delivery.rollouts.traffic import Balance
from tidegate.kinds.rollout import ROLLOUTS, Rollout, RolloutSpec, RolloutStatus, RolloutStep
from tidegate.kinds.rollout_gates import HttpGate, RolloutGate

NOW = 1_790_000_000.0
OLD, NEW, NEWER = "sha256:old", "sha256:new", "sha256:newer"
GOOD, BAD, UNKNOWN = Look(True, "answered 200"), Look(False, "answered 500"), Look(None, "")


def rollout(*steps: RolloutStep, **spec: object) -> Rollout:
    made = Rollout(
        metadata=ObjectMeta(name="r", namespace="shop", generation=1),
        spec=RolloutSpec(
            tag="web:prod",
            steps=list(steps) or [RolloutStep(name="canary"), RolloutStep(name="rest")],
            **spec,  # type: ignore[arg-type]  # of the test
        ),
    )
    ROLLOUTS.strategy.prepare(made, None)
    return made


def gate(name: str = "ok", **more: object) -> RolloutGate:
    return RolloutGate(name=name, http_get=HttpGate(url="http://x.example"), **more)  # type: ignore[arg-type]


class Run:
    """A rollout that is looked at again and again."""

    def __init__(self, made: Rollout) -> None:
        self.rollout = made
        self.now = NOW

    def see(
        self,
        image: str,
        *,
        after: float = 1.0,
        pending: Sequence[str] = (),
        looks: Mapping[str, Look] | None = None,
        blocked: bool = False,
        why: str = "",
        since: float = 0.0,
    ) -> RolloutStatus:
        self.now += after
        facts = Facts(image, pending, blocked, looks or {}, why, since)
        self.rollout.status = advance(self.rollout, facts, self.now)
        return self.rollout.status

    def begun(self) -> "Run":
        """At the first step of a new image."""
        assert self.see(OLD).phase == COMPLETE
        assert self.see(NEW).phase == PROGRESSING
        return self

    def due(self) -> list[str]:
        return [each.name for each in due_gates(self.rollout, self.now)]


def test_the_first_image_is_what_the_next_ones_are_compared_with() -> None:
    status = Run(rollout()).see(OLD)
    assert (status.phase, status.stable, status.target) == (COMPLETE, OLD, "")
    assert status.conditions[0].status == "True"


def test_a_tag_that_names_nothing_is_waited_for() -> None:
    run = Run(rollout())
    assert run.see("").phase == IDLE
    assert run.see(OLD).phase == COMPLETE


def test_steps_come_one_after_the_other_and_then_the_image_is_stable() -> None:
    run = Run(rollout()).begun()
    assert run.see(NEW, pending=["web"]).step == 1
    status = run.see(NEW)
    assert (status.step, status.step_name) == (2, "rest")
    assert run.see(NEW, pending=["other"]).step == 2
    status = run.see(NEW)
    assert (status.phase, status.stable, status.target, status.step) == (COMPLETE, NEW, "", 0)
    assert [each.outcome for each in status.history] == [COMPLETE]


def test_nothing_seen_changes_nothing() -> None:
    run = Run(rollout(gates=[gate()])).begun()
    first = run.see(NEW, looks={"ok": UNKNOWN})
    assert run.see(NEW, after=0.0) == first


def test_a_step_lasts_as_long_as_its_pause() -> None:
    run = Run(rollout(RolloutStep(name="canary", pause="10m"), RolloutStep(name="rest"))).begun()
    assert run.see(NEW).step == 1
    assert run.see(NEW, after=590).step == 1
    assert run.see(NEW, after=11).step == 2


def test_the_pause_begins_anew_when_a_workload_loses_the_image() -> None:
    run = Run(rollout(RolloutStep(name="canary", pause="10m"), RolloutStep(name="rest"))).begun()
    run.see(NEW)
    run.see(NEW, after=500, pending=["web"])
    run.see(NEW)
    assert run.see(NEW, after=500).step == 1
    assert run.see(NEW, after=200).step == 2


def test_gates_are_looked_at_in_their_turn_once_the_workloads_have_the_image() -> None:
    run = Run(rollout(gates=[gate(interval="10s", initial_delay="5s", successes=2)])).begun()
    run.see(NEW, pending=["web"])
    assert run.due() == []
    run.see(NEW)
    assert run.due() == []
    run.now += 5
    assert run.due() == ["ok"]
    assert run.see(NEW, after=0, looks={"ok": GOOD}).step == 1
    assert run.due() == []
    run.now += 10
    assert run.due() == ["ok"]
    assert run.see(NEW, after=0, looks={"ok": GOOD}).step == 2


def test_good_looks_have_to_be_in_a_row_and_bad_ones_add_up() -> None:
    run = Run(rollout(gates=[gate(successes=2, failures=3)])).begun()
    for look in (GOOD, BAD, GOOD, BAD):
        assert run.see(NEW, looks={"ok": look}).phase == PROGRESSING
    status = run.see(NEW, looks={"ok": BAD})
    assert status.phase == ROLLING_BACK
    assert status.failed == [NEW]
    assert "gate ok: answered 500" in status.message


def test_each_step_counts_its_looks_anew() -> None:
    run = Run(rollout(gates=[gate(failures=2)])).begun()
    run.see(NEW, looks={"ok": BAD})
    assert run.see(NEW, looks={"ok": GOOD}).step == 2
    assert run.see(NEW, looks={"ok": BAD}).phase == PROGRESSING


def test_a_step_may_have_gates_of_its_own() -> None:
    steps = RolloutStep(name="canary", gates=[gate("mine")]), RolloutStep(name="rest")
    run = Run(rollout(*steps, gates=[gate("all")])).begun()
    run.see(NEW)
    assert run.due() == ["mine"]
    run.see(NEW, looks={"mine": GOOD})
    run.see(NEW)
    assert run.due() == ["all"]


def test_a_gate_that_is_never_good_fails_the_step_in_the_end() -> None:
    run = Run(rollout(gates=[gate()], deadline="10m")).begun()
    run.see(NEW, looks={"ok": UNKNOWN})
    assert run.see(NEW, after=590, looks={"ok": UNKNOWN}).phase == PROGRESSING
    status = run.see(NEW, after=60, looks={"ok": UNKNOWN})
    assert (status.phase, status.message) == (
        ROLLING_BACK,
        "step canary failed: gate ok was not good in time",
    )


def test_workloads_that_do_not_get_the_image_in_time_fail_the_step() -> None:
    run = Run(rollout(deadline="10m")).begun()
    assert run.see(NEW, after=599, pending=["a", "b", "c", "d"]).phase == PROGRESSING
    status = run.see(NEW, after=2, pending=["a", "b", "c", "d"])
    assert status.phase == ROLLING_BACK
    assert "a, b, c, ... did not get the image in time" in status.message


def test_time_in_which_policies_hold_workloads_back_does_not_count() -> None:
    run = Run(rollout(deadline="10m")).begun()
    for _ in range(5):
        status = run.see(NEW, after=3600, pending=["web"], blocked=True)
        assert (status.phase, status.message) == (
            PROGRESSING,
            "step canary: policies hold web back",
        )
    assert run.see(NEW, after=599, pending=["web"]).phase == PROGRESSING


def test_the_tag_goes_back_and_nothing_flaps_when_the_bad_image_comes_again() -> None:
    run = Run(rollout(gates=[gate(failures=1)])).begun()
    assert run.see(NEW, looks={"ok": BAD}).phase == ROLLING_BACK
    status = run.see(OLD)
    assert (status.phase, status.target, status.stable) == (ROLLED_BACK, "", OLD)
    assert [each.outcome for each in status.history] == [ROLLED_BACK]
    assert run.see(OLD, after=3600) == status
    held = run.see(NEW)
    assert (held.phase, held.step) == (HELD, 0)
    assert "failed before" in held.message
    assert run.see(NEW, after=3600) == held
    assert run.see(OLD).phase == ROLLED_BACK
    assert run.see(NEWER).phase == PROGRESSING


def test_the_tag_is_asked_back_until_it_went_and_a_refusal_holds_everything() -> None:
    run = Run(rollout(gates=[gate(failures=1)])).begun()
    run.see(NEW, looks={"ok": BAD})
    assert run.see(NEW).phase == ROLLING_BACK
    status = run.see(NEW, why="tag web:prod is immutable")
    assert status.phase == HELD
    assert "cannot go back: tag web:prod is immutable" in status.message
    assert run.see(NEW).phase == HELD


def test_hold_leaves_the_tag_as_it_is() -> None:
    run = Run(rollout(gates=[gate(failures=1)], on_failure="Hold")).begun()
    status = run.see(NEW, looks={"ok": BAD})
    assert (status.phase, status.failed) == (HELD, [NEW])
    assert run.see(NEW) == status
    assert "gate ok: answered 500" in status.message
    assert run.see(NEWER).phase == PROGRESSING


def test_a_failed_image_is_tried_again_when_somebody_says_so_and_only_once() -> None:
    run = Run(rollout(gates=[gate(failures=1)])).begun()
    run.see(NEW, looks={"ok": BAD})
    run.see(OLD)
    run.see(NEW)
    run.rollout.spec.retry = NEW
    run.rollout.metadata.generation = 2
    assert run.see(NEW).phase == PROGRESSING
    run.see(NEW, looks={"ok": BAD})
    run.see(OLD)
    assert run.see(NEW).phase == HELD


def test_a_newer_image_begins_anew_and_the_stable_one_stays() -> None:
    run = Run(rollout()).begun()
    run.see(NEW)
    status = run.see(NEWER)
    assert (status.target, status.step, status.stable) == (NEWER, 1, OLD)
    assert [each.outcome for each in status.history] == [SUPERSEDED]


def test_a_newer_image_while_the_tag_is_to_go_back_is_rolled_out() -> None:
    run = Run(rollout(gates=[gate(failures=1)])).begun()
    run.see(NEW, looks={"ok": BAD})
    status = run.see(NEWER)
    assert (status.phase, status.target, status.failed) == (PROGRESSING, NEWER, [NEW])


def test_somebody_takes_the_tag_back_by_hand() -> None:
    run = Run(rollout()).begun()
    status = run.see(OLD)
    assert (status.phase, status.target) == (COMPLETE, "")
    assert [each.outcome for each in status.history] == [SUPERSEDED]


@pytest.mark.parametrize("pending", [("a",), ()], ids=["workloads", "gates"])
def test_an_hour_in_which_nobody_looked_is_not_the_images_fault(pending: tuple[str, ...]) -> None:
    run = Run(rollout(deadline="10m", gates=[gate()])).begun()
    run.see(NEW, pending=pending)
    again = run.now + 3600
    assert run.see(NEW, after=3600, pending=pending, since=again).phase == PROGRESSING
    assert run.see(NEW, after=599, pending=pending, since=again).phase == PROGRESSING
    assert run.see(NEW, after=2, pending=pending, since=again).phase == ROLLING_BACK


def test_a_suspended_rollout_stays_where_it_is_and_its_deadline_begins_anew() -> None:
    run = Run(rollout(deadline="10m", gates=[gate()])).begun()
    run.see(NEW)
    run.rollout.spec.suspend = True
    assert run.see(NEW, after=5000, looks={"ok": BAD}).phase == SUSPENDED
    assert run.due() == []
    run.rollout.spec.suspend = False
    assert run.see(NEW, pending=["web"]).phase == PROGRESSING


def test_steps_may_be_taken_away_meanwhile() -> None:
    run = Run(rollout()).begun()
    assert run.see(NEW).step == 2
    run.rollout.spec.steps = run.rollout.spec.steps[:1]
    assert run.see(NEW).step == 1
    assert run.see(NEW).phase == COMPLETE


def test_a_step_that_was_taken_away_has_no_gates_to_look_at() -> None:
    run = Run(rollout(gates=[gate()])).begun()
    run.see(NEW, looks={"ok": GOOD})
    run.see(NEW)
    assert run.due() == ["ok"]
    run.rollout.spec.steps = run.rollout.spec.steps[:1]
    assert run.due() == []


def test_steps_that_are_put_before_or_taken_away_let_none_be_passed() -> None:
    first, second, third = (RolloutStep(name=each) for each in ("a", "b", "c"))
    run = Run(rollout(first, second, third, gates=[gate()])).begun()
    run.see(NEW, looks={"ok": GOOD})
    assert run.see(NEW).step_name == "b"
    run.rollout.spec.steps = [first, RolloutStep(name="new"), second, third]
    status = run.see(NEW, looks={"ok": GOOD})
    assert (status.step, status.step_name, status.step_updated) == (2, "new", "")
    run.rollout.spec.steps = [RolloutStep(name="new"), second, third]
    status = run.see(NEW, looks={"ok": GOOD})
    assert (status.step, status.step_name) == (1, "new")
    run.rollout.spec.steps = [RolloutStep(name="renamed")]
    assert run.see(NEW, looks={"ok": GOOD}).step_name == "renamed"
    run.see(NEW)
    assert run.see(NEW, looks={"ok": GOOD}).phase == COMPLETE


def test_a_tag_that_is_gone_ends_the_rollout_and_begins_it_anew_when_it_is_back() -> None:
    run = Run(rollout(gates=[gate()])).begun()
    run.see(NEW, looks={"ok": GOOD})
    status = run.see("")
    assert (status.phase, status.stable, status.target, status.step) == (IDLE, OLD, "", 0)
    assert status.conditions[0].status == "False"
    assert [each.outcome for each in status.history] == [SUPERSEDED]
    assert run.see("", after=3600) == status
    status = run.see(NEW, after=3600)
    assert (status.phase, status.step) == (PROGRESSING, 1)
    run.see("")
    assert run.see(OLD).phase == COMPLETE


def test_a_tag_that_is_gone_while_it_is_to_go_back_keeps_what_failed() -> None:
    run = Run(rollout(gates=[gate(failures=1)])).begun()
    run.see(NEW, looks={"ok": BAD})
    assert run.see("").failed == [NEW]
    assert run.see(NEW).phase == HELD


def test_one_that_is_made_suspended_knows_what_is_stable_and_holds_the_next() -> None:
    run = Run(rollout(suspend=True))
    assert run.see(OLD).phase == COMPLETE
    status = run.see(NEW)
    assert (status.phase, status.stable, status.conditions[0].status) == (SUSPENDED, OLD, "False")
    assert run.see(NEW, after=60) == status
    run.rollout.spec.suspend = False
    assert run.see(NEW).step == 1


def test_time_in_which_it_is_suspended_counts_for_no_gate() -> None:
    run = Run(rollout(deadline="10m", gates=[gate()])).begun()
    run.see(NEW)
    run.rollout.spec.suspend = True
    run.see(NEW, after=5000)
    run.rollout.spec.suspend = False
    assert run.see(NEW).phase == PROGRESSING
    assert run.see(NEW, after=590).phase == PROGRESSING
    assert run.see(NEW, after=20).phase == ROLLING_BACK


def test_one_that_is_suspended_while_the_tag_is_to_go_back_lets_it_go_back_later() -> None:
    run = Run(rollout(gates=[gate(failures=1)])).begun()
    run.see(NEW, looks={"ok": BAD})
    run.rollout.spec.suspend = True
    assert run.see(NEW).phase == SUSPENDED
    run.rollout.spec.suspend = False
    assert run.see(NEW).phase == ROLLING_BACK
    assert run.see(OLD).phase == ROLLED_BACK


def test_an_image_that_failed_and_comes_again_while_suspended_stays_held() -> None:
    run = Run(rollout(gates=[gate(failures=1)])).begun()
    run.see(NEW, looks={"ok": BAD})
    run.see(OLD)
    assert run.see(NEW).phase == HELD
    run.rollout.spec.suspend = True
    assert run.see(NEW).phase == HELD
    assert run.see(NEWER).phase == SUSPENDED
    run.see(NEW)
    run.rollout.spec.suspend = False
    assert run.see(NEW).phase == HELD
    run.rollout.spec.suspend = True
    run.see(NEWER)
    run.rollout.spec.retry, run.rollout.metadata.generation = NEW, 2
    run.see(NEW)
    run.rollout.spec.suspend = False
    status = run.see(NEW)
    assert (status.phase, status.step) == (PROGRESSING, 1)


def test_what_is_kept_of_the_past_is_bounded() -> None:
    run = Run(rollout(gates=[gate(failures=1)]))
    run.see(OLD)
    for number in range(FAILED_KEPT + 5):
        image = f"sha256:{number}"
        run.see(image)
        run.see(image, looks={"ok": BAD})
        run.see(OLD)
    status = run.rollout.status
    assert len(status.failed) == FAILED_KEPT
    assert status.failed[0] == f"sha256:{FAILED_KEPT + 4}"
    assert len(status.history) == HISTORY_KEPT


def test_a_second_rollout_of_a_tag_says_that_it_is_none() -> None:
    status = refused(rollout(), "rollout first is of web:prod already", Balance(), NOW)
    assert (status.phase, status.observed_generation) == (HELD, 1)
    assert "first" in status.message


@pytest.mark.parametrize("phase", [PROGRESSING, ROLLING_BACK])
def test_only_what_goes_on_has_gates_to_look_at(phase: str) -> None:
    run = Run(rollout(gates=[gate()])).begun()
    run.see(NEW)
    run.rollout.status.phase = phase
    assert run.due() == (["ok"] if phase == PROGRESSING else [])


IMAGES = st.sampled_from([OLD, NEW, NEWER])
LOOKS = st.sampled_from([GOOD, BAD, UNKNOWN])


@given(st.lists(st.tuples(IMAGES, LOOKS, st.booleans(), st.booleans()), max_size=60))
def test_whatever_comes_a_failed_image_is_never_rolled_out_and_steps_are_never_skipped(
    seen: list[tuple[str, Look, bool, bool]],
) -> None:
    run = Run(rollout(gates=[gate(failures=2)]))
    run.see(OLD)
    for image, look, waits, goes_back in seen:
        before = run.rollout.status
        named = before.stable if before.phase == ROLLING_BACK and goes_back else image
        status = run.see(named, pending=["web"] if waits else (), looks={"ok": look})
        if status.phase == PROGRESSING:
            assert status.target not in status.failed
            assert status.target == named
            assert status.step <= (before.step if before.target == named else 0) + 1
        if status.stable != before.stable:
            assert (before.target, before.step) == (status.stable, 2)
            assert not waits
