import pytest

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.kinds.trigger_policy import (
    TRIGGER_POLICIES,
    Follow,
    MaintenanceWindow,
    Soak,
    TriggerPolicy,
    TriggerPolicySpec,
    TriggerWebhook,
    soak_tag,
)

STRATEGY = TRIGGER_POLICIES.strategy


def prepared(spec: TriggerPolicySpec) -> TriggerPolicy:
    policy = TriggerPolicy(metadata=ObjectMeta(name="rules"), spec=spec)
    STRATEGY.prepare(policy, None)
    return policy


def faults(**spec: object) -> list[str]:
    policy = prepared(TriggerPolicySpec(**spec))  # type: ignore[arg-type]  # some are wrong
    return [str(each) for each in STRATEGY.validate(policy, None)]


def test_it_is_a_kind_of_our_group() -> None:
    assert (TRIGGER_POLICIES.key, TRIGGER_POLICIES.api_version) == (
        "triggerpolicies.tidegate.io",
        "tidegate.io/v1",
    )


def test_a_policy_with_every_rule_is_valid() -> None:
    spec = TriggerPolicySpec(
        workloads=["web", "api-*"],
        match_labels={"tier": "front"},
        containers=["web"],
        mode="Report",
        requires_approval=True,
        soak=Soak(duration="24h", tag="staging"),
        windows=[MaintenanceWindow(days=["Mon", "fri"], start="22:00", duration="2h")],
        follow=Follow(versions="^1.4", pattern=r"v?1\..*"),
        webhook=TriggerWebhook(url="https://ci.example.com/hooks/1", secret="hook"),
    )
    policy = prepared(spec)
    assert list(STRATEGY.validate(policy, None)) == []
    cells = [each.cell(policy, 0.0) for each in TRIGGER_POLICIES.columns]
    assert cells == [
        "Report",
        "approval,soak 24h,windows,versions ^1.4,pattern",
        "web,api-*",
    ]


def test_it_applies_to_all_unless_it_says_otherwise() -> None:
    policy = prepared(TriggerPolicySpec())
    cells = [each.cell(policy, 0.0) for each in TRIGGER_POLICIES.columns]
    assert cells == ["Apply", "<nothing>", "<all>"]
    assert faults(mode="Maybe") == [
        'spec.mode: Unsupported value: "Maybe": supported values: "Apply", "Report"'
    ]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"workloads": ["[a"]}, "spec.workloads[0]"),
        ({"workloads": [""]}, "spec.workloads[0]"),
        ({"workloads": ["a"] * 33}, "spec.workloads"),
        ({"containers": ["a"] * 33}, "spec.containers"),
        ({"soak": Soak(duration="soon")}, "spec.soak.duration"),
        ({"soak": Soak(duration="999d")}, "spec.soak.duration"),
        ({"soak": Soak(duration="1d", tag="Shop/web:1")}, "spec.soak.tag"),
        ({"soak": Soak(duration="1d", tag="a/b/c:1")}, "spec.soak.tag"),
        ({"soak": Soak(duration="1d", tag="-1")}, "spec.soak.tag"),
        ({"windows": [MaintenanceWindow(start="8", duration="1h")]}, "spec.windows[0].start"),
        (
            {"windows": [MaintenanceWindow(start="08:00", duration="0s")]},
            "spec.windows[0].duration",
        ),
        (
            {"windows": [MaintenanceWindow(start="08:00", duration="8d")]},
            "spec.windows[0].duration",
        ),
        (
            {"windows": [MaintenanceWindow(start="08:00", duration="1h", days=["Mo"])]},
            "spec.windows[0].days[0]",
        ),
        (
            {"windows": [MaintenanceWindow(start="08:00", duration="1h", time_zone="Mars/Base")]},
            "spec.windows[0].timeZone",
        ),
        ({"windows": [MaintenanceWindow(start="08:00", duration="1h")] * 33}, "spec.windows"),
        ({"follow": Follow()}, "spec.follow"),
        ({"follow": Follow(versions="newest")}, "spec.follow.versions"),
        ({"follow": Follow(pattern="(a")}, "spec.follow.pattern"),
        ({"follow": Follow(pattern="a{400}")}, "spec.follow.pattern"),
        ({"webhook": TriggerWebhook(url="")}, "spec.webhook.url"),
        ({"webhook": TriggerWebhook(url="ftp://a/b")}, "spec.webhook.url"),
        ({"webhook": TriggerWebhook(url="https://ann:pw@a/b")}, "spec.webhook.url"),
        ({"webhook": TriggerWebhook(url="https://a:99999/")}, "spec.webhook.url"),
        ({"webhook": TriggerWebhook(url="https://a/\nHost: b")}, "spec.webhook.url"),
        ({"webhook": TriggerWebhook(url="https://a/" + "a" * 2048)}, "spec.webhook.url"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_field(spec: dict[str, object], field: str) -> None:
    (fault,) = faults(**spec)
    assert fault.startswith(f"{field}: ")


def test_the_tag_of_a_soak_is_of_the_same_stream_or_project_unless_it_says_more() -> None:
    assert soak_tag("shop", "web", "staging") == ("shop/web", "staging")
    assert soak_tag("shop", "web", "api:1") == ("shop/api", "1")
    assert soak_tag("shop", "web", "lab/api:1") == ("lab/api", "1")
