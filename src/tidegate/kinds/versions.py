"""Versions of semver 2.0.0 as tags spell them, and ranges of them as npm reads them.

    range      = one { "||" one }
    one        = partial " - " partial | comparator { " " comparator }
    comparator = [ "^" | "~" | ">=" | "<=" | ">" | "<" | "=" ] partial
    partial    = [ "v" ] NUMBER [ "." NUMBER [ "." NUMBER [ "-" PRERELEASE ] ] ], "x" or "*" for any

A prerelease is in a range only if the range names a prerelease of the same version: nobody who
follows ^1.4 gets 1.5.0-rc.1. A tag is a version with all three numbers, with or without a `v`;
`1.4`, which moves, is none. Pure and in linear time, since users write both.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

RANGE_LIMIT = 256
"""Characters of a range."""

_NUMBER = r"0|[1-9][0-9]{0,8}"
_ANY = rf"{_NUMBER}|[xX*]"
_PRERELEASE = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_TAG = re.compile(rf"v?({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PRERELEASE}))?", re.ASCII)
_PARTIAL = re.compile(
    rf"v?({_ANY})(?:\.({_ANY})(?:\.({_ANY})(?:-({_PRERELEASE}))?)?)?(?:\+[0-9A-Za-z.-]+)?", re.ASCII
)
_COMPARATOR = re.compile(r"\s*(\^|~>?|>=|<=|>|<|=)?\s*([^\s<>=~^]+)", re.ASCII)
_HYPHEN = re.compile(r"\s*(\S+)\s+-\s+(\S+)\s*", re.ASCII)


class RangeInvalid(ValueError):
    """Text that is no range of versions; the message says what one looks like."""


Identifier = tuple[int, int, str]
"""Part of a prerelease: numbers come before words, and are compared as numbers."""


class Version(NamedTuple):
    """A version; compared with another one it is in semver's order."""

    major: int
    minor: int
    patch: int
    released: bool = True
    prerelease: tuple[Identifier, ...] = ()

    @classmethod
    def of(cls, tag: str) -> "Version | None":
        """The version that a tag is; None for one that is none."""
        match = _TAG.fullmatch(tag)
        if match is None:
            return None
        return cls(int(match[1]), int(match[2]), int(match[3]), *_prerelease(match[4]))

    @property
    def core(self) -> tuple[int, int, int]:
        return self[:3]


def _prerelease(text: str | None) -> tuple[bool, tuple[Identifier, ...]]:
    if not text:
        return True, ()
    parts = text.split(".")
    return False, tuple((0, int(e[:18]), "") if e.isdigit() else (1, 0, e) for e in parts)


class Bound(NamedTuple):
    """One side of a range: `operator` is >=, >, <= or <."""

    operator: str
    version: Version

    def admits(self, version: Version) -> bool:
        match self.operator:
            case ">=":
                return version >= self.version
            case ">":
                return version > self.version
            case "<=":
                return version <= self.version
        return version < self.version


class Range(NamedTuple):
    """A range of versions; `text` is how it was written."""

    text: str
    choices: tuple[tuple[Bound, ...], ...]

    @classmethod
    def parse(cls, text: str) -> "Range":
        """Read a range; `RangeInvalid` says what is wrong."""
        if len(text) > RANGE_LIMIT:
            raise RangeInvalid(f"may not be more than {RANGE_LIMIT} characters")
        return cls(text, tuple(tuple(_bounds(each)) for each in text.split("||")))

    def admits(self, version: Version) -> bool:
        """Whether a version is in the range."""
        return any(_all_admit(bounds, version) for bounds in self.choices)


def _all_admit(bounds: tuple[Bound, ...], version: Version) -> bool:
    if not all(each.admits(version) for each in bounds):
        return False
    if version.released:
        return True
    named = (each.version for each in bounds)
    return any(not each.released and each.core == version.core for each in named)


class _Partial(NamedTuple):
    """A version of which the last parts may be missing: None each."""

    major: int | None
    minor: int | None
    patch: int | None
    released: bool
    prerelease: tuple[Identifier, ...]

    @property
    def lowest(self) -> Version:
        numbers = (self.major or 0, self.minor or 0, self.patch or 0)
        return Version(*numbers, self.released, self.prerelease)

    @property
    def following(self) -> Version | None:
        """The first version that does not begin with these numbers; None where all do."""
        if self.major is None:
            return None
        if self.minor is None:
            return _first(self.major + 1)
        if self.patch is None:
            return _first(self.major, self.minor + 1)
        return _first(self.major, self.minor, self.patch + 1)


def _first(major: int, minor: int = 0, patch: int = 0) -> Version:
    """The lowest of these numbers: its first prerelease."""
    return Version(major, minor, patch, False, ((0, 0, ""),))


def _bounds(text: str) -> Iterator[Bound]:
    hyphen = _HYPHEN.fullmatch(text)
    if hyphen is not None:
        yield from _compared(">=", _partial(hyphen[1]))
        yield from _compared("<=", _partial(hyphen[2]))
        return
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _COMPARATOR.match(text, position)
        if match is None:
            raise _unreadable(text[position:].strip())
        yield from _compared(match[1] or "=", _partial(match[2]))
        position = match.end()


def _partial(text: str) -> _Partial:
    match = _PARTIAL.fullmatch(text)
    if match is None:
        raise _unreadable(text)
    numbers: list[int | None] = []
    for part in match.group(1, 2, 3):
        unknown = part is None or part in "xX*" or (numbers and numbers[-1] is None)
        numbers.append(None if unknown else int(part))
    major, minor, patch = numbers
    return _Partial(major, minor, patch, *_prerelease(None if patch is None else match[4]))


def _unreadable(text: str) -> RangeInvalid:
    return RangeInvalid(
        f"{text[:64]!r} is no version or comparison: ranges are like ^1.4, ~1.4.2, >=1.2 <2, 1.x"
    )


def _compared(operator: str, partial: _Partial) -> Iterator[Bound]:
    low = partial.lowest
    if operator == "^":
        yield Bound(">=", low)
        yield from _below(_caret_end(partial))
    elif operator in ("~", "~>"):
        yield Bound(">=", low)
        yield from _below(partial._replace(patch=None).following)
    elif partial.patch is not None:
        sides = (">=", "<=") if operator == "=" else (operator,)
        yield from (Bound(side, low) for side in sides)
    else:
        yield from _compared_in_part(operator, low, partial.following)


def _compared_in_part(operator: str, low: Version, following: Version | None) -> Iterator[Bound]:
    """With a version whose last numbers may be any, which `following` comes after."""
    match operator:
        case "=":
            yield Bound(">=", low)
            yield from _below(following)
        case ">=":
            yield Bound(">=", low)
        case "<":
            yield Bound("<", _first(*low.core))
        case "<=":
            yield from _below(following)
        case _ if following is not None:
            yield Bound(">=", Version(*following.core))
        case _:  # nothing is more than everything
            yield Bound("<", _first(0))


def _below(end: Version | None) -> Iterator[Bound]:
    if end is not None:
        yield Bound("<", end)


def _caret_end(partial: _Partial) -> Version | None:
    """Up to which versions change nothing left of the first number that is not zero."""
    if partial.major is None:
        return None
    if partial.major or partial.minor is None:
        return _first(partial.major + 1)
    if partial.minor or partial.patch is None:
        return _first(0, partial.minor + 1)
    return _first(0, 0, partial.patch + 1)
