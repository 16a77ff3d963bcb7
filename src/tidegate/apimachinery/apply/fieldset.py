"""Sets of field paths, as server-side apply compares and keeps them.

A path is a tuple of elements, and an element is a text in the notation of FieldsV1, in one
spelling only so that equal elements are equal texts:

    f:NAME           a field of a struct or an entry of a map
    k:{"KEY":...}    the object in a list that has these keys, sorted by name
    v:VALUE          the value in a list that is a set
    i:INDEX          a place in a list; written by nobody any more, but read

A set is a tree. A path may be a member without the paths below it, and the other way round: that
`f:labels` is a member says that somebody made the map, not what is in it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tidegate.apimachinery.schema import Schema

Path = tuple[str, ...]

compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""JSON without spaces, in the order that the value has."""

REMEMBERED_LENGTH = 512
"""Characters of an element of which it is remembered what it says: clients write them at will."""


def field_element(name: str) -> str:
    return f"f:{name}"


def key_element(keys: Mapping[str, Any]) -> str:
    return "k:" + compact({name: _plain(keys[name]) for name in sorted(keys)})


def value_element(value: Any) -> str:
    return "v:" + compact(_plain(value))


def _plain(value: Any) -> Any:
    """A number in one spelling: 80.0 is 80."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def shown(path: Path) -> str:
    """A path as conflicts name it: `.spec.ports[port=80,protocol="TCP"].name`."""
    return "".join(map(_shown, path))


def _shown(element: str) -> str:
    content = element[2:]
    match element[0]:
        case "f":
            return f".{content}"
        case "k":
            keys = json.loads(content).items()
            return "[" + ",".join(f"{name}={compact(value)}" for name, value in keys) + "]"
        case "v":
            return f"[={content}]"
    return f"[{content}]"


def order(element: str) -> tuple[Any, ...]:
    """The place of an element among others, as Kubernetes sorts them: f, k, v, i; 9 before 10."""
    return (_order if len(element) <= REMEMBERED_LENGTH else _order.__wrapped__)(element)


@lru_cache(maxsize=4096)
def _order(element: str) -> tuple[Any, ...]:
    kind, content = element[0], element[2:]
    if kind == "f":
        return 0, content
    if kind == "i":
        return 3, int(content)
    if kind == "v":
        return 2, _rank(json.loads(content))
    return 1, [(name, _rank(value)) for name, value in json.loads(content).items()]


def _rank(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (3, compact(value))


@dataclass(frozen=True, slots=True)
class FieldSet:
    """A set of paths. No child is empty, so that equal sets are equal values."""

    members: frozenset[str] = frozenset()
    children: Mapping[str, "FieldSet"] = field(default_factory=dict)

    @classmethod
    def of(cls, paths: Iterable[Path]) -> "FieldSet":
        """The set of these paths; nobody owns a whole object, hence the empty path is left out."""
        members: set[str] = set()
        below: dict[str, list[Path]] = {}
        for path in paths:
            if len(path) == 1:
                members.add(path[0])
            elif path:
                below.setdefault(path[0], []).append(path[1:])
        return cls(frozenset(members), {name: cls.of(rest) for name, rest in below.items()})

    def paths(self) -> Iterator[Path]:
        """Every path, what is here before what is below, sorted."""
        for element in sorted(self.members, key=order):
            yield (element,)
        for element in sorted(self.children, key=order):
            for path in self.children[element].paths():
                yield (element, *path)

    def is_empty(self) -> bool:
        return not self.members and not self.children

    def has(self, path: Path) -> bool:
        *above, last = path
        here = self
        for element in above:
            here = here.below(element)
        return last in here.members

    def below(self, element: str) -> "FieldSet":
        """The paths that begin with `element`, without it."""
        return self.children.get(element, NOTHING)

    def union(self, other: "FieldSet") -> "FieldSet":
        children = dict(self.children)
        for element, theirs in other.children.items():
            mine = children.get(element)
            children[element] = theirs if mine is None else mine.union(theirs)
        return FieldSet(self.members | other.members, children)

    def intersection(self, other: "FieldSet") -> "FieldSet":
        both = {
            element: mine.intersection(other.children[element])
            for element, mine in self.children.items()
            if element in other.children
        }
        return FieldSet(self.members & other.members, _filled(both))

    def difference(self, other: "FieldSet") -> "FieldSet":
        """The paths that are not in `other`; that a path is does not matter to those below it."""
        children = {
            element: mine.difference(other.below(element))
            for element, mine in self.children.items()
        }
        return FieldSet(self.members - other.members, _filled(children))

    def recursive_difference(self, other: "FieldSet") -> "FieldSet":
        """The paths that are neither in `other` nor below one that is."""
        children = {
            element: mine.recursive_difference(other.below(element))
            for element, mine in self.children.items()
            if element not in other.members
        }
        return FieldSet(self.members - other.members, _filled(children))

    def with_named_fields(self, schema: Schema | None) -> "FieldSet":
        """This set with every field of a struct that has paths below it.

        A field of a struct is no member by itself when its content is applied; entries of maps and
        lists are.
        """
        named = {element for element in self.children if is_named(schema, element)}
        children = {
            element: below.with_named_fields(schema_below(schema, element))
            for element, below in self.children.items()
        }
        return FieldSet(self.members | named, children)


NOTHING = FieldSet()


def is_named(schema: Schema | None, element: str) -> bool:
    """Whether an element is a field of a struct."""
    return (
        schema is not None
        and schema.form == "object"
        and element.startswith("f:")
        and element[2:] in schema.fields
    )


def is_unknown(schema: Schema | None) -> bool:
    """Whether nothing is known of a value."""
    return schema is None or schema.form == "any"


def schema_below(schema: Schema | None, element: str) -> Schema | None:
    """The schema of the part that `element` names."""
    if schema is None or element[0] == "i":
        return None
    return schema.of(element[2:]) if element[0] == "f" else schema.items


def _filled(children: dict[str, FieldSet]) -> dict[str, FieldSet]:
    return {element: each for element, each in children.items() if not each.is_empty()}
