"""A resource, declared once: endpoints, discovery, OpenAPI, Tables and validation come from this.

A declaration is data and plain functions on values; it reaches no store. What serves it is a
`storage` of the verbs in `verbs` (see `storage.py`), joined to it in the assembly.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tidegate.apimachinery.errors import FieldError, Qualified
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.patch.json_values import VALUES

K = TypeVar("K", bound=Object)

STANDARD = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
"""The verbs of an ordinary stored resource, in the order of discovery."""

Cell = str | int | bool | None

OBJECT_LIMIT = 1536 * 1024
"""Bytes of an object with its managers: what etcd takes. It bounds what one object costs whoever
reads, watches or changes it, however it came to be so large."""


@dataclass(frozen=True, slots=True)
class Column:
    """A printed column: `cell(object, now)` gives its value, `now` in epoch seconds.

    `priority` 1 is shown with `-o wide` only. `type` is OpenAPI's; a cell of the first column is
    the object's name.
    """

    name: str
    cell: Callable[[Any, float], Cell]
    description: str = ""
    type: str = "string"
    format: str = ""
    priority: int = 0


def _nothing(_new: Any, _old: Any) -> None:
    return None


def _no_fault(_new: Any, _old: Any) -> Sequence[FieldError]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy(Generic[K]):
    """What is particular to writing one kind; `old` is None on create.

    `name_fault` gives None for a good name or what is wrong with it. `prepare` mutates the new
    object: defaults, and fields that the caller may not set. `validate` lists every fault. Both run
    on create and on every update, and see nothing but the objects.
    """

    name_fault: Callable[[str], str | None] | None = None  # None: an RFC 1123 subdomain
    prepare: Callable[[K, K | None], None] = _nothing
    validate: Callable[[K, K | None], Sequence[FieldError]] = _no_fault
    update_creates: bool = False  # PUT to a name that does not exist makes it
    counts_generation: bool = False  # metadata.generation counts changes outside metadata, status
    size_limit: int = OBJECT_LIMIT  # bytes of an object with its managers


@dataclass(frozen=True, slots=True, kw_only=True)
class Subresource:
    """`RESOURCE/NAME/subresource`: its own verbs and kind (`type`), served by its own storage.

    A get of one that is `paged` takes the options of a list and answers with a page; a body that is
    written has at most so many `values`.
    """

    verbs: tuple[str, ...]
    kind: str
    type: type[Object]
    group: str = ""
    version: str = "v1"
    paged: bool = False
    values: int = VALUES


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Generic[K]):
    """One resource of one group and version.

    `fields` are the selectable fields beside metadata.name and metadata.namespace, as their names
    and how to read them. `columns` come after Name and before Age, both of which are implied;
    `named=False` and `age=False` leave them out (a table of events begins with when). `answer` is
    the type of what create answers with when that is not the kind itself (ProjectRequest answers
    with a Project).
    """

    group: str
    version: str
    kind: str
    plural: str
    type: type[K]
    namespaced: bool
    verbs: tuple[str, ...] = STANDARD
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    named: bool = True
    age: bool = True
    fields: Mapping[str, Callable[[K], str]] = field(default_factory=dict)
    strategy: Strategy[K] = field(default_factory=Strategy)
    subresources: Mapping[str, Subresource] = field(default_factory=dict)
    list_kind: str = ""  # KIND + "List" when empty

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def key(self) -> str:
        """Name of the resource in the store and in change logs: `plural.group`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified(self) -> Qualified:
        """As refusals name it."""
        return Qualified(self.plural, self.group)

    @property
    def qualified_kind(self) -> Qualified:
        """As validation errors name it."""
        return Qualified(self.kind, self.group)
