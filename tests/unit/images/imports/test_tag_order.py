"""Which tags of a repository are imported first."""

from tidegate.images.imports.tag_order import ordered


def test_latest_comes_first_then_versions_of_two_numbers_then_of_three_then_the_rest() -> None:
    """Statement 14 of the reference: version order, not text order."""
    assert ordered(["v1.10", "latest", "v1.9", "dev", "1.2.3"]) == [
        "latest",
        "v1.10",
        "v1.9",
        "1.2.3",
        "dev",
    ]


def test_versions_are_in_descending_order_and_candidates_before_their_release() -> None:
    assert ordered(["1.2", "1.10-rc1", "1.10", "v2.0", "1.10-rc2", "1.9"]) == [
        "v2.0",
        "1.10",
        "1.10-rc2",
        "1.10-rc1",
        "1.9",
        "1.2",
    ]
    assert ordered(["1.2.3", "v1.2.10", "1.2.3-rc.11", "1.2.3-rc.2"]) == [
        "v1.2.10",
        "1.2.3",
        "1.2.3-rc.11",
        "1.2.3-rc.2",
    ]


def test_what_is_no_version_is_in_the_order_of_the_alphabet() -> None:
    assert ordered(["stable", "3", "v7", "1.2.3.4", "1.02", "alpine"]) == [
        "1.02",
        "1.2.3.4",
        "3",
        "alpine",
        "stable",
        "v7",
    ]


def test_equal_versions_are_in_the_order_of_the_alphabet_and_each_tag_comes_once() -> None:
    assert ordered(["v1.2", "1.2", "1.2"]) == ["1.2", "v1.2"]
