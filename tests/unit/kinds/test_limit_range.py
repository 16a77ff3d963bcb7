"""Texts as Kubernetes' ValidateLimitRange writes them."""

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.kinds.limit_range import LIMIT_RANGES, LimitRange, LimitRangeItem, LimitRangeSpec

STRATEGY = LIMIT_RANGES.strategy


def of(*items: LimitRangeItem) -> LimitRange:
    return LimitRange(spec=LimitRangeSpec(limits=list(items)))


def faults(*items: LimitRangeItem) -> list[str]:
    return [str(each) for each in STRATEGY.validate(of(*items), None)]


def test_the_size_of_images_and_streams_is_limited() -> None:
    assert (
        faults(
            LimitRangeItem(type="openshift.io/Image", max={"storage": "1Gi"}),
            LimitRangeItem(
                type="openshift.io/ImageStream",
                max={"openshift.io/images": "20", "openshift.io/image-tags": "20"},
            ),
        )
        == []
    )


def test_a_type_is_standard_or_qualified_and_there_once() -> None:
    assert faults(LimitRangeItem(type="Image")) == [
        (
            'spec.limits[0].type: Invalid value: "Image": must be a standard limit type or fully '
            "qualified"
        )
    ]
    assert faults(LimitRangeItem(type="Pod"), LimitRangeItem(type="Pod")) == [
        'spec.limits[1].type: Duplicate value: "Pod"'
    ]
    (first, *_) = faults(LimitRangeItem(type=""))
    assert first == 'spec.limits[0].type: Invalid value: "": name part must be non-empty'


def test_a_resource_fits_the_type() -> None:
    assert faults(LimitRangeItem(type="Container", max={"storage": "1"})) == [
        (
            'spec.limits[0].max[storage]: Invalid value: "storage": must be a standard resource '
            "for containers"
        )
    ]
    assert faults(LimitRangeItem(type="openshift.io/Image", max={"size": "1"})) == [
        (
            'spec.limits[0].max[size]: Invalid value: "size": must be a standard resource type or '
            "fully qualified"
        )
    ]
    (fault,) = faults(LimitRangeItem(type="Container", max={"a/b/c": "1"}))
    assert "a valid label key must consist of" in fault


def test_a_limit_is_a_quantity() -> None:
    (fault,) = faults(LimitRangeItem(type="openshift.io/Image", max={"storage": "big"}))
    assert fault.startswith('spec.limits[0].max[storage]: Invalid value: "big": quantities must')


def test_pods_have_no_defaults() -> None:
    why = "Forbidden: may not be specified when `type` is 'Pod'"
    assert faults(
        LimitRangeItem(type="Pod", default={"cpu": "1"}, default_request={"cpu": "1"})
    ) == [
        f"spec.limits[0].default: {why}",
        f"spec.limits[0].defaultRequest: {why}",
    ]


def test_a_claim_needs_a_bound() -> None:
    assert faults(LimitRangeItem(type="PersistentVolumeClaim")) == [
        (
            "spec.limits[0].limits: Required value: either minimum or maximum storage value is "
            "required, but neither was provided"
        )
    ]
    assert faults(LimitRangeItem(type="PersistentVolumeClaim", min={"storage": "1"})) == []


def test_a_minimum_is_not_above_a_maximum() -> None:
    item = LimitRangeItem(type="openshift.io/Image", min={"storage": "2Gi"}, max={"storage": "1Gi"})
    assert faults(item) == [
        (
            'spec.limits[0].min[storage]: Invalid value: "2Gi": min value 2Gi is greater than max '
            "value 1Gi"
        )
    ]


def test_a_default_is_between_minimum_and_maximum() -> None:
    item = LimitRangeItem(
        type="Container",
        min={"cpu": "2"},
        max={"cpu": "3"},
        default={"cpu": "4"},
        default_request={"cpu": "1"},
    )
    assert faults(item) == [
        (
            'spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than '
            "default request value 1"
        ),
        (
            'spec.limits[0].default[cpu]: Invalid value: "3": default value 4 is greater than max '
            "value 3"
        ),
    ]


def test_a_ratio_is_one_at_least_and_not_above_the_bounds() -> None:
    assert faults(LimitRangeItem(type="Pod", max_limit_request_ratio={"cpu": "500m"})) == [
        'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1'
    ]
    item = LimitRangeItem(
        type="Pod", min={"cpu": "2"}, max={"cpu": "3"}, max_limit_request_ratio={"cpu": "2"}
    )
    assert faults(item) == [
        (
            'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "2": ratio 2 is greater than '
            "max/min = 1.500000"
        )
    ]


def test_a_container_gets_its_defaults_from_the_bounds() -> None:
    new = of(
        LimitRangeItem(type="Container", max={"cpu": 2}, min={"cpu": "500m", "memory": "64Mi"}),
        LimitRangeItem(type="openshift.io/Image", max={"storage": "1024Mi"}),
    )
    STRATEGY.prepare(new, None)
    container, image = new.spec.limits
    assert container.default == {"cpu": "2"}
    assert container.default_request == {"cpu": "2", "memory": "64Mi"}
    assert (image.max, image.default) == ({"storage": "1Gi"}, {})


def test_the_table_says_when_it_was_made() -> None:
    (created,) = LIMIT_RANGES.columns
    made = LimitRange(metadata=ObjectMeta(creation_timestamp="2026-01-02T03:04:05Z"))
    assert created.name == "Created At"
    assert created.cell(made, 0.0) == "2026-01-02T03:04:05Z"
    assert not LIMIT_RANGES.age
