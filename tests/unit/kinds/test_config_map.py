"""Texts as Kubernetes' ValidateConfigMap and ValidateConfigMapUpdate write them."""

import msgspec
import pytest

from tidegate.apimachinery.errors import BadRequest
from tidegate.kinds.config_map import CONFIG_MAPS, SIZE_LIMIT, ConfigMap

STRATEGY = CONFIG_MAPS.strategy


def faults(new: ConfigMap, old: ConfigMap | None = None) -> list[str]:
    return [str(each) for each in STRATEGY.validate(new, old)]


def test_values_of_both_sorts_are_taken() -> None:
    assert faults(ConfigMap(data={"a.b": "x"}, binary_data={"c": "AA=="})) == []


def test_a_key_is_a_file_name() -> None:
    (fault,) = faults(ConfigMap(data={"a/b": "x"}))
    assert fault.startswith('data[a/b]: Invalid value: "a/b": a valid config key must consist of')
    (fault,) = faults(ConfigMap(binary_data={"..": ""}))
    assert fault == "binaryData[..]: Invalid value: \"..\": must not be '..'"


def test_a_key_is_in_one_map_only() -> None:
    assert faults(ConfigMap(data={"a": "x"}, binary_data={"a": "AA=="})) == [
        'data[a]: Invalid value: "a": duplicate of key present in binaryData'
    ]


def test_a_mebibyte_of_values_is_the_limit() -> None:
    assert faults(ConfigMap(data={"a": "x" * SIZE_LIMIT})) == []
    assert faults(ConfigMap(data={"a": "x" * SIZE_LIMIT}, binary_data={"b": "AA=="})) == [
        ": Too long: may not be more than 1048576 bytes"
    ]


def test_what_is_immutable_stays_so() -> None:
    old = ConfigMap(data={"a": "1"}, binary_data={"b": "AA=="}, immutable=True)
    why = "Forbidden: field is immutable when `immutable` is set"
    assert faults(ConfigMap(data={"a": "1"}, binary_data={"b": "AA=="}, immutable=True), old) == []
    assert faults(ConfigMap(data={"a": "2"}), old) == [
        f"immutable: {why}",
        f"data: {why}",
        f"binaryData: {why}",
    ]


def test_base64_is_kept_in_one_form() -> None:
    new = ConfigMap(binary_data={"a": "aGVs\nbG8="})
    STRATEGY.prepare(new, None)
    assert new.binary_data == {"a": "aGVsbG8="}


def test_what_is_no_base64_cannot_be_handled() -> None:
    with pytest.raises(BadRequest, match="illegal base64 data at input byte 0"):
        STRATEGY.prepare(ConfigMap(binary_data={"a": "!"}), None)


def test_the_table_counts_values() -> None:
    (data,) = CONFIG_MAPS.columns
    assert data.cell(ConfigMap(data={"a": "1"}, binary_data={"b": ""}), 0.0) == 2


def test_nothing_is_written_of_what_is_absent() -> None:
    assert msgspec.json.encode(ConfigMap(immutable=False)) == b'{"metadata":{},"immutable":false}'
