"""Joining the mirrors that several sets have for one source, in an order that fits them all.

As in the original: each list is a wish about the order of its mirrors, and all the wishes together
are sorted topologically; where they contradict each other, the alphabet decides.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise


def joined(source: str, lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The mirrors of a source, each once; the source itself only where it is not the last.

    A list of nothing but the source says nothing.
    """
    after: dict[str, set[str]] = {}
    for mirrors in lists:
        if all(each == source for each in mirrors):
            continue
        ordered = list(mirrors) if source in mirrors else [*mirrors, source]
        for each in ordered:
            after.setdefault(each, set())
        for first, second in pairwise(ordered):
            after[first].add(second)
    found = _sorted(after)
    return tuple(found[:-1] if found and found[-1] == source else found)


def _sorted(after: dict[str, set[str]]) -> list[str]:
    """The names, each before those in its set as far as that can be."""
    before = dict.fromkeys(after, 0)
    for following in after.values():
        for each in following:
            before[each] += 1
    left = dict.fromkeys(sorted(after))
    free = [each for each in left if not before[each]]
    found = []
    while left:
        name = free.pop(0) if free else next(iter(left))  # of a loop the first
        del left[name]
        found.append(name)
        freed = []
        for each in sorted(after[name]):
            before[each] -= 1
            if not before[each] and each in left:
                freed.append(each)
        free += freed
    return found
