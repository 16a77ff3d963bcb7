"""Which workloads are of which step, and which of them may have an image."""

import pytest

from tests.unit.delivery.triggers import things
from tests.unit.delivery.triggers.things import follows
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.delivery.rollouts.gates import PROGRESSING
from tidegate.delivery.rollouts.phases import COMPLETE, HELD
from tidegate.delivery.rollouts.steps import FAILED, ROLLS_OUT, Steps, identity
from tidegate.delivery.triggers.decision import Candidate
from tidegate.delivery.triggers.workload import BuildTrigger, Source, Workload
from tidegate.kinds.rollout import Rollout, RolloutSpec, RolloutStatus, RolloutStep
from tidegate.oci.name import RepositoryName

OLD, NEW = (Candidate(f"host/shop/web@{each}", each) for each in ("sha256:old", "sha256:new"))


def workload(name: str, image: str = "x", **labels: str) -> Workload:
    return things.workload(follows(image), name=name, labels=labels)


def steps(*made: RolloutStep, **status: object) -> Steps:
    return Steps(
        Rollout(
            metadata=ObjectMeta(name="r", namespace="shop"),
            spec=RolloutSpec(tag="web:1", steps=list(made)),
            status=RolloutStatus(**status),  # type: ignore[arg-type]  # of the test
        )
    )


CANARY = RolloutStep(name="canary", workloads=["*-canary"])
EU = RolloutStep(name="eu", match_labels={"region": "eu"})
BOTH = RolloutStep(name="both", workloads=["web*"], match_labels={"region": "us"})
REST = RolloutStep(name="rest")


@pytest.mark.parametrize(
    ("name", "labels", "step"),
    [
        ("web-canary", {}, 1),
        ("web-canary", {"region": "eu"}, 1),
        ("api", {"region": "eu"}, 2),
        ("web", {"region": "us"}, 3),
        ("api", {"region": "us"}, 4),
        ("web", {}, 4),
    ],
)
def test_a_workload_is_of_the_first_step_that_names_it_or_of_the_last(
    name: str, labels: dict[str, str], step: int
) -> None:
    assert steps(CANARY, EU, BOTH, REST).step_of(workload(name, **labels)) == step


def test_the_last_step_has_those_that_no_step_names() -> None:
    assert steps(CANARY, EU).step_of(workload("web")) == 2


def test_workloads_of_later_steps_wait() -> None:
    found = steps(CANARY, REST, phase=PROGRESSING, step=1, stable=OLD.digest, target=NEW.digest)
    assert found.holds(workload("web-canary"), NEW) == []
    (hold,) = found.holds(workload("web"), NEW)
    assert (hold.reason, hold.message) == (ROLLS_OUT, "rollout r is at step 1, this is of step 2")


def test_the_stable_image_is_never_held_back() -> None:
    for phase in (PROGRESSING, HELD, COMPLETE):
        found = steps(
            CANARY, REST, phase=phase, step=1, stable=OLD.digest, target=NEW.digest,
            failed=[OLD.digest],
        )  # fmt: skip
        assert found.holds(workload("web"), OLD) == []


def test_an_image_that_nobody_has_looked_at_yet_waits() -> None:
    found = steps(CANARY, REST, phase=COMPLETE, stable=OLD.digest)
    assert [each.message for each in found.holds(workload("web-canary"), NEW)] == [
        "rollout r begins"
    ]


def test_before_the_first_look_nothing_is_held_back() -> None:
    assert steps(CANARY, REST).holds(workload("web"), NEW) == []


def test_an_image_that_failed_is_held_back_from_all() -> None:
    found = steps(
        CANARY, REST, phase=HELD, stable=OLD.digest, target=NEW.digest, failed=[NEW.digest],
        message="why",
    )  # fmt: skip
    for name in ("web-canary", "web"):
        (hold,) = found.holds(workload(name), NEW)
        assert (hold.reason, hold.message) == (FAILED, "rollout r: why")


def test_workloads_are_pending_until_all_their_places_have_the_image() -> None:
    found = steps(CANARY, REST, phase=PROGRESSING, step=2, stable=OLD.digest, target=NEW.digest)
    assert found.source == Source(RepositoryName("shop/web"), "1")
    has, has_not = workload("one", NEW.image), workload("two", OLD.image)
    assert found.pending([has, has_not], NEW.digest) == [has_not]
    elsewhere = things.workload(follows(OLD.image, "shop/db:1"), name="two")
    assert found.pending([elsewhere], NEW.digest) == []


def test_workloads_of_later_steps_are_not_pending() -> None:
    found = steps(CANARY, REST, phase=PROGRESSING, step=1, stable=OLD.digest, target=NEW.digest)
    assert found.pending([workload("web")], NEW.digest) == []


def test_images_without_a_digest_are_told_apart_by_their_pull_spec() -> None:
    assert identity(NEW) == "sha256:new"
    assert identity(Candidate("docker.io/x:1", "")) == "docker.io/x:1"


def test_a_workload_has_an_image_when_all_its_containers_and_builds_do() -> None:
    made = steps(REST)
    source, two = made.source, follows("host/shop/web@sha256:new")
    both = things.workload(follows("host/shop/web@sha256:old", container="side"), two)
    assert not made.has(both, NEW.digest)
    assert made.has(things.workload(two, two), NEW.digest)
    assert not made.has(workload("web", "host/shop/sha256:new"), NEW.digest)
    built = BuildTrigger(source, {}, "host/shop/web@sha256:old")
    assert not made.has(things.workload(builds=(built,)), NEW.digest)
    assert made.has(things.workload(builds=(built,)), OLD.digest)
