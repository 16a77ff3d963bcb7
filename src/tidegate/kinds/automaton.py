"""The automaton of a pattern: which places for a character it has, and which may follow which.

Glushkov's construction: every character of a pattern is one place, a set of places is the bits of
one number, and a text of n characters is decided in at most n times `PLACES` / `_TOGETHER` steps,
whatever the pattern. Nothing here knows how patterns are written: see `pattern`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

PLACES = 256
"""Places for a character in a pattern, after `x{20}` is written out as twenty x."""

TEXT_LIMIT = 256
"""Characters of a text that can match: a repository has at most 255, a tag 128."""

LAST = 0x10FFFF
"""The largest code of a character."""

_ASCII = 128
_TOGETHER = 4  # places that one step goes on from; each more doubles the tables
_SET = (1 << _TOGETHER) - 1

Ranges = tuple[tuple[int, int], ...]


class PatternInvalid(ValueError):
    """A text that is no pattern; the message says why, for whoever wrote it."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """One place for a character."""

    ranges: Ranges
    size: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One after the other."""

    parts: "tuple[Node, ...]"
    size: int


@dataclass(frozen=True, slots=True)
class Either:
    """One of them."""

    parts: "tuple[Node, ...]"
    size: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """The part from `least` to `most` times; None is without end."""

    part: "Node"
    least: int
    most: int | None
    size: int


Node = Symbol | Row | Either | Repeat


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, ready to match. Make it with `pattern_of` or `glob_of`.

    `follow[i][set]` are the places that may come after any of a set of places, those from
    i * `_TOGETHER` on; `first` those that a text may begin with, `last` those that it may end with.
    """

    text: str
    symbols: tuple[Ranges, ...]
    follow: tuple[tuple[int, ...], ...]
    first: int
    last: int
    empty: bool
    ascii: tuple[int, ...]  # by character: the places that take it

    def matches(self, text: str) -> bool:
        """Whether the whole text is as the pattern says; one over `TEXT_LIMIT` never is."""
        if not text:
            return self.empty
        if len(text) > TEXT_LIMIT:
            return False
        expected, reached = self.first, 0
        for character in text:
            reached = expected & self._taking(ord(character))
            if not reached:
                return False
            expected, left = 0, reached
            for following in self.follow:
                expected |= following[left & _SET]
                left >>= _TOGETHER
                if not left:
                    break
        return bool(reached & self.last)

    def _taking(self, code: int) -> int:
        return self.ascii[code] if code < _ASCII else _taking(self.symbols, code)


def literal(character: str) -> Node:
    """The place that takes this character."""
    return Symbol(((ord(character), ord(character)),))


def row(parts: list[Node]) -> Node:
    return Row(tuple(parts), _bounded(sum(each.size for each in parts)))


def either(parts: list[Node]) -> Node:
    return Either(tuple(parts), _bounded(sum(each.size for each in parts)))


def repeated(part: Node, least: int, most: int | None) -> Node:
    if most is not None and most < least:
        raise PatternInvalid(f"{{{least},{most}}} has its bounds the wrong way round")
    return Repeat(part, least, most, _bounded(part.size * max(least, most or 1)))


def _bounded(size: int) -> int:
    """A size is at least 1: what is empty costs its copies too."""
    if size > PLACES:
        raise PatternInvalid(f"is too large: it may have {PLACES} characters with repeats in full")
    return max(size, 1)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What of a pattern is built: where it begins and ends, and whether it may be left out."""

    empty: bool = True
    first: int = 0
    last: int = 0


class _Automaton:
    """Gives out places and joins them."""

    def __init__(self) -> None:
        self.symbols: list[Ranges] = []
        self.follow: list[int] = []

    def build(self, node: Node) -> _Piece:
        if isinstance(node, Symbol):
            place = 1 << len(self.symbols)
            self.symbols.append(node.ranges)
            self.follow.append(0)
            return _Piece(False, place, place)
        if isinstance(node, Row):
            return reduce(self._joined, map(self.build, node.parts), _Piece())
        if isinstance(node, Either):
            built = [self.build(each) for each in node.parts]
            return _Piece(
                any(each.empty for each in built),
                reduce(int.__or__, (each.first for each in built)),
                reduce(int.__or__, (each.last for each in built)),
            )
        return reduce(self._joined, self._copies(node), _Piece())

    def _copies(self, node: Repeat) -> Iterator[_Piece]:
        """x{2,} is x x+ , x{1,3} is x x? x?."""
        for _ in range(node.least - 1 if node.most is None else node.least):
            yield self.build(node.part)
        if node.most is None:
            loop = self.build(node.part)
            self._connect(loop.last, loop.first)
            yield _Piece(loop.empty or not node.least, loop.first, loop.last)
            return
        for _ in range(node.most - node.least):
            option = self.build(node.part)
            yield _Piece(True, option.first, option.last)

    def _joined(self, left: _Piece, right: _Piece) -> _Piece:
        self._connect(left.last, right.first)
        return _Piece(
            left.empty and right.empty,
            left.first | (right.first if left.empty else 0),
            right.last | (left.last if right.empty else 0),
        )

    def _connect(self, ends: int, begins: int) -> None:
        for place in _places(ends):
            self.follow[place] |= begins


def compiled(text: str, node: Node) -> Pattern:
    """The pattern `text`, read as `node`."""
    automaton = _Automaton()
    whole = automaton.build(node)
    symbols = tuple(automaton.symbols)
    return Pattern(
        text=text,
        symbols=symbols,
        follow=_tables(automaton.follow),
        first=whole.first,
        last=whole.last,
        empty=whole.empty,
        ascii=_by_character(symbols),
    )


def _tables(follow: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """What may follow each set of the places that are looked up together."""
    tables = []
    for begin in range(0, len(follow), _TOGETHER):
        table = [0]
        for each in follow[begin : begin + _TOGETHER]:
            table += [before | each for before in table]
        tables.append(tuple(table))
    return tuple(tables)


def _by_character(symbols: Sequence[Ranges]) -> tuple[int, ...]:
    """The places that take each character of ASCII; most are of a few sorts."""
    sorts: dict[Ranges, int] = {}
    for place, ranges in enumerate(symbols):
        sorts[ranges] = sorts.get(ranges, 0) | 1 << place
    found = [0] * _ASCII
    for ranges, places in sorts.items():
        for low, high in ranges:
            for code in range(low, min(high + 1, _ASCII)):
                found[code] |= places
    return tuple(found)


def _taking(symbols: tuple[Ranges, ...], code: int) -> int:
    found = 0
    for place, ranges in enumerate(symbols):
        if any(low <= code <= high for low, high in ranges):
            found |= 1 << place
    return found


def _places(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
