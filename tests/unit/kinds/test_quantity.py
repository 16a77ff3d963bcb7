"""Pairs from the tests and comments of k8s.io/apimachinery/pkg/api/resource."""

import pytest

from tidegate.kinds.quantity import Quantity, QuantityInvalid, canonical, parse_quantity


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0", "0"),
        ("0n", "0"),
        ("1.5", "1500m"),
        ("1.5Gi", "1536Mi"),
        ("1000", "1k"),
        ("1024Ki", "1Mi"),
        ("1023", "1023"),
        ("0.5Ki", "512"),
        ("0.1Ki", "102400m"),
        ("1.1Mi", "1153433600m"),
        ("0.1m", "100u"),
        ("1e3", "1e3"),
        ("100e3", "100e3"),
        ("1E6", "1e6"),
        ("1E", "1E"),
        ("12e1", "120"),
        ("10000e3", "10e6"),
        ("+5", "5"),
        ("-1.5Ki", "-1536"),
        ("-10", "-10"),
        ("1.", "1"),
        (".5", "500m"),
        ("0.0000000001", "1n"),
        ("1000E", "1000E"),
        ("2048Ei", "2048Ei"),
        ("123456789012345678901", "123456789012345678901"),
    ],
)
def test_a_quantity_is_written_without_a_fraction_and_with_the_largest_suffix(
    text: str, written: str
) -> None:
    assert str(parse_quantity(text)) == written


@pytest.mark.parametrize("text", ["", "1 Gi", "ten", "1.5.0", "1Gib", "0x10", "1\n", "\u0661"])
def test_what_is_no_number_with_a_suffix_is_refused(text: str) -> None:
    with pytest.raises(QuantityInvalid, match="quantities must match the regular expression"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["1mm", "1K", "1ee3", "1e", "1e99999999999"])
def test_a_suffix_that_nobody_knows_is_refused(text: str) -> None:
    with pytest.raises(QuantityInvalid, match="unable to parse quantity's suffix"):
        parse_quantity(text)


@pytest.mark.parametrize("text", [".", "-", "-Gi", "9" * 10_000])
def test_a_number_without_digits_or_with_thousands_of_them_is_refused(text: str) -> None:
    with pytest.raises(QuantityInvalid, match="unable to parse numeric part of quantity"):
        parse_quantity(text)


def test_a_number_is_read_as_its_text() -> None:
    assert str(parse_quantity(10)) == "10"
    assert str(parse_quantity(0.5)) == "500m"


def test_quantities_are_compared_by_what_they_mean() -> None:
    assert parse_quantity("1Ki") == parse_quantity("1024")
    assert parse_quantity("1Ki") > parse_quantity("1k")
    assert hash(parse_quantity("1e3")) == hash(parse_quantity("1k"))
    assert parse_quantity("1") != "1"


def test_a_value_is_rounded_up_to_a_whole_one() -> None:
    assert parse_quantity("1500m").value == 2
    assert parse_quantity("-1500m").value == -2
    assert parse_quantity("10Gi").value == 10 * 2**30
    assert Quantity(1).value == 1


def test_what_is_no_quantity_is_left_for_validation_to_name() -> None:
    assert canonical("many") == "many"
