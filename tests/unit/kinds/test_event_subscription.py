"""What makes a subscription valid, and what is filled in."""

from typing import Any

import pytest

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.kinds.condition import StatusCondition
from tidegate.kinds.event_subscription import (
    CLUSTER_EVENT_SUBSCRIPTIONS,
    ENTRIES,
    EVENT_SUBSCRIPTIONS,
    HAPPENINGS,
    ClusterEventSubscription,
    ClusterEventSubscriptionSpec,
    EventSubscription,
    EventSubscriptionSpec,
    EventSubscriptionStatus,
    host_of,
    secret_of,
)
from tidegate.kinds.urls import URL_LIMIT

URL = "https://hooks.example/x"


def made(**spec: Any) -> EventSubscription:
    return EventSubscription(
        metadata=ObjectMeta(name="a", namespace="shop"),
        spec=EventSubscriptionSpec(**{"url": URL, **spec}),
    )


def faults(**spec: Any) -> list[str]:
    found = made(**spec)
    EVENT_SUBSCRIPTIONS.strategy.prepare(found, None)
    return [each.field for each in EVENT_SUBSCRIPTIONS.strategy.validate(found, None)]


def test_a_url_suffices() -> None:
    assert faults() == []
    found = made()
    EVENT_SUBSCRIPTIONS.strategy.prepare(found, None)
    assert (found.spec.format, found.spec.max_attempts) == ("CloudEvents", 15)


def test_the_status_is_not_for_users_to_write() -> None:
    found = made()
    found.status = EventSubscriptionStatus(delivered=9)
    EVENT_SUBSCRIPTIONS.strategy.prepare(found, None)
    assert found.status == EventSubscriptionStatus()
    old = made()
    old.status = EventSubscriptionStatus(delivered=3)
    EVENT_SUBSCRIPTIONS.strategy.prepare(found, old)
    assert found.status.delivered == 3


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example",
        "ftp://hooks.example",
        "http://",
        "http://[::1",
        "http://user:password@hooks.example",
        "http://hooks.example/ x",
        "http://hooks.example/\n",
        "http://hooks.example:0/",
        "http://hooks.example:x/",
        "http://hooks.example/" + "x" * URL_LIMIT,
    ],
)
def test_a_url_has_to_be_one_without_credentials(url: str) -> None:
    assert faults(url=url) == ["spec.url"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"format": "Carrier"}, "spec.format"),
        ({"events": ["push", "pull"]}, "spec.events[1]"),
        ({"events": list(HAPPENINGS) * 5}, "spec.events"),
        ({"streams": ["[a"]}, "spec.streams[0]"),
        ({"streams": [""]}, "spec.streams[0]"),
        ({"tags": ["a"] * (ENTRIES + 1)}, "spec.tags"),
        ({"max_attempts": -1}, "spec.maxAttempts"),
        ({"max_attempts": 101}, "spec.maxAttempts"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(spec: dict[str, Any], field: str) -> None:
    assert faults(**spec) == [field]


@pytest.mark.parametrize(
    ("secret", "field"),
    [("", None), ("ns/name", None), ("name", "spec.secret"), ("/x", "spec.secret")],
)
def test_one_of_the_cluster_names_a_secret_with_its_project(secret: str, field: str | None) -> None:
    found = ClusterEventSubscription(
        metadata=ObjectMeta(name="a"),
        spec=ClusterEventSubscriptionSpec(url=URL, secret=secret, projects=["sh*"]),
    )
    strategy = CLUSTER_EVENT_SUBSCRIPTIONS.strategy
    strategy.prepare(found, None)
    named = [each.field for each in strategy.validate(found, None)]
    assert named == ([] if field is None else [field])
    if secret == "ns/name":
        assert secret_of(found) == ("ns", "name")


def test_the_globs_of_projects_are_read() -> None:
    found = ClusterEventSubscription(spec=ClusterEventSubscriptionSpec(url=URL, projects=["[a"]))
    strategy = CLUSTER_EVENT_SUBSCRIPTIONS.strategy
    strategy.prepare(found, None)
    assert [each.field for each in strategy.validate(found, None)] == ["spec.projects[0]"]


def test_a_secret_of_a_project_is_in_it() -> None:
    assert secret_of(made(secret="hook")) == ("shop", "hook")


def test_the_host_is_what_a_receiver_is_told_apart_by() -> None:
    assert host_of("https://Hooks.Example:8443/x?y") == "hooks.example:8443"


def test_the_table_tells_how_it_goes() -> None:
    found = made()
    cells = [each.cell(found, 0.0) for each in EVENT_SUBSCRIPTIONS.columns]
    assert cells == [URL, "Unknown", 0, 0, 0, ""]
    found.status = EventSubscriptionStatus(
        conditions=[StatusCondition(type="Ready", status="False", reason="Failing")]
    )
    assert EVENT_SUBSCRIPTIONS.columns[1].cell(found, 0.0) == "Failing"
    found.spec.suspend = True
    assert EVENT_SUBSCRIPTIONS.columns[1].cell(found, 0.0) == "Suspended"
