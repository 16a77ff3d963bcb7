import itertools

import pytest

from tidegate.metastore.upstream_budget import (
    ASKED,
    BACKGROUND,
    FAILURES,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    NOW,
    Budget,
    Health,
    failed,
    refused,
    taken,
    told,
)

HUB = Budget(allowance=100, period=21600.0, remaining=100.0)
"""What Docker Hub allows who has not logged in."""


def drained(budget: Budget, urgency: int, now: float = 0.0) -> tuple[int, float]:
    """How many requests are let through at one moment, and how long the next one waits."""
    for number in itertools.count():
        wait, budget = taken(budget, urgency, now)
        if wait > 0:
            return number, wait
    raise AssertionError


def test_without_a_limit_nothing_waits() -> None:
    for urgency in (NOW, ASKED, BACKGROUND):
        assert taken(Budget(), urgency, 0.0) == (0.0, Budget())


def test_a_client_who_waits_may_use_all_that_remains_and_no_more() -> None:
    number, wait = drained(HUB, NOW)
    assert number == 100
    assert wait == pytest.approx(216.0)


def test_who_asked_for_an_import_leaves_a_little_to_clients() -> None:
    assert drained(HUB, ASKED)[0] == 95


def test_what_nobody_waits_for_comes_spread_out_and_leaves_a_fifth() -> None:
    number, wait = drained(HUB, BACKGROUND)
    assert number == 5
    assert wait == pytest.approx(270.0)
    scarce = HUB._replace(remaining=20.5)
    assert taken(scarce, BACKGROUND, 0.0)[0] == pytest.approx(108.0)
    assert taken(scarce, NOW, 0.0)[0] == 0.0


def test_a_registry_that_allows_a_single_request_is_asked_for_it_by_anybody() -> None:
    one = Budget(allowance=1, period=60.0, remaining=1.0)
    for urgency in (NOW, ASKED, BACKGROUND):
        assert taken(one, urgency, 0.0)[0] == 0.0


@pytest.mark.parametrize("window", ["fixed", "sliding"])
def test_ten_thousand_tags_never_use_up_what_a_registry_allows(window: str) -> None:
    budget, now, asked = Budget(), 0.0, list[float]()
    while now < 3 * 21600.0:
        wait, budget = taken(budget, BACKGROUND, now)
        if wait > 0:
            now += wait
            continue
        asked.append(now)
        begin = now - now % 21600.0 if window == "fixed" else now - 21600.0
        used = sum(1 for each in asked if each > begin or each == begin == 0)
        assert used <= 100
        budget = told(budget, 100, 21600.0, 100 - used, now)
    assert len(asked) >= 3 * 75  # and what is allowed is used
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked[10:])]
    assert max(pauses) < 4 * 270.0  # evenly: no flood followed by hours of nothing


def test_what_was_used_comes_back_evenly_up_to_what_is_allowed() -> None:
    empty = HUB._replace(remaining=0.0)
    assert empty.left(2160.0) == pytest.approx(10.0)
    assert empty.left(1e9) == 100.0
    assert HUB.left(-50.0) == 100.0  # a clock that was set back


def test_a_request_that_the_registry_did_not_count_does_not_count_here() -> None:
    budget = HUB
    for _ in range(1000):  # as HEAD at Docker Hub
        wait, budget = taken(budget, BACKGROUND, 1.0)
        assert wait == 0.0
        budget = told(budget, 100, 21600.0, 100.0, 1.0)


def test_a_registry_that_asks_to_be_left_alone_is_for_as_long_as_it_said() -> None:
    closed = refused(HUB, 30.0, 10.0)
    assert taken(closed, NOW, 15.0)[0] == pytest.approx(25.0)
    assert refused(closed, 5.0, 11.0).closed_until == 40.0  # a shorter wait takes nothing back
    assert taken(refused(Budget(), 30.0, 10.0), NOW, 41.0) == (0.0, refused(Budget(), 30.0, 10.0))


def test_failures_in_a_row_leave_a_registry_alone_for_longer_each_time() -> None:
    health, pauses = Health(), list[float]()
    for _ in range(FAILURES + 10):
        health = failed(health, "no answer", 0.0, lambda: 0.5)
        if health.is_left_alone:
            pauses.append(health.left_until)
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert not failed(Health(), "no answer", 0.0, lambda: 0.5).is_left_alone
    assert failed(health, "x", 0.0, lambda: 0.0).left_until < LONGEST_PAUSE  # not all at once
