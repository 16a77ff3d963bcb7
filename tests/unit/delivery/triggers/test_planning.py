from typing import Any

import pytest

from tests.unit.delivery.triggers.things import (
    chosen,
    digest,
    follows,
    image,
    place,
    policy,
    source,
    workload,
)
from tidegate.delivery.triggers.decision import Candidate, Hold, Presence
from tidegate.delivery.triggers.planning import (
    Chosen,
    Edit,
    Facts,
    Plan,
    plan,
    selections,
)
from tidegate.delivery.triggers.policies import Policy
from tidegate.delivery.triggers.workload import BuildTrigger, Place, Trigger, Workload
from tidegate.kinds.trigger_policy import Follow, Soak

ONE = "/spec/template/spec/containers/0/image"
TWO = "/spec/template/spec/containers/1/image"
LAST = "/spec/triggers/0/imageChangeParams/lastTriggeredImage"


def planned(
    each: Workload, *found: Chosen, policies: tuple[Policy, ...] = (), **facts: Any
) -> Plan:
    """With tags that name these images, whichever tags policies choose."""
    by_tag = {one.source: one for one in found}
    asked = selections(each, policies)
    known = {key: by_tag[key[0]] for key in asked if key[0] in by_tag}
    return plan(each, Facts(policies, known, **facts), 1000.0)


def test_a_container_with_another_image_gets_that_of_its_tag() -> None:
    decided = planned(workload(follows("web:1")), chosen("a"))
    assert decided.edits == (Edit(ONE, image("a"), True),)
    (change,) = decided.made
    assert (change.container, change.running, change.wanted) == ("web", "web:1", image("a"))
    assert (decided.waiting, decided.held, decided.again_at) == ((), (), None)


def test_nothing_is_done_where_all_is_as_the_tag_says_or_where_it_says_nothing() -> None:
    assert planned(workload(follows(image("a"))), chosen("a")) == Plan()
    assert planned(workload(follows("web:1"))) == Plan()


def test_a_tag_that_only_refers_gives_the_plain_reference() -> None:
    refers = Chosen(source(), Candidate("docker.io/x:1", ""))  # image-api 18.11
    assert planned(workload(follows("web:1")), refers).edits == (Edit(ONE, "docker.io/x:1", True),)


def test_one_container_may_get_its_image_while_another_waits() -> None:
    asks = policy(containers=["api"], requires_approval=True)
    api = Trigger(source("shop/api:2"), (place("old", "api", 1),))
    found = (chosen("a"), chosen("b", "shop/api:2"))
    decided = planned(workload(follows("web:1"), api), *found, policies=(asks,))
    assert [each.pointer for each in decided.edits] == [ONE]
    assert [(each.container, each.wanted) for each in decided.waiting] == [
        ("api", image("b", "shop/api"))
    ]
    assert [each.reason for each in decided.held] == ["WaitsForApproval"]
    approvals = {digest("b"): "ann"}
    decided = planned(
        workload(follows("web:1"), api), *found, policies=(asks,), approvals=approvals
    )
    assert [each.pointer for each in decided.edits] == [ONE, TWO]
    assert [each.approved_by for each in decided.made] == [None, "ann"]


def test_a_workload_that_may_not_pull_is_refused_in_words() -> None:
    decided = planned(
        workload(follows("x", "lab/web:1")),
        chosen("a", "lab/web:1"),
        refused=frozenset({source("lab/web:1")}),
    )
    assert decided.edits == ()
    assert decided.held == (
        Hold(
            "NotAllowed",
            "its pods may not pull from lab/web: that takes `get imagestreams/layers` in lab",
        ),
    )


def test_a_fault_of_the_annotation_is_told_and_nothing_done() -> None:
    decided = planned(workload(fault="it is ignored: why"), chosen("a"))
    assert decided == Plan(held=(Hold("FaultyTrigger", "it is ignored: why"),))


