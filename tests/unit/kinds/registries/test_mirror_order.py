"""Mirrors of several sets, as the original's reference library joins them."""

from collections.abc import Sequence

import pytest

from tidegate.kinds.registries.mirror_order import joined


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ([["a", "b"]], ("a", "b")),
        ([["a", "b", "c"], ["c", "d", "e"]], ("a", "b", "c", "d", "e")),
        ([["b", "c"], ["a", "b"]], ("a", "b", "c")),
        ([["a"], ["b"]], ("a", "b")),
        ([["z"], ["a", "z"]], ("a", "z")),
        ([["a", "b"], ["b", "a"]], ("a", "b")),  # they contradict: any order will do
        ([["source"]], ()),
        ([["source"], ["a"]], ("a",)),
        ([["a", "source"]], ("a",)),
        ([["a", "source", "b"]], ("a", "source", "b")),
        ([["a", "a", "b"]], ("a", "b")),
        ([[]], ()),
        ([], ()),
    ],
)
def test_every_order_is_kept_as_far_as_it_can_be(
    lists: Sequence[Sequence[str]], expected: tuple[str, ...]
) -> None:
    assert joined("source", lists) == expected


def test_no_mirror_is_lost_in_a_loop() -> None:
    found = joined("s", [["a", "b", "c"], ["c", "a"], ["d", "b"]])
    assert sorted(found) == ["a", "b", "c", "d"]
