from datetime import UTC, datetime

from tests.unit.delivery.triggers.things import candidate, digest, policy, source
from tidegate.delivery.triggers.decision import (
    Hold,
    Presence,
    Wanted,
    holds,
    look_again,
    presence_of,
)
from tidegate.delivery.triggers.policies import Policy
from tidegate.kinds.trigger_policy import MaintenanceWindow, Soak

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()  # a Wednesday
HOUR, DAY = 3600.0, 86400.0
WANTED = Wanted(source(), candidate("a"))


def seen(wanted: Wanted, *policies: Policy, now: float = NOON) -> list[tuple[str, str]]:
    return [(each.reason, each.message) for each in holds(wanted, policies, now)]


def in_tag(tag: str, presence: Presence) -> Wanted:
    return Wanted(source(), candidate("a"), presence={source(tag): presence})


def test_without_policies_nothing_holds_an_image() -> None:
    assert seen(WANTED) == seen(WANTED, policy()) == []


def test_a_paused_policy_holds_it_for_as_long_as_it_is() -> None:
    assert seen(WANTED, policy("a", paused=True), policy("b", paused=True)) == [
        ("Paused", "paused by policy a, b")
    ]


def test_an_image_that_needs_approval_waits_for_it() -> None:
    asks = policy(requires_approval=True)
    assert seen(WANTED, asks) == [
        ("WaitsForApproval", f"waits for an ImageApproval of {digest('a')}")
    ]
    assert seen(Wanted(source(), candidate("a"), approved_by="ann"), asks) == []


def test_an_image_soaks_in_its_own_tag() -> None:
    asks = policy(soak=Soak(duration="24h"))
    young = in_tag("shop/web:1", Presence(since=NOON - HOUR))
    assert holds(young, [asks], NOON) == [
        Hold("Soaks", "soaks in shop/web:1 for 1d, until 2026-11-26 11:00 UTC", NOON + 23 * HOUR)
    ]
    assert seen(young, asks, now=NOON + 23 * HOUR) == []


def test_or_in_another_tag_where_it_may_not_be_yet() -> None:
    asks = policy(soak=Soak(duration="2h", tag="lab/web:staging"))
    assert seen(WANTED, asks) == [("Soaks", "waits until it has been in lab/web:staging for 2h")]
    over = Presence(longest=2 * HOUR)
    assert seen(in_tag("lab/web:staging", over), asks) == []
    short = Presence(longest=HOUR, since=NOON - HOUR)
    assert holds(in_tag("lab/web:staging", short), [asks], NOON)[0].until == NOON + HOUR


def test_an_image_changes_while_every_window_is_open() -> None:
    evening = policy("evening", windows=[MaintenanceWindow(start="22:00", duration="2h")])
    weekday = policy("noon", windows=[MaintenanceWindow(start="11:30", duration="1h")])
    assert seen(WANTED, weekday) == []
    assert holds(WANTED, [weekday, evening], NOON) == [
        Hold(
            "OutsideWindow",
            "the maintenance window of policy evening opens at 2026-11-25 22:00 UTC",
            NOON + 10 * HOUR,
        )
    ]


def test_all_that_holds_it_is_told_at_once_and_looked_at_when_the_first_is_over() -> None:
    asks = policy(
        paused=True,
        requires_approval=True,
        soak=Soak(duration="1h"),
        windows=[MaintenanceWindow(start="22:00", duration="2h")],
    )
    young = in_tag("shop/web:1", Presence(since=NOON))
    held = holds(young, [asks], NOON)
    assert [each.reason for each in held] == [
        "Paused",
        "WaitsForApproval",
        "Soaks",
        "OutsideWindow",
    ]
    assert look_again(held) == NOON + HOUR
    assert look_again([Hold("Paused", "")]) is None


def test_how_long_an_image_was_in_a_tag_counts_the_longest_time_without_a_break() -> None:
    a, b = digest("a"), digest("b")
    assert presence_of([], a) == Presence()
    assert presence_of([(a, 10, None)], a) == Presence(since=10)
    # pushed again, it stays; another image, or the end of the tag, is a break
    assert presence_of([(a, 10, 20), (a, 20, None)], a).since == 10
    stays = [(a, 10, 40), (b, 40, 50), (a, 50, 60), ("", 60, 70), (a, 70, None)]
    assert presence_of(stays, a) == Presence(longest=30, since=70)
    assert presence_of(stays, b) == Presence(longest=10)
