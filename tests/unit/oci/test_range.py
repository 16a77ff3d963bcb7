import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.oci.errors import RangeInvalid
from tidegate.oci.range import parse_chunk_range, parse_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-1999", (0, 2000)),
        ("bytes=1500-5000", (1500, 500)),
        ("bytes=1500-", (1500, 500)),
        ("bytes=-500", (1500, 500)),
        ("bytes=-5000", (0, 2000)),
    ],
)
def test_a_single_range_is_clamped_to_the_blob(header: str, expected: tuple[int, int]) -> None:
    assert parse_range(header, 2000) == expected


@pytest.mark.parametrize("header", ["bytes=500-0", "bytes=2000-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_without_a_byte_of_the_blob_is_refused(header: str) -> None:
    with pytest.raises(RangeInvalid):
        parse_range(header, 2000)


@pytest.mark.parametrize(
    "header", ["", "bytes", "bytes=", "bytes=-", "items=0-1", "bytes=a-b", "bytes=0-1,5-6"]
)
def test_a_range_that_is_not_ours_to_judge_is_ignored(header: str) -> None:
    assert parse_range(header, 2000) is None


def test_every_range_of_an_empty_blob_is_refused() -> None:
    for header in ("bytes=0-0", "bytes=-1"):
        with pytest.raises(RangeInvalid):
            parse_range(header, 0)


@given(st.text(alphabet="bytes=0123456789-, ", max_size=40), st.integers(0, 10**6))
def test_a_range_that_is_read_lies_within_the_blob(header: str, size: int) -> None:
    try:
        window = parse_range(header, size)
    except RangeInvalid:
        return
    if window is not None:
        offset, count = window
        assert 0 <= offset < offset + count <= size


@given(st.integers(0, 10**15), st.integers(0, 10**9))
def test_a_chunk_range_is_inclusive_at_both_ends(start: int, more: int) -> None:
    assert parse_chunk_range(f"{start}-{start + more}") == (start, more + 1)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "-",
        "1",
        "1-",
        "-1",
        "5-4",
        "bytes 0-1",
        "0-1/2",
        " 0-1",
        "0-1\n",
        "+0-1",
        "\u0660-\u0661",
    ],
)
def test_a_malformed_chunk_range_is_refused(header: str) -> None:
    with pytest.raises(RangeInvalid):
        parse_chunk_range(header)
