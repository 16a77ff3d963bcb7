import pytest

from tidegate.kinds.versions import RANGE_LIMIT, Range, RangeInvalid, Version


def version(tag: str) -> Version:
    found = Version.of(tag)
    assert found is not None, tag
    return found


@pytest.mark.parametrize("tag", ["1", "1.4", "latest", "v", "1.4.x", "01.2.3", "1.2.3.4", "1.2.3-"])
def test_a_tag_that_is_no_whole_version_is_none(tag: str) -> None:
    assert Version.of(tag) is None


def test_versions_are_in_the_order_that_semver_gives_as_its_example() -> None:
    # semver.org, 2.0.0, item 11
    ascending = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11"
    tags = [*ascending.split(), "1.0.0-rc.1", "1.0.0", "1.0.1", "v1.9.0", "1.10.0", "2.0.0"]
    assert sorted({*tags}, key=version) == tags


@pytest.mark.parametrize(
    ("written", "inside", "outside"),
    [
        # the examples of npm's documentation of its ranges
        ("1.2.3 - 2.3.4", "1.2.3 2.3.4 2.0.0", "1.2.2 2.3.5 3.0.0"),
        ("1.2 - 2.3.4", "1.2.0 2.3.4", "1.1.9"),
        ("1.2.3 - 2.3", "2.3.9", "2.4.0"),
        ("1.2.3 - 2", "2.9.9", "3.0.0"),
        ("*", "0.0.0 9.9.9", "1.0.0-rc.1"),
        ("", "0.0.0 9.9.9", "1.0.0-rc.1"),
        ("1.x", "1.0.0 1.9.9", "2.0.0 0.9.9"),
        ("1.2.x", "1.2.0 1.2.9", "1.3.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
        ("~1.2", "1.2.0 1.2.9", "1.3.0"),
        ("~1", "1.0.0 1.9.9", "2.0.0"),
        ("~1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.4 1.2.9", "1.2.4-beta.2 1.2.3-beta.1"),
        ("^1.2.3", "1.2.3 1.9.9", "2.0.0 1.2.2 2.0.0-alpha"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("^1.2.3-beta.2", "1.2.3-beta.4 1.9.0", "1.2.4-beta.2"),
        ("^0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^0.x", "0.0.0 0.9.9", "1.0.0"),
        ("^1.x", "1.0.0 1.9.9", "2.0.0"),
        ("<1.2 || >=2.1.0", "1.1.9 2.1.0", "1.2.0 2.0.0"),
        (">1.2", "1.3.0", "1.2.9"),
        ("<=1.2", "1.2.9", "1.3.0"),
        (">= 1.2.7 <1.3.0", "1.2.7 1.2.99", "1.2.6 1.3.0 1.1.0"),
        ("=v1.2.3", "1.2.3", "1.2.4 1.2.3-rc.1"),
        ("> *", "", "0.0.0 9.9.9"),
    ],
)
def test_ranges_are_read_as_npm_reads_them(written: str, inside: str, outside: str) -> None:
    wanted = Range.parse(written)
    assert [each for each in inside.split() if not wanted.admits(version(each))] == []
    assert [each for each in outside.split() if wanted.admits(version(each))] == []


@pytest.mark.parametrize("text", ["latest", "^", "1.2.3.4", "^1.4.", "^^1", "1 <", "1 -", "=>1"])
def test_what_is_no_range_is_refused_with_examples(text: str) -> None:
    with pytest.raises(RangeInvalid, match=r"ranges are like \^1\.4"):
        Range.parse(text)


def test_a_range_is_short() -> None:
    with pytest.raises(RangeInvalid, match="characters"):
        Range.parse("1 || " * RANGE_LIMIT)
