"""Texts as Kubernetes' ValidateResourceQuota writes them; cells of its printResourceQuota."""

import msgspec
import pytest

from tidegate.kinds.resource_quota import (
    RESOURCE_QUOTA_STATUS,
    RESOURCE_QUOTAS,
    ResourceQuota,
    ResourceQuotaSpec,
    ResourceQuotaStatus,
    ScopedResourceSelectorRequirement,
    ScopeSelector,
)

STRATEGY = RESOURCE_QUOTAS.strategy


def faults(spec: ResourceQuotaSpec, old: ResourceQuotaSpec | None = None) -> list[str]:
    before = None if old is None else ResourceQuota(spec=old)
    return [str(each) for each in STRATEGY.validate(ResourceQuota(spec=spec), before)]


def selecting(scope: str, operator: str, *values: str) -> ResourceQuotaSpec:
    requirement = ScopedResourceSelectorRequirement(
        scope_name=scope, operator=operator, values=list(values)
    )
    return ResourceQuotaSpec(scope_selector=ScopeSelector(match_expressions=[requirement]))


@pytest.mark.parametrize(
    "name",
    [
        "openshift.io/imagestreams",
        "tidegate.io/storage",
        "count/deployments.apps",
        "count/secrets",
        "secrets",
        "requests.nvidia.com/gpu",
        "hugepages-2Mi",
    ],
)
def test_known_and_qualified_resources_are_limited(name: str) -> None:
    assert faults(ResourceQuotaSpec(hard={name: "10"})) == []


def test_an_unknown_resource_is_refused() -> None:
    assert faults(ResourceQuotaSpec(hard={"images": "1"})) == [
        'spec.hard[images]: Invalid value: "images": must be a standard resource for quota'
    ]
    (fault,) = faults(ResourceQuotaSpec(hard={"a b": "1"}))
    assert fault.startswith('spec.hard[a b]: Invalid value: "a b": name part must consist of')


def test_a_limit_is_a_quantity_and_not_negative() -> None:
    assert faults(ResourceQuotaSpec(hard={"cpu": "many"})) == [
        (
            'spec.hard[cpu]: Invalid value: "many": quantities must match the regular expression '
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    ]
    assert faults(ResourceQuotaSpec(hard={"cpu": "-1"})) == [
        'spec.hard[cpu]: Invalid value: "-1": must be greater than or equal to 0'
    ]


@pytest.mark.parametrize("name", ["pods", "openshift.io/imagestreams", "tidegate.io/storage"])
def test_what_is_counted_has_no_fraction(name: str) -> None:
    assert faults(ResourceQuotaSpec(hard={name: "1500m"})) == [
        f'spec.hard[{name}]: Invalid value: "1500m": must be an integer'
    ]
    assert faults(ResourceQuotaSpec(hard={"cpu": "1500m"})) == []


def test_amounts_are_kept_in_one_form_and_may_be_written_as_numbers() -> None:
    quota = msgspec.json.decode(
        b'{"spec":{"hard":{"pods":10,"cpu":0.5,"tidegate.io/storage":"1024Mi"}}}',
        type=ResourceQuota,
    )
    STRATEGY.prepare(quota, None)
    assert quota.spec.hard == {"pods": "10", "cpu": "500m", "tidegate.io/storage": "1Gi"}


def test_scopes_never_change() -> None:
    old = ResourceQuotaSpec(scopes=["BestEffort"])
    assert faults(ResourceQuotaSpec(scopes=["BestEffort"]), old) == []
    assert faults(ResourceQuotaSpec(), old) == [
        'spec.scopes: Invalid value: "": field is immutable'
    ]


def test_scopes_are_known_fit_the_resources_and_do_not_conflict() -> None:
    assert faults(ResourceQuotaSpec(scopes=["Often"])) == [
        'spec.scopes: Invalid value: "Often": unsupported scope'
    ]
    assert faults(ResourceQuotaSpec(scopes=["BestEffort"], hard={"secrets": "1"})) == [
        'spec.scopes: Invalid value: "BestEffort": unsupported scope applied to resource'
    ]
    assert faults(ResourceQuotaSpec(scopes=["Terminating", "NotTerminating"])) == [
        'spec.scopes: Invalid value: "Terminating,NotTerminating": conflicting scopes'
    ]


def test_a_selector_has_the_values_that_its_operator_needs() -> None:
    path = "spec.scopeSelector.matchExpressions"
    assert faults(selecting("PriorityClass", "In", "high")) == []
    assert faults(selecting("Terminating", "Exists")) == []
    assert faults(selecting("PriorityClass", "In")) == [
        (
            f"{path}.values: Required value: must be at least one value when `operator` is 'In' or "
            "'NotIn' for scope selector"
        )
    ]
    assert faults(selecting("PriorityClass", "Exists", "high")) == [
        (
            f"{path}.values: Invalid value: \"high\": must be no value when `operator` is 'Exist' "
            "or 'DoesNotExist' for scope selector"
        )
    ]
    assert faults(selecting("PriorityClass", "Is")) == [
        f'{path}.operator: Invalid value: "Is": not a valid selector operator'
    ]
    assert faults(selecting("Terminating", "In", "x"))[0].startswith(
        f"{path}.operator: Invalid value: \"In\": must be 'Exist' when scope is any of"
    )


def test_a_row_says_what_is_used_of_each_limit() -> None:
    quota = ResourceQuota(
        status=ResourceQuotaStatus(
            hard={"secrets": "10", "limits.cpu": "4", "count/roles": "5"},
            used={"secrets": "3", "limits.cpu": "500m"},
        )
    )
    cells = {each.name: each.cell(quota, 0.0) for each in RESOURCE_QUOTAS.columns}
    assert cells == {
        "Request": "count/roles: 0/5, secrets: 3/10",
        "Limit": "limits.cpu: 500m/4",
    }


def test_the_status_is_written_through_its_own_subresource_alone() -> None:
    assert RESOURCE_QUOTAS.subresources["status"].verbs == ("get", "patch", "update")
    old = ResourceQuota(
        spec=ResourceQuotaSpec(hard={"secrets": "1"}),
        status=ResourceQuotaStatus(used={"secrets": "1"}),
    )

    def changed() -> ResourceQuota:
        return ResourceQuota(
            spec=ResourceQuotaSpec(hard={"secrets": "2"}),
            status=ResourceQuotaStatus(used={"secrets": "2"}),
        )

    new = changed()
    STRATEGY.prepare(new, old)
    assert (new.spec.hard, new.status.used) == ({"secrets": "2"}, {"secrets": "1"})
    new = changed()
    STRATEGY.prepare(new, None)
    assert new.status == ResourceQuotaStatus()
    new = changed()
    RESOURCE_QUOTA_STATUS.strategy.prepare(new, old)
    assert (new.spec.hard, new.status.used) == ({"secrets": "1"}, {"secrets": "2"})
