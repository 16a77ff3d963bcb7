import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.images.point_in_time import PointInTime, form, is_reserved, parse
from tidegate.oci.errors import TagInvalid

YEAR_1000, YEAR_10000 = -30_610_224_000, 253_402_300_800

TAGS = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,107}", fullmatch=True)


@given(TAGS, st.integers(YEAR_1000, YEAR_10000 - 1))
def test_what_is_formed_is_parsed_back(tag: str, time: int) -> None:
    assert parse(form(tag, time)) == PointInTime(tag, time)


def test_the_form_means_a_second_in_utc() -> None:
    # date -u -d 2026-11-23T10:15:00Z +%s
    assert parse("latest.at-20261123T101500Z") == PointInTime("latest", 1795428900)
    assert form("latest", 1795428900.9) == "latest.at-20261123T101500Z"


@pytest.mark.parametrize(
    "tag",
    [
        "latest",
        ".at-20261123T101500Z",
        "-.at-20261123T101500Z",
        "1.at-20260230T101500Z",
        "1.at-20261323T101500Z",
        "1.at-20261123T241500Z",
        "1.at-20261123T101560Z",
        "1.at-20261123T101500",
        "1.at-2026112T101500Z",
        "1.at-20261123t101500z",
        "1.at-00001123T101500Z",
        "1.at-20261123T101500Z.sig",
        "1at-20261123T101500Z",
        "1.at-\u0662\u0660\u0662\u06661123T101500Z",
        "a" * 109 + ".at-20261123T101500Z",
        "1.at-20261123T101500Z\n",
    ],
)
def test_what_is_no_tag_at_a_time_is_an_ordinary_name(tag: str) -> None:
    assert parse(tag) is None
    assert not is_reserved(tag)


def test_the_form_is_reserved() -> None:
    assert is_reserved("1.at-20261123T101500Z")


def test_a_tag_of_the_form_can_be_asked_for_at_a_time_too() -> None:
    twice = "1.at-20261123T101500Z.at-20261124T000000Z"
    assert parse(twice) == PointInTime("1.at-20261123T101500Z", 1795478400)


def test_the_longest_tag_that_has_the_form_has_108_characters() -> None:
    assert len(form("a" * 108, 0)) == 128
    with pytest.raises(TagInvalid):
        form("a" * 109, 0)
