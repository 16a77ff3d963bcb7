"""Which tags of a repository are copied. Values only.

Tags that belong to an image, as signatures' do, go with it and are never chosen for themselves; of
a whole repository those are copied too whose image no tag names any more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tidegate.delivery.mirrors.attached import is_attached
from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.kinds.automaton import Pattern, PatternInvalid
from tidegate.kinds.pattern import glob_of
from tidegate.kinds.versions import Range, RangeInvalid, Version


@dataclass(frozen=True, slots=True)
class Selection:
    """Tags that match one of the patterns, or are a version in the range; without either, all."""

    patterns: tuple[Pattern, ...] = ()
    versions: Range | None = None

    @classmethod
    def of(cls, patterns: Sequence[str], versions: str = "") -> "Selection":
        """Read globs and a range of versions; `NotCopied` says which is wrong."""
        try:
            globs = tuple(glob_of(each) for each in patterns)
            return cls(globs, Range.parse(versions) if versions else None)
        except PatternInvalid as error:
            raise NotCopied(f"the pattern of tags {error}") from error
        except RangeInvalid as error:
            raise NotCopied(f"the range of versions: {error}") from error

    def choose(self, tags: Iterable[str]) -> list[str]:
        """The tags to copy, in their order."""
        return [each for each in tags if not is_attached(each) and self._takes(each)]

    def _takes(self, tag: str) -> bool:
        if not self.patterns and self.versions is None:
            return True
        if any(each.matches(tag) for each in self.patterns):
            return True
        version = None if self.versions is None else Version.of(tag)
        return version is not None and self.versions is not None and self.versions.admits(version)


def left_over(tags: Iterable[str], copied: Iterable[str]) -> list[str]:
    """Tags that belong to no image which was copied: the digests of those are given."""
    known = {digest.replace(":", "-", 1) for digest in copied}
    return [each for each in tags if is_attached(each) and each.partition(".")[0] not in known]