def test_a_policy_that_reports_leaves_the_object_as_it_is_once_nothing_else_holds_it() -> None:
    reports = policy("gitops", mode="Report")
    decided = planned(workload(follows("web:1")), chosen("a"), policies=(reports,))
    assert (decided.edits, [each.reason for each in decided.held]) == ((), ["ReportOnly"])
    assert [each.wanted for each in decided.waiting] == [image("a")]
    asks = policy("ask", requires_approval=True)
    decided = planned(workload(follows("web:1")), chosen("a"), policies=(asks, reports))
    assert [each.reason for each in decided.held] == ["WaitsForApproval"]


def test_policies_that_choose_different_tags_are_told_of() -> None:
    one, other = (policy(each, follow=Follow(versions=each)) for each in ("1.x", "2.x"))
    decided = planned(workload(follows("web:1")), chosen("a"), policies=(one, other))
    assert decided.held == (Hold("AmbiguousPolicies", "policies 1.x, 2.x follow different tags"),)
    decided = planned(workload(follows("web:1")), chosen("a"), policies=(one, one))
    assert decided.edits != ()


def test_what_a_gate_says_holds_beside_policies() -> None:
    hold = Hold("Rollout", "step 2 of 3", 2000.0)
    asks = policy(soak=Soak(duration="1h"))
    decided = planned(
        workload(follows("web:1")),
        chosen("a"),
        policies=(asks,),
        gates={source(): [hold]},
        presence={(source(), digest("a")): Presence(since=900.0)},
    )
    assert [each.reason for each in decided.held] == ["Rollout", "Soaks"]
    assert decided.again_at == 2000.0


def test_of_two_triggers_about_one_field_the_later_counts_so_that_there_is_an_end() -> None:
    both = (follows("web:1"), follows("web:1", "shop/api:2"))
    decided = planned(workload(*both), chosen("a"), chosen("b", "shop/api:2"))
    assert [each.value for each in decided.edits] == [image("b", "shop/api")]
    settled = workload(
        *(follows(image("b", "shop/api"), tag) for tag in ("shop/web:1", "shop/api:2"))
    )
    assert planned(settled, chosen("a"), chosen("b", "shop/api:2")) == Plan()
    # one that names nothing has no last word
    decided = planned(workload(*both), chosen("a"))
    assert [each.value for each in decided.edits] == [image("a")]


def config(running: str, last: str, tag: str = "shop/web:1") -> Trigger:
    remembered = Place(LAST, "", last, there=bool(last))
    return Trigger(source(tag), (place(running),), remembered, gates_all=not last)


def test_a_deployment_config_remembers_what_it_was_triggered_with() -> None:
    decided = planned(workload(config("web:1", "")), chosen("a"))
    assert decided.edits == (Edit(ONE, image("a"), True), Edit(LAST, image("a"), False))
    assert [each.container for each in decided.made] == ["web"]
    decided = planned(workload(config(image("a"), "old")), chosen("a"))
    assert decided.edits == (Edit(LAST, image("a"), True),)
    assert len(decided.made) == 1


def test_a_deployment_config_waits_whole_for_a_tag_that_never_named_anything() -> None:
    both = (config("web:1", ""), config("x", "", "shop/api:2"))
    assert planned(workload(*both), chosen("a")) == Plan()
    # once it did, the image is what it was even though the tag is gone
    decided = planned(workload(config("by hand", image("b"))))
    assert decided.edits == (Edit(ONE, image("b"), True),)


def build(last: str) -> Workload:
    trigger = BuildTrigger(source(), {"kind": "ImageStreamTag", "name": "web:1"}, last)
    return workload(builds=(trigger,))


@pytest.mark.parametrize("last", ["", image("b")])
def test_a_build_begins_when_its_tag_names_another_image(last: str) -> None:
    decided = planned(build(last), chosen("a"))
    assert [each.last for each in decided.build] == [image("a")]
    assert [(each.running, each.wanted) for each in decided.made] == [(last, image("a"))]
    assert decided.edits == ()


def test_no_build_begins_for_the_image_of_the_last_or_while_policies_hold_it() -> None:
    assert planned(build(image("a")), chosen("a")) == planned(build("")) == Plan()
    decided = planned(build(""), chosen("a"), policies=(policy(paused=True),))
    assert (decided.build, [each.reason for each in decided.held]) == ((), ["Paused"])
    for_web = policy(paused=True, containers=["web"])
    assert planned(build(""), chosen("a"), policies=(for_web,)).build != ()
