"""When an event is tried again, and what a subscription shows of that."""

import pytest

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.delivery.notifications.retrying import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    LONGEST_RETRY_AFTER,
    REFUSED_ATTEMPTS,
    Tries,
    judge,
    pause,
    seconds_until,
)
from tidegate.delivery.notifications.status import EVERY, Reason, due, shown
from tidegate.kinds.event_subscription import (
    ATTEMPTS,
    EventSubscription,
    EventSubscriptionStatus,
)
from tidegate.metastore.outbox import Listener

NOW = 1_790_000_000.0


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_what_is_taken_is_told(status: int) -> None:
    assert judge(status, "", NOW).is_good


@pytest.mark.parametrize(
    ("status", "most"),
    [
        (301, REFUSED_ATTEMPTS),
        (400, REFUSED_ATTEMPTS),
        (404, REFUSED_ATTEMPTS),
        (408, 12),
        (425, 12),
        (429, 12),
        (500, 12),
        (503, 12),
    ],
)
def test_who_refuses_is_asked_a_few_times_and_who_fails_for_long(status: int, most: int) -> None:
    verdict = judge(status, "", NOW)
    assert not verdict.is_good
    assert verdict.error == f"the receiver answered {status}"
    assert verdict.most(12) == most
    assert verdict.most(1) == 1


def test_nobody_listens_any_more_where_410_is_answered() -> None:
    assert judge(410, "", NOW).is_gone
    assert not judge(404, "", NOW).is_gone


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("999999", LONGEST_RETRY_AFTER),
        ("Mon, 21 Sep 2026 14:14:20 GMT", 60.0),
        ("Mon, 21 Sep 2020 14:14:20 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("٣", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert seconds_until(text, NOW) == seconds


def test_pauses_double_up_to_the_longest_and_are_no_shorter_than_asked() -> None:
    for attempts in (1, 2, 3, 10, 1000):
        length = min(FIRST_PAUSE * 2.0 ** min(attempts - 1, 30), LONGEST_PAUSE)
        assert 0.75 * length <= pause(attempts, None) <= 1.25 * length
    assert pause(1, 300.0) == 300.0


def subscription(status: EventSubscriptionStatus | None = None) -> EventSubscription:
    return EventSubscription(
        metadata=ObjectMeta(name="a", namespace="shop", generation=2),
        status=status or EventSubscriptionStatus(),
    )


LISTENER = Listener("uid", "shop", "a", 7, NOW, 5, 1)


def test_a_subscription_that_delivers_is_ready() -> None:
    status = shown(subscription(), LISTENER, 0, 2, Reason.DELIVERING, "", NOW)
    assert (status.delivered, status.pending, status.dead_letters, status.lost) == (5, 0, 2, 1)
    assert status.observed_generation == 2
    assert status.last_delivered == "2026-09-21T14:13:20Z"
    (condition,) = status.conditions
    assert (condition.type, condition.status, condition.reason) == ("Ready", "True", "Delivering")


def test_one_that_fails_says_why_and_since_when() -> None:
    first = shown(subscription(), LISTENER, 3, 0, Reason.FAILING, "answered 500", NOW)
    assert first.last_error == "answered 500"
    assert (first.conditions[0].status, first.conditions[0].reason) == ("False", "Failing")
    later = shown(subscription(first), LISTENER, 3, 0, Reason.FAILING, "answered 502", NOW + 60)
    assert later.conditions[0].last_transition_time == first.conditions[0].last_transition_time
    well = shown(subscription(later), LISTENER, 0, 0, Reason.DELIVERING, "", NOW + 90)
    assert well.last_error == ""
    assert well.conditions[0].last_transition_time == "2026-09-21T14:14:50Z"


def test_numbers_alone_are_written_now_and_then_and_all_else_at_once() -> None:
    before = shown(subscription(), LISTENER, 0, 0, Reason.DELIVERING, "", NOW)
    assert due(before, before, NOW, NOW) is None
    more = shown(
        subscription(before), LISTENER._replace(delivered=6), 1, 0, Reason.DELIVERING, "", NOW
    )
    assert due(before, more, NOW, NOW + 1) == NOW + EVERY
    assert due(before, more, NOW, NOW + EVERY + 1) == NOW + EVERY + 1
    failing = shown(subscription(before), LISTENER, 1, 0, Reason.FAILING, "no", NOW)
    assert due(before, failing, NOW, NOW + 1) == NOW + 1


def test_tries_of_an_event_are_counted_and_kept_as_text() -> None:
    tries = Tries.of("").and_one(7).and_one(7)
    assert Tries.of(tries.text) == tries == Tries(7, 2)
    assert tries.and_one(8) == Tries(8, 1)


@pytest.mark.parametrize("text", ["7", "x 1", "7 ", "-1 2", "7 2 3"])
def test_a_position_that_is_none_of_ours_counts_for_nothing(text: str) -> None:
    assert Tries.of(text) == Tries()


def test_the_tries_of_an_event_take_about_an_hour_unless_said() -> None:
    spread = [sum(pause(tries, None) for tries in range(1, ATTEMPTS)) for _ in range(50)]
    assert 45 * 60 < sum(spread) / len(spread) < 75 * 60
