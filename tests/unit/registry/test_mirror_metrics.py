"""What is told of Mirrors to whoever watches many projects."""

from typing import Any

import msgspec

from tidegate.kinds.mirror import Mirror
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.registry.mirror_metrics import Figures

NOW = 1_790_000_000.0
HOUR = 3600.0


def mirror(
    project: str = "shop",
    *,
    every: str = "1h",
    suspend: bool = False,
    made: float = NOW - 100 * HOUR,
    **status: Any,
) -> Mirror:
    body = {
        "metadata": {
            "name": "m",
            "namespace": project,
            "creationTimestamp": rfc3339_seconds(made),
        },
        "spec": {"every": every, "suspend": suspend},
        "status": status,
    }
    return msgspec.convert(body, Mirror)


def ready(reason: str) -> list[dict[str, str]]:
    return [{"type": "Ready", "status": "True", "reason": reason}]


def success(age: float) -> str:
    return rfc3339_seconds(NOW - age)


def told(*mirrors: Mirror) -> set[str]:
    figures = Figures(NOW)
    figures.add(mirrors)
    return {line for line in figures.lines() if not line.startswith("#")}


def test_each_state_has_its_line_also_that_of_none() -> None:
    found = told(
        mirror(conditions=ready("Copied")),
        mirror(conditions=ready("Failed")),
        mirror(conditions=ready("Failed"), progress={"done": 1, "total": 2}),
    )
    counts = {"Waiting": 0, "Running": 1, "Copied": 1, "Failed": 1, "Suspended": 0}
    assert {each for each in found if each.startswith("tidegate_mirrors{")} == {
        f'tidegate_mirrors{{state="{name}"}} {count}' for name, count in counts.items()
    }


def test_late_is_who_missed_two_periods_since_the_last_success_or_since_being_made() -> None:
    found = told(
        mirror(lastSuccess=success(1.9 * HOUR)),
        mirror(lastSuccess=success(2.1 * HOUR)),
        mirror(made=NOW - 3 * HOUR),
        mirror("new", made=NOW - 10),
    )
    assert 'tidegate_mirrors_late{project="shop"} 2' in found
    assert 'tidegate_mirrors_late{project="new"} 0' in found
    assert 'tidegate_mirror_success_age_seconds{project="shop"} 10800' in found


def test_who_is_to_copy_nothing_now_is_not_late() -> None:
    found = told(mirror("rests", suspend=True), mirror("once", every=""))
    assert not [each for each in found if "_late" in each or "_age" in each]


def test_what_the_last_runs_moved_is_summed_for_each_project() -> None:
    run = {"copied": 2, "unchanged": 5, "failed": 1, "deleted": 3, "sentBytes": 70}
    found = told(mirror(lastRun=run), mirror(lastRun=run), mirror("other"))
    assert 'tidegate_mirror_run_images{project="shop",result="copied"} 4' in found
    assert 'tidegate_mirror_run_images{project="shop",result="deleted"} 6' in found
    assert 'tidegate_mirror_run_bytes{project="shop"} 140' in found
    assert 'tidegate_mirror_run_bytes{project="other"} 0' in found
